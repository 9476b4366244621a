import ExchangeCore
package import ExchangeStore
import NodeDatabase

extension ExchangeReader {
  /// The document whose id is `text` or begins with it (at least 8 characters). Of several, the one
  /// of the `preferred` direction: another unit may send a document under the id of one of ours.
  package func find(_ text: String, preferring preferred: String? = nil) throws -> (
    summary: DocumentSummary, direction: String
  ) {
    guard Self.isBeginning(text) else {
      throw StoreError(
        .notFound, "“\(text)” is not an id or the beginning of one",
        next: "Copy at least 8 characters of an id from: congvan outbox, congvan inbox")
    }
    let found = try documents(idPrefix: text.lowercased(), preferring: preferred)
    guard let first = found.first else { throw StoreError(.notFound, "no document “\(text)”") }
    guard found.count > 1 else { return first }
    let fitting = found.filter { $0.direction == preferred }
    guard let only = fitting.first, fitting.count == 1 else {
      let count = found.count < 10 ? "\(found.count)" : "10 or more"
      throw StoreError(.ambiguous, "“\(text)” is the beginning of \(count) documents")
    }
    return only
  }

  /// The full ids that begin with `text`, however many there are; none for what begins no id.
  func ids(beginning text: String) throws -> [String] {
    Self.isBeginning(text) ? try ids(idPrefix: text.lowercased()) : []
  }

  private static func isBeginning(_ text: String) -> Bool {
    text.utf8.count >= 8 && text.allSatisfy { $0.isHexDigit || $0 == "-" }
  }
}

extension Office {
  /// An outgoing document by its id or the beginning of it.
  func outgoing(_ id: String) throws -> DocumentSummary {
    let (document, direction) = try context.store.reader.find(id, preferring: "outgoing")
    guard direction == "outgoing" else {
      throw OfficeError(.notOutgoing, "document \(document.id) is not an outgoing one")
    }
    return document
  }

  /// An accepted incoming document by its id or the beginning of it, with its manifest's digest.
  func accepted(_ id: String) throws -> (IncomingSummary, SHA256Digest) {
    let (document, direction) = try context.store.reader.find(id, preferring: "incoming")
    guard direction == "incoming",
      let incoming = try context.store.reader.incomingDocument(key: document.key)
    else { throw OfficeError(.notIncoming, "document \(document.id) is not an incoming one") }
    guard incoming.state == .accepted else {
      throw OfficeError(.notAccepted, "document \(document.id) is \(incoming.state.rawValue)")
    }
    return (incoming, try context.store.reader.manifestDigest(document: document.key))
  }
}
