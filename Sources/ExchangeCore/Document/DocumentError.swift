/// Why a document cannot be sent, a received one breaks the rules, or an act about one is incomplete.
package typealias DocumentError = Failure<DocumentErrorCode>

package enum DocumentErrorCode: String, FailureCode {
  case referenceNumber = "DOCUMENT-NUMBER"
  case date = "DOCUMENT-DATE"
  case text = "DOCUMENT-TEXT"
  case encoding = "DOCUMENT-TEXT-ENCODING"
  case secrecy = "DOCUMENT-SECRECY"
  case recipients = "DOCUMENT-RECIPIENTS"
  case attachmentName = "ATTACHMENT-NAME"
  case attachmentDuplicate = "ATTACHMENT-DUPLICATE"
  case attachmentFormat = "ATTACHMENT-FORMAT"
  case attachmentSize = "ATTACHMENT-SIZE"
  case attachmentMissing = "ATTACHMENT-NOT-FOUND"
  case attachmentUnreadable = "ATTACHMENT-UNREADABLE"
  case tooLarge = "DOCUMENT-TOO-LARGE"
  case malformed = "DOCUMENT-MALFORMED"
  case version = "DOCUMENT-VERSION"
  case reason = "REASON-MISSING"

  package var hint: String {
    switch self {
    case .referenceNumber:
      "Write the reference number as on the document: --number 159/QĐ-LĐLĐ or --number 762-CV/TU."
    case .date: "Write an existing date as year-month-day, for example 2018-07-04."
    case .text: "Shorten or correct the named field."
    case .encoding:
      "Type the text in Unicode (TCVN 6909:2001); convert old TCVN3 or VNI text first."
    case .secrecy:
      "Documents with a secrecy mark must not enter the system (Điều 5); send them on paper."
    case .recipients: "See the units with: congvan units"
    case .attachmentName: "Rename the file and send again."
    case .attachmentDuplicate: "Name each file once, and give different files different names."
    case .attachmentFormat:
      "Send PDF, DOCX, XLSX, PPTX, ODT, ODS, ODP, DOC, XLS, PPT, RTF, PNG, JPG, TIFF, TXT, CSV, "
        + "XML, ZIP, RAR or 7Z, and give the file the extension of what it really is."
    case .attachmentSize: "An attachment has at least 1 byte; see limits.* in the configuration."
    case .attachmentMissing: "Check the path; quote names with spaces."
    case .attachmentUnreadable: "Check the file's permissions and that it is a regular file."
    case .tooLarge: "Send fewer or smaller files; see limits.documentBytes in the configuration."
    case .malformed: "The sender's software must follow schemas/README.md; tell its administrator."
    case .version: "The sender uses a newer version: update this node."
    case .reason: "Give a reason: it is recorded, and sent along with a refusal."
    }
  }
}
