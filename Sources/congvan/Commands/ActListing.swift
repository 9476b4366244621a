import ExchangeCore
import ExchangeStore
import NodeDatabase

/// Who did what with a document.
extension ActSummary {
  var json: JSON {
    .object([
      "at": .time(at), "verb": .string(verb), "by": .string(who), "capacity": .string(capacity),
      "account": .text(account), "osUser": .text(osUser), "sudoUser": .text(sudoUser),
      "onBehalfOf": .text(onBehalfOf), "delegation": .text(delegation), "from": .string(place),
      "about": .object(["kind": .string(kind), "id": .text(subject)]), "reason": .text(reason),
    ])
  }

  var line: Line {
    let place = place == "cli" ? "tại máy" : place
    let behalf = onBehalfOf.map { ", thay mặt \($0)" } ?? ""
    return "\(at.shown)  \(who) (\(place)\(behalf)): \(words)"
      + (reason.map { " – \($0)" } ?? "")
  }

  private var words: String {
    switch ActVerb(rawValue: verb) {
    case .issue: "phát hành"
    case .import: "khôi phục văn bản đã phát hành từ bản xuất"
    case .resend: "gửi lại"
    case .refuse: "từ chối (02)"
    case .takeBack: "lấy lại (13)"
    case .agree: "đồng ý cho lấy lại (15)"
    case .decline: "không đồng ý cho lấy lại (16)"
    case .release: "cho xét lại thông điệp \(subject ?? "") đang cách ly"
    case .discard: "loại bỏ thông điệp \(subject ?? "") đang cách ly"
    case .reconcile: "đối soát"
    case .repair: "sửa nội dung bị hỏng"
    case nil: verb
    }
  }
}

/// Statuses that came and were not believed, with the next step.
extension UnbelievedStatus {
  var json: JSON {
    .object([
      "message": .integer(message), "from": .string(from.rawValue), "claimedCode": .text(code),
      "claimedAt": .time(claimedAt), "receivedAt": .time(receivedAt), "outcome": .string(outcome),
      "detail": .text(detail), "verified": .bool(false),
    ])
  }

  func lines(document: RecordID) -> Line {
    let words = code.map { code in
      let name = StatusCode(code)?.vietnamese.map { " \($0)" } ?? ""
      return "tự ghi là \(code)\(name)"
    }
    return """
        \(receivedAt.shown)  \(from)  \(words ?? "không đọc được nội dung")  \(outcome)\
      \(detail.map { ": \($0)" } ?? "")
          tiếp theo: \(next(document))
      """
  }

  /// What ends it, by what was wrong.
  private func next(_ document: RecordID) -> String {
    let asksAnew = "rồi chạy: congvan resend \(document)/\(from) --reason …"
    return switch OutcomeCode(rawValue: outcome) {
    case OutcomeCode(.untrustedChain):
      "“\(from)” bổ sung chứng thư trung gian hoặc đổi chứng thư, \(asksAnew)"
    case OutcomeCode(.expired), OutcomeCode(.notYetValid), OutcomeCode(.revoked),
      OutcomeCode(.badProfile), OutcomeCode(.signedInFuture), .statusInFuture:
      "“\(from)” sửa chứng thư hoặc đồng hồ của mình, \(asksAnew)"
    case OutcomeCode(.unknownSigner), OutcomeCode(.notThisUnit), .unknownSender:
      "kiểm tra chứng thư của “\(from)” trong danh bạ; danh bạ được sửa thì nút tự xét lại"
    case .statusUnmatched:
      "xem lý do bằng: congvan quarantine show \(message)"
    default:
      "báo cho “\(from)”; xem: congvan quarantine show \(message)"
    }
  }
}

extension DeliverySummary {
  /// Said beside a delivery that has no answer yet.
  var unbelievedMark: String {
    guard let unbelieved, [.queued, .retrying, .published, .suspended, .expired].contains(state)
    else { return "" }
    return "  có trạng thái đến mà chưa tin được (\(unbelieved.outcome))"
  }
}

extension DeliverySummary.Unbelieved {
  var json: JSON {
    .object([
      "count": .integer(Int64(count)), "claimedCode": .text(code), "outcome": .string(outcome),
      "receivedAt": .time(receivedAt), "message": .integer(message),
    ])
  }
}
