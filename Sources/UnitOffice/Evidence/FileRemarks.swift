package import ExchangeCore
package import ExchangeStore

extension Store {
  /// What the check noticed in the files of a document that are here, in their order.
  package func remarks(on document: DocumentSummary) -> [(file: Attachment, remark: FileRemark)] {
    var examiner = AttachmentRules.Examiner()
    return document.attachments.flatMap { file in
      // Content that is not here, or cannot be read, is for other parts to report.
      let finding = try? examiner.examine(file) { bytes(of: file) }
      return (finding?.remarks ?? []).map { (file, $0) }
    }
  }

  /// The content of a file that is here, for the check of its format.
  fileprivate func bytes(of file: Attachment) -> AttachmentBytes {
    AttachmentBytes(size: file.size) { offset, count in
      try self.contents.content(file.sha256, offset: offset, count: count)
    }
  }
}
