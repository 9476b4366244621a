import ExchangeCore
import Foundation

/// The four signed JSON texts. What is read must survive being written, and must mean the same to
/// another reader: a signature over a text with two meanings is worth nothing.
enum JSONTargets {
  static func manifest(_ bytes: Data) {
    let declared = ManifestCodec.declaresSecrecy(bytes)
    let named = ManifestCodec.namedDigests(bytes)
    let read = roundTrip(
      bytes, decode: ManifestCodec.decode, encode: ManifestCodec.encode, rounded: \.rounded,
      refused: { error in
        require(error.kind != .secrecy || declared, "refused for a mark that is not declared")
      })
    guard let manifest = read else { return }
    require(!declared, "a text that declares a secrecy mark was read")
    require(named == manifest.attachments.map(\.sha256), "other digests named than read")
    for attachment in manifest.attachments {
      require(AttachmentTarget.isSafe(attachment.name), "unsafe file name “\(attachment.name)”")
    }
  }

  static func status(_ bytes: Data) {
    roundTrip(
      bytes, decode: StatusCodec.decode, encode: StatusCodec.encode, rounded: \.rounded)
  }

  static func tally(_ bytes: Data) {
    let read = roundTrip(
      bytes, decode: TallyCodec.decodeTally, encode: TallyCodec.encode, rounded: \.rounded)
    guard let tally = read else { return }
    require(!tally.entries.isEmpty, "a tally of nothing")
    for entry in tally.entries {
      require(entry.sequence >= 1 && entry.statuses >= 0, "an impossible entry: \(entry)")
    }
  }

  static func tallyAnswer(_ bytes: Data) {
    roundTrip(
      bytes, decode: TallyCodec.decodeAnswer, encode: TallyCodec.encode, rounded: \.rounded)
  }

  /// Decodes; what is read must encode, decode to the same value, and encode to the same bytes.
  /// Returns nil for what is refused, which only a `DocumentError` may do.
  @discardableResult
  private static func roundTrip<Value: Equatable>(
    _ bytes: Data, decode: (Data) throws -> Value, encode: (Value) throws -> Data,
    rounded: (Value) -> Value, refused: (DocumentError) -> Void = { _ in }
  ) -> Value? {
    let value: Value
    do {
      value = try decode(bytes)
    } catch {
      guard let error = error as? DocumentError else { fatalError("not a DocumentError: \(error)") }
      refused(error)
      return nil
    }
    do {
      let written = try encode(value)
      let again = try decode(written)
      require(rounded(again) == rounded(value), "read again it is \(again), was \(value)")
      require(try encode(again) == written, "written twice it differs")
      require(SecondReader.agrees(bytes, with: written), "a second reader sees something else")
    } catch {
      fatalError("what was read cannot be written and read again: \(error)")
    }
    return value
  }
}

extension Timestamp {
  /// What the wire keeps: milliseconds.
  fileprivate var rounded: Timestamp { Timestamp(microseconds: microseconds / 1000 * 1000) }
}

extension Manifest {
  fileprivate var rounded: Manifest {
    var copy = self
    copy.createdAt = createdAt.rounded
    return copy
  }
}

extension StatusStatement {
  fileprivate var rounded: StatusStatement {
    var copy = self
    copy.timestamp = timestamp.rounded
    return copy
  }
}

extension Tally {
  fileprivate var rounded: Tally {
    var copy = self
    copy.timestamp = timestamp.rounded
    return copy
  }
}

extension TallyAnswer {
  fileprivate var rounded: TallyAnswer {
    var copy = self
    copy.timestamp = timestamp.rounded
    return copy
  }
}
