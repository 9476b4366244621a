import COpenSSL
import Foundation

/// A PKCS#7 SignedData that only carries certificates and revocation lists: the `.p7b` in which
/// authorities hand out their chain.
enum PKCS7File {
  /// What programs write into the BEGIN line of one.
  static let labels: Set<String> = ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"]

  /// Its certificates in their order. Nil when `der` is no such file.
  static func certificates(in der: Data) -> [Certificate]? {
    read(der) { message in
      CMS_get1_certs(message).map { CertificateStack(owning: $0).certificates } ?? []
    }
  }

  /// Its revocation lists. Nil when `der` is no such file.
  static func revocationLists(in der: Data) -> [RevocationList]? {
    read(der) { message in
      let stack = CMS_get1_crls(message)
      defer { congvan_lists_free(stack) }
      return (0..<max(0, congvan_lists_count(stack))).compactMap {
        congvan_lists_at(stack, $0).map(RevocationList.init(sharing:))
      }
    }
  }

  private static func read<Part>(_ der: Data, _ body: (OpaquePointer) -> [Part]) -> [Part]? {
    defer { OpenSSLErrors.clear() }
    let message = MemoryBIO.reading(der) { d2i_CMS_bio($0, nil) }
    guard let message else { return nil }
    defer { CMS_ContentInfo_free(message) }
    return OBJ_obj2nid(CMS_get0_type(message)) == NID_pkcs7_signed ? body(message) : nil
  }
}
