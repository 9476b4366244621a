import ExchangeCore
import Foundation
package import Logging

#if canImport(Glibc)
  import Glibc
#endif

/// The log: one line an event, whatever a peer, the broker or a file put into it.
/// Every value is made harmless and cut here, so that no place that logs can forget it.
package struct HarmlessLog: LogHandler {
  /// Scalars of one value; what a peer wrote may be a megabyte long.
  static let maximumValue = 500

  private let label: String
  private let write: @Sendable (String) -> Void
  package var logLevel = Logger.Level.info
  package var metadata = Logger.Metadata()
  package var metadataProvider: Logger.MetadataProvider?

  /// `write` gets each line with its line feed.
  package init(label: String, write: @escaping @Sendable (String) -> Void) {
    self.label = label
    self.write = write
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) { write(line(event, at: Self.timestamp())) }

  private func line(_ event: LogEvent, at time: String) -> String {
    var values = metadata
    values.merge(metadataProvider?.get() ?? [:]) { $1 }
    values.merge(event.metadata ?? [:]) { $1 }
    if let error = event.error { values["error.message"] = "\(error)" }
    let fields = values.sorted { $0.key < $1.key }.map { key, value in
      " \(HarmlessText.line(key, maximum: Self.maximumValue))=\(Self.field("\(value)"))"
    }
    let message = HarmlessText.line("\(event.message)", maximum: Self.maximumValue)
    return "\(time) \(event.level) \(label):\(fields.joined()) [\(event.source)] \(message)\n"
  }

  /// A value that could be taken for a further field (`x error=none`) stands in quotes.
  private static func field(_ value: String) -> String {
    let text = HarmlessText.line(value, maximum: maximumValue)
    let isForged = text.hasPrefix("\"") || text.contains(/\s\S*=/) || text.contains(/\s\[\S*\]/)
    return isForged ? "\"" + text.replacing("\"", with: "\\\"") + "\"" : text
  }

  private static func timestamp() -> String {
    var seconds = time(nil)
    var parts = tm()
    localtime_r(&seconds, &parts)
    var buffer = [CChar](repeating: 0, count: 64)
    let length = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S%z", &parts)
    return String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
