package import ExchangeCore
package import ExchangeTestKit
package import Foundation

/// A signer that cannot sign, as when a token is pulled out at the wrong moment.
package struct FailingSigner: DocumentSigner {
  package struct Failed: Error {}

  private let real: any DocumentSigner
  private let unable: RecordID?
  private let isAble: Watched<Bool>

  /// Cannot sign anything that names `unable` (anything at all when nil) until `isAble` says so.
  package init(
    real: any DocumentSigner, unable: RecordID? = nil, isAble: Watched<Bool> = Watched(false)
  ) {
    self.real = real
    self.unable = unable
    self.isAble = isAble
  }

  package func sign(_ content: Data, at time: Timestamp) throws -> Data {
    guard
      isAble.value || unable.map({ content.firstRange(of: Data($0.rawValue.utf8)) == nil }) ?? false
    else { throw Failed() }
    return try real.sign(content, at: time)
  }
}
