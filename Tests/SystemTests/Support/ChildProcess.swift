import Foundation
import Glibc
import Synchronization

/// A program that a test started. It ends with the test process at the latest (see `CleanUp`).
final class ChildProcess: Sendable {
  enum Ending: Sendable, Equatable {
    case exited(Int32)
    case killed(signal: Int32)
  }

  let pid: pid_t
  private let ending = Mutex<Ending?>(nil)

  /// Starts `program` with this process's environment, without its `CONGVAN_` variables (but for those
  /// of the tests, which choose the broker) and with `environment` over it. Output goes to files, so that nobody has to read it in time.
  init(
    _ program: String, _ arguments: [String], environment: [String: String] = [:],
    output: String, errors: String
  ) throws {
    var variables = ProcessInfo.processInfo.environment.filter {
      !$0.key.hasPrefix("CONGVAN_") || $0.key.hasPrefix("CONGVAN_TEST_")
    }
    variables.merge(CleanUp.shared.variables) { $1 }
    variables.merge(environment) { $1 }
    pid = try Spawn.start(
      program, arguments, environment: variables, input: "/dev/null", output: output,
      errors: errors)
    Thread { [self] in
      // Reaped under the lock: until then the pid is this process's and nobody else's.
      var information = siginfo_t()
      while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
      ending.withLock { ending in
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        let signal = status & 0x7F
        ending = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
      }
    }.start()
  }

  var isRunning: Bool { ending.withLock { $0 == nil } }

  /// Nothing happens when it has ended already.
  func send(_ signal: Int32) {
    ending.withLock { if $0 == nil { kill(pid, signal) } }
  }

  /// How it ended; throws `TimedOut` when it still runs after `limit`.
  func end(within limit: Duration) async throws -> Ending {
    try await eventually(within: limit, "the end of process \(pid)", every: .milliseconds(5)) {
      ending.withLock { $0 }
    }
  }

  /// Ends it without asking, and waits for that. For cleaning up: not cancelled with the test.
  func terminate() {
    send(SIGKILL)
    while isRunning { usleep(2000) }
  }
}

/// `posix_spawn` with the few settings that the tests need.
enum Spawn {
  struct Failed: Error { let program: String, code: Int32 }

  /// Starts `program` in a session of its own with nothing but the three named files open.
  static func start(
    _ program: String, _ arguments: [String], environment: [String: String], input: String,
    output: String, errors: String
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    let write = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 1, output, write, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errors, write, 0o600)
    // Closing what is not open is no failure here.
    for descriptor: Int32 in 3..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which Glibc's module hides
    posix_spawnattr_setflags(&attributes, Int16(newSession | Int32(POSIX_SPAWN_SETSIGMASK)))
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] =
      environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in words + variables { free(text) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, &attributes, &words, &variables)
    guard code == 0 else { throw Failed(program: program, code: code) }
    return pid
  }
}
