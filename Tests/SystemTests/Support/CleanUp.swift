import Foundation
import Glibc

/// Leaves nothing behind: when this process ends, in whatever way, a watching shell ends the
/// programs that it started, removes its brokers and deletes its folder.
///
/// The shell reads from a pipe of which only this process holds the other end, so it also notices
/// a SIGKILL. The programs are recognised by a variable in their environment.
final class CleanUp: Sendable {
  static let shared = CleanUp()

  /// Everything that the tests write.
  let folder: String
  /// Marks the programs that the tests start.
  let variables: [String: String]
  private let line: Int32
  private let watcher: pid_t

  private static let script = """
    trap '' INT TERM HUP
    cat >/dev/null
    grep -lszxF "SYSTEMTESTS_RUN=$1" /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -KILL
    for broker in "$2"/*/broker; do
      if [ -e "$broker/node" ]; then "$3/broker" remove "$broker"; fi
      if [ -e "$broker/epmd.port" ]; then "$3/cluster" remove "$broker"; fi
    done
    grep -F " $2/" /proc/mounts | cut -d' ' -f2 | xargs -r umount -l
    rm -rf "$2"
    """

  private init() {
    folder = "/tmp/congvan-system-\(getpid())-\(UInt32.random(in: 0...(.max)))"
    let name = UUID().uuidString
    variables = ["SYSTEMTESTS_RUN": name]
    mkdir(folder, 0o700)
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    line = ends[1]
    _ = fcntl(line, F_SETFD, FD_CLOEXEC)
    let reading = "/proc/\(getpid())/fd/\(ends[0])"
    let started = try? Spawn.start(
      "/bin/bash", ["-c", Self.script, "cleanup", name, folder, Places.deploy],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], input: reading,
      output: "/dev/null", errors: "/dev/null")
    // Opened through /proc, the shell's end is a second one: ours may go.
    close(ends[0])
    guard let started else { fatalError("cannot start the watching shell") }
    watcher = started
    atexit {
      close(CleanUp.shared.line)
      var status: Int32 = 0
      waitpid(CleanUp.shared.watcher, &status, 0)
    }
  }

  /// A new folder for `purpose`.
  static func folder(_ purpose: String) throws -> String {
    let path = "\(shared.folder)/\(purpose)-\(UInt32.random(in: 0...(.max)))"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return path
  }
}

/// Where the things under test are.
enum Places {
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
  static let deploy = "\(root)/deploy"
  static let pythonClient = "\(root)/Tests/PythonClient/congvan_client.py"

  /// The program, beside the test bundle that was built with it.
  static let congvan: String = {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let beside = URL(filePath: bundle).deletingLastPathComponent().path + "/congvan"
    return FileManager.default.isExecutableFile(atPath: beside)
      ? beside : "\(root)/.build/debug/congvan"
  }()
}
