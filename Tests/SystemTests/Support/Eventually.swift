import Foundation

struct TimedOut: Error, CustomStringConvertible {
  let description: String
}

/// Asks again and again until there is an answer; throws `TimedOut` when there is none in time.
func eventually<Answer>(
  within limit: Duration = .seconds(60), _ what: String, every pause: Duration = .milliseconds(50),
  _ probe: () async throws -> Answer?
) async throws -> Answer {
  let deadline = ContinuousClock.now + limit
  while true {
    if let answer = try await probe() { return answer }
    guard ContinuousClock.now < deadline else {
      throw TimedOut(description: "no \(what) within \(limit)")
    }
    try await Task.sleep(for: pause)
  }
}

/// A line for the person who waits for the long tests.
func say(_ text: String) {
  FileHandle.standardError.write(Data("    … \(text)\n".utf8))
}
