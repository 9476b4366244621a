/// Where a piece belongs: `offset` into the attachment with digest `sha256` and `size` bytes.
///
/// Pieces are cut at multiples of 1 MiB, so two pieces are equal or disjoint and an attachment of a
/// given size has exactly one list of pieces.
package struct PieceAddress: Sendable, Hashable {
  package let sha256: SHA256Digest
  package let offset: Int64
  package let size: Int64

  /// Nil when `offset` is not a multiple of the piece length inside `size`, or `size` is outside
  /// the limits of the wire.
  package init?(sha256: SHA256Digest, offset: Int64, size: Int64) {
    guard size > 0, size <= WireLimits.documentBytes, offset >= 0, offset < size,
      offset % WireLimits.pieceBytes == 0
    else { return nil }
    self.sha256 = sha256
    self.offset = offset
    self.size = size
  }

  /// Bytes in this piece.
  package var length: Int64 { min(WireLimits.pieceBytes, size - offset) }

  /// `message-id` of the piece: the same on every resend.
  package var messageID: String { "\(sha256.hex)/\(offset)" }

  package static func count(size: Int64) -> Int64 {
    (size + WireLimits.pieceBytes - 1) / WireLimits.pieceBytes
  }
}

/// The messages of one delivery in the order they are published: every piece of every attachment,
/// then the manifest. A position in this list is the delivery's progress.
package struct DeliveryPlan: Sendable, Hashable {
  package enum Step: Sendable, Hashable {
    case piece(PieceAddress)
    case manifest
  }

  private let files: [(sha256: SHA256Digest, size: Int64, first: Int64)]
  /// Number of messages, the manifest included.
  package let count: Int64

  /// Attachments with equal content travel once.
  package init(attachments: [(sha256: SHA256Digest, size: Int64)]) {
    var files: [(sha256: SHA256Digest, size: Int64, first: Int64)] = []
    var next: Int64 = 0
    for attachment in attachments where !files.contains(where: { $0.sha256 == attachment.sha256 }) {
      files.append((attachment.sha256, attachment.size, next))
      next += PieceAddress.count(size: attachment.size)
    }
    self.files = files
    count = next + 1
  }

  /// The step at `position`, or nil past the end.
  package subscript(position: Int64) -> Step? {
    guard position >= 0, position < count else { return nil }
    guard let file = files.last(where: { $0.first <= position }), position < count - 1 else {
      return .manifest
    }
    return PieceAddress(
      sha256: file.sha256, offset: (position - file.first) * WireLimits.pieceBytes, size: file.size
    ).map(Step.piece)
  }

  package static func == (left: Self, right: Self) -> Bool {
    left.count == right.count && left.files.elementsEqual(right.files, by: ==)
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(count) }
}
