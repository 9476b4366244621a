import ExchangeCore
import ExchangeStore

/// The JSON members of listings. They are an interface: only ever added, described in schemas/cli.md.
extension DeliverySummary {
  var id: String { "\(document)/\(to)" }

  func json(_ watch: ReceiptWatch) -> JSON {
    .object([
      "id": .string(id), "document": .string(document.rawValue), "to": .string(to.rawValue),
      "state": .string(state.rawValue), "status": .text(status),
      "attempts": .integer(Int64(attempts)), "lastError": .text(lastError),
      "lastErrorText": .text(lastErrorText), "nextAt": .time(nextAt), "expiresAt": .time(expiresAt),
      "createdAt": .time(createdAt), "publishedAt": .time(publishedAt),
      "deliveredAt": .time(finishedAt), "updatedAt": .time(updatedAt),
      "overdue": .bool(isOverdue(watch)), "expiring": .bool(isExpiring(watch)),
      "unbelieved": unbelieved.map(\.json) ?? .null,
    ])
  }

  func isOverdue(_ watch: ReceiptWatch) -> Bool { watch.isOverdue(state, publishedAt: publishedAt) }
  func isExpiring(_ watch: ReceiptWatch) -> Bool { watch.isExpiring(state, expiresAt: expiresAt) }

  /// The state, with what a person should know about the receipt.
  func stateText(_ watch: ReceiptWatch) -> String {
    let marks = [
      isOverdue(watch) ? DeliveryMark.overdue : nil,
      isExpiring(watch) ? DeliveryMark.expiring : nil,
    ].compactMap { $0 }
    return state.rawValue + (marks.isEmpty ? "" : " (\(marks.joined(separator: ", ")))")
  }

  var statusText: String {
    status.map { code in
      StatusCode(code)?.vietnamese.map { "\(code) \($0)" } ?? code
    } ?? "-"
  }
}

enum DeliveryMark {
  static let overdue = "quá hạn biên nhận"
  static let expiring = "sắp hết hạn"
}

extension DocumentSummary {
  var members: [String: JSON] {
    [
      "id": .string(id.rawValue), "from": .string(sender.rawValue), "number": .string(number),
      "codeNumber": .string(codeNumber), "codeNotation": .string(codeNotation),
      "issuedDate": .string(issuedDate), "typeName": .string(typeName),
      "subject": .string(subject), "urgency": .string(urgency.vietnamese), "frozen": .text(frozen),
      "attachments": .array(
        attachments.map { file in
          .object([
            "name": .string(file.name), "size": .integer(file.size),
            "sha256": .string(file.sha256.hex), "mediaType": .string(file.mediaType),
          ])
        }),
    ]
  }
}

extension DocumentSummary {
  /// The mark of a document that its sender took back or replaced.
  var frozenText: String {
    switch frozen {
    case "recalled": " (đã lấy lại)"
    case "replaced": " (đã thay thế)"
    default: ""
    }
  }
}

extension IncomingSummary {
  var json: JSON {
    var members = document.members
    members["state"] = .string(state.rawValue)
    members["status"] = .text(status)
    members["outcome"] = .text(outcome)
    members["detail"] = .text(detail)
    members["receivedAt"] = .time(receivedAt)
    members["duplicates"] = .integer(Int64(duplicates))
    members["takeBackOpen"] = .bool(hasOpenTakeBack)
    return .object(members)
  }
}

extension HistoryEntry {
  var json: JSON {
    .object([
      "at": .time(at), "subject": .string(subject), "unit": .text(unit), "from": .text(from),
      "to": .string(to), "actor": .string(actor), "cause": .string(cause), "detail": .text(detail),
    ])
  }

  var line: Line {
    "\(at.shown)  \(unit ?? subject)  \(from ?? "·") → \(to)  \(actor): \(cause)"
      + (detail.map { " (\($0))" } ?? "")
  }
}
