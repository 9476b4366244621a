package import ExchangeCore
import ExchangeTestKit
package import Foundation
package import UnitOffice

/// A PDF of `size` bytes with content of its own.
package func pdf(_ mark: String, size: Int = 200) -> Data {
  let start = Data("%PDF-1.7\n\(mark)\n".utf8)
  return start + Data(repeating: UInt8(ascii: "."), count: max(0, size - start.count))
}

/// A draft that is right in every respect.
package func draft(_ files: [String], to recipients: [Organ], number: String = "159/QĐ-LĐLĐ")
  -> OutgoingDraft
{
  OutgoingDraft(
    files: files, recipients: recipients.map(\.organId.rawValue), number: number,
    date: "2026-09-21", typeName: "Quyết định", subject: "V/v tổ chức hội nghị cán bộ")
}

extension TestNode {
  /// Issues a document with one PDF of `size` bytes.
  @discardableResult
  package func send(
    _ mark: String = "một", size: Int = 200, to recipients: [Organ], urgency: Urgency = .normal
  ) throws -> RecordID {
    let path = try folder.write(pdf(mark, size: size), as: "\(UUID().uuidString).pdf")
    var draft = draft([path], to: recipients)
    draft.urgency = urgency
    return try office.send(draft).id
  }
}
