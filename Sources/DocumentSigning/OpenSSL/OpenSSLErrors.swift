import COpenSSL

/// What OpenSSL put into this thread's error queue, taken out at once: the queue is per thread and
/// outlives the call, so an entry that stays is blamed on whoever fails next on the same thread.
struct OpenSSLErrors {
  /// One entry: numbers for decisions, text for people.
  struct Entry {
    let library: Int32
    let reason: Int32
    let text: String
  }

  /// Oldest first. At most 16, the size of OpenSSL's ring.
  let entries: [Entry]

  /// Takes everything out of the queue.
  static func drain() -> OpenSSLErrors {
    var entries: [Entry] = []
    while true {
      let code = ERR_get_error()
      guard code != 0 else { return OpenSSLErrors(entries: entries) }
      let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
      entries.append(
        Entry(library: congvan_error_library(code), reason: congvan_error_reason(code), text: text))
    }
  }

  /// Throws away what is in the queue.
  static func clear() { ERR_clear_error() }

  func contains(library: Int32, reason: Int32) -> Bool {
    entries.contains { $0.library == library && $0.reason == reason }
  }

  /// Whether an algorithm is missing, and not its input wrong: a cipher that only the legacy provider
  /// has, or one that this OpenSSL does not know.
  var saysUnsupported: Bool {
    entries.contains { entry in
      [ERR_LIB_EVP, ERR_LIB_PEM, ERR_LIB_PKCS12].contains(entry.library)
        && (entry.text.hasPrefix("unsupported") || entry.text.hasPrefix("unknown"))
    }
  }

  /// The first and therefore most specific cause, or a sentence saying there was none.
  var text: String { entries.first?.text ?? "OpenSSL gave no reason" }
}
