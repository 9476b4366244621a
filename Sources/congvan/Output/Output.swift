import ExchangeCore
import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The one way to standard output and standard error. A reader that has gone away, a full disk and a
/// closed descriptor are ends of the program with a status of their own, never a trap.
enum Output {
  /// What the command has done already: said on standard error when its report cannot be written.
  private static let done = Mutex<[String]>([])
  /// One writer at a time, so that lines of several threads do not mix.
  private static let turn = Mutex<Void>(())

  /// To be called first. A descriptor that is closed would be given to the next file that is opened,
  /// the database for example, and a report would be written into it. `/dev/null` takes its place;
  /// for standard output it cannot be written, so a report that is lost is noticed.
  static func prepare() {
    // A reader that went away ends a write with an error, not the process.
    signal(SIGPIPE, SIG_IGN)
    for descriptor: CInt in 0...2 where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      _ = open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR)
    }
  }

  /// Remembers what cannot be undone, before the report about it is written.
  static func hasDone(_ what: Line) { done.withLock { $0.append(what.text) } }

  /// Says on standard error what was done before a failure, which it comes before, and forgets it.
  static func tellDone() {
    for what in takeDone() { writeError("note: done before the failure: \(what)\n") }
  }

  /// Forgets what was done: the report that was just written says it.
  static func hasReported() { _ = takeDone() }

  private static func takeDone() -> [String] {
    done.withLock { list in
      defer { list = [] }
      return list
    }
  }

  /// Writes to standard output, or ends the program: quietly with 141 when nobody reads any more, as
  /// programs that SIGPIPE ends, otherwise with an error and 1.
  static func write(_ text: String) {
    if let code = write(Data(text.utf8), to: STDOUT_FILENO) { stop(code) }
  }

  /// Writes to standard error. That it cannot be written is no reason to stop: there is nobody to tell.
  static func writeError(_ text: String) {
    _ = write(Data(text.utf8), to: STDERR_FILENO)
  }

  /// Some file systems report only here that what was written is lost.
  static func finish() {
    if close(STDOUT_FILENO) != 0, errno != EBADF, errno != EINTR { stop(errno) }
  }

  private static func stop(_ code: CInt) -> Never {
    let done = takeDone()
    if code == EPIPE {
      for what in done { writeError("note: \(what), but nobody read the report\n") }
      exit(128 + SIGPIPE)
    }
    let cause = code == EBADF ? "is closed" : String(cString: strerror(code))
    writeError("error[OUTPUT-FAILED]: standard output: \(cause)\n")
    for what in done { writeError("  done all the same: \(what)\n") }
    writeError(
      done.isEmpty
        ? "  next: Run the command again with an output that takes its text.\n"
        : "  next: Do not repeat the command: what it was to do is done. Look at it with a listing.\n"
    )
    exit(1)
  }

  /// The error number of the write that failed, or nil.
  private static func write(_ data: Data, to descriptor: CInt) -> CInt? {
    turn.withLock { _ in
      var written = 0
      while written < data.count {
        let put = data.withUnsafeBytes { bytes in
          Glibc.write(descriptor, bytes.baseAddress?.advanced(by: written), data.count - written)
        }
        if put > 0 {
          written += put
        } else if put == 0 {
          return EIO
        } else if errno == EAGAIN {
          // Somebody made the pipe or terminal non-blocking: wait until it takes more.
          var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          guard poll(&waiting, 1, descriptor == STDERR_FILENO ? 1000 : -1) != 0 else {
            return EAGAIN
          }
        } else if errno != EINTR {
          return errno
        }
      }
      return nil
    }
  }
}

/// Text for a person. What the source code says stands as it is; every value that is put in is made
/// harmless, so that no call site can forget it.
struct Line: ExpressibleByStringInterpolation, Sendable {
  let text: String

  init(stringLiteral value: String) { text = value }
  init(stringInterpolation: Interpolation) { text = stringInterpolation.text }
  private init(_ text: String) { self.text = text }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + interpolationCount * 16)
    }

    mutating func appendLiteral(_ literal: String) { text += literal }
    mutating func appendInterpolation(_ line: Line) { text += line.text }
    mutating func appendInterpolation<Value>(_ value: Value) {
      text += HarmlessText.line("\(value)")
    }
    /// Text of several lines: each is made harmless.
    mutating func appendInterpolation(lines: String) {
      text += lines.split(separator: "\n", omittingEmptySubsequences: false)
        .map { HarmlessText.line(String($0)) }.joined(separator: "\n")
    }
  }

  static func + (left: Line, right: Line) -> Line { Line(left.text + right.text) }

  /// The lines one after the other.
  static func joined(_ lines: some Sequence<Line>, _ separator: String = "") -> Line {
    Line(lines.map(\.text).joined(separator: separator))
  }
}
