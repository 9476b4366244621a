import ExchangeCore
import ExchangeStore

extension Store {
  /// The content of a file that is here, for the check of its format.
  func bytes(of file: Attachment) -> AttachmentBytes {
    AttachmentBytes(size: file.size) { offset, count in
      try self.contents.content(file.sha256, offset: offset, count: count)
    }
  }
}
