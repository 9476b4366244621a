package import ExchangeCore
package import ExchangeStore

/// What every service of a node works with.
package struct NodeContext: Sendable {
  package let unit: Organ
  package let store: Store
  package let signer: any DocumentSigner
  package let verifier: any SignatureVerifier
  package let hashing: any ContentHashing
  package let directory: any DirectorySource
  package let clock: any WallClock

  package init(
    unit: Organ, store: Store, signer: any DocumentSigner, verifier: any SignatureVerifier,
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

  /// Signs what the node says by itself.
  var statusSigner: StatusSigner { StatusSigner(unit: unit, signer: signer, clock: clock) }
}
