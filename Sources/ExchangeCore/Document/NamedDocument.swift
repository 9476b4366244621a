package import Foundation

extension ManifestCodec {
  /// The id that a text names as its document, however many other rules it breaks; nil when the text
  /// has no single reading. Whoever names a document can be answered about it.
  package static func namedDocument(_ bytes: Data) -> RecordID? {
    struct Named: Decodable { var documentId: RecordID }
    do {
      _ = try JSONShape.check(bytes)
      return try WireJSON.decode(Named.self, from: bytes).documentId
    } catch {
      return nil
    }
  }
}
