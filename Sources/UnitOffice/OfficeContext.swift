package import ExchangeCore
package import ExchangeStore

/// What an office may take, below the limits of the wire.
package struct OfficeLimits: Sendable, Hashable {
  /// Sum of the attachments of one document, in bytes.
  package var documentBytes: Int64
  /// Bytes of the disk that are kept free: below, nothing is issued or restored.
  package var freeBytes: Int64
  /// Which formats of files are sent.
  package var formats: FormatPolicy

  package init(
    documentBytes: Int64 = 1 << 30, freeBytes: Int64 = 200 << 20,
    formats: FormatPolicy = FormatPolicy()
  ) {
    self.documentBytes = documentBytes
    self.freeBytes = freeBytes
    self.formats = formats
  }
}

/// What every act of a person works with.
package struct OfficeContext: Sendable {
  package let unit: Organ
  package let store: Store
  /// Nil when the unit's key is not loaded: acts that sign nothing do without.
  package let signer: (any DocumentSigner)?
  package let verifier: any SignatureVerifier
  package let hashing: any ContentHashing
  package let directory: any DirectorySource
  package let clock: any WallClock

  package init(
    unit: Organ, store: Store, signer: (any DocumentSigner)?, verifier: any SignatureVerifier,
    hashing: any ContentHashing, directory: any DirectorySource, clock: any WallClock
  ) {
    self.unit = unit
    self.store = store
    self.signer = signer
    self.verifier = verifier
    self.hashing = hashing
    self.directory = directory
    self.clock = clock
  }

  /// The signer, once other units would believe it. Throws what `DocumentSigner.requireBelieved` finds,
  /// and `OfficeError.noKey` without a key.
  func believedSigner() throws -> any DocumentSigner {
    guard let signer else {
      throw OfficeError(.noKey, "this act signs, and the unit's key is not loaded")
    }
    try signer.requireBelieved(at: clock.now)
    return signer
  }

  /// Signs statuses with `signer`.
  func statusSigner(_ signer: any DocumentSigner) -> StatusSigner {
    StatusSigner(unit: unit, signer: signer, clock: clock)
  }
}
