/// What `strace -f -y` saw of a receiving node: did a commit reach the disk before each ack?
struct AckTrace {
  private(set) var acks = 0
  private(set) var syncs = 0
  /// Lines with an ack that no sync of the database preceded on its thread.
  private(set) var unsafe: [String] = []

  /// A `basic.ack` on channel 1 as strace prints it: method frame of 13 bytes, class 60, method 80.
  private static let ack = #""\1\0\1\0\0\0\r\0<\0P"#

  init(_ text: String) {
    var isSynced: [Substring: Bool] = [:]
    for line in text.split(separator: "\n") {
      guard let thread = line.split(separator: " ", maxSplits: 1).first else { continue }
      let call = line.dropFirst(thread.count).drop { $0 == " " }
      if call.hasPrefix("fdatasync(") || call.hasPrefix("fsync("), call.contains("congvan.db-wal") {
        // An unfinished one ends in a line of its own, before the thread can do anything else.
        isSynced[thread] = call.hasSuffix("= 0") || call.hasSuffix("<unfinished ...>")
        syncs += 1
      } else if call.hasPrefix("<... fdatasync resumed>") || call.hasPrefix("<... fsync resumed>"),
        !call.hasSuffix("= 0")
      {
        isSynced[thread] = false
      } else if call.contains(Self.ack), !call.hasPrefix("<...") {
        acks += 1
        if isSynced.updateValue(false, forKey: thread) != true { unsafe.append(String(line)) }
      }
    }
  }
}
