import Foundation

/// What libFuzzer calls. One program holds all targets, because linking costs more than choosing:
/// CONGVAN_FUZZ_TARGET names the one to run.
///
/// A target traps when an invariant is broken; libFuzzer then keeps the input and ends the process.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  Target.chosen.run(Data(UnsafeRawBufferPointer(start: bytes, count: count)))
  return 0
}

/// Called once before anything else: a wrong name or a broken world ends the run here, with a
/// sentence, and not in the middle of it.
@_cdecl("LLVMFuzzerInitialize")
func initialize(
  _ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?
) -> CInt {
  // The world stays for good, in `Data` whose pointers the leak detector cannot read.
  ignoreLeaks()
  if Target.chosen == .cms { CMSTarget.checkSeeds() }
  watchLeaks()
  return 0
}

/// Of address sanitizer; without arguments the C and the Swift calling convention agree.
@_silgen_name("__lsan_disable") private func ignoreLeaks()
@_silgen_name("__lsan_enable") private func watchLeaks()

/// One kind of bytes that a peer, the broker or a file hands over.
enum Target: String, CaseIterable {
  case manifest, status, tally, directory, attachment, text, frames, cms
  case tallyAnswer = "tally-answer"

  static let chosen: Target = {
    let name = ProcessInfo.processInfo.environment["CONGVAN_FUZZ_TARGET"] ?? ""
    guard let target = Target(rawValue: name) else {
      let names = allCases.map(\.rawValue).joined(separator: " ")
      fatalError("CONGVAN_FUZZ_TARGET is “\(name)”, not one of: \(names)")
    }
    return target
  }()

  func run(_ bytes: Data) {
    switch self {
    case .manifest: JSONTargets.manifest(bytes)
    case .status: JSONTargets.status(bytes)
    case .tally: JSONTargets.tally(bytes)
    case .tallyAnswer: JSONTargets.tallyAnswer(bytes)
    case .directory: DirectoryTarget.run(bytes)
    case .attachment: AttachmentTarget.run(bytes)
    case .text: TextTarget.run(bytes)
    case .frames: FramesTarget.run(bytes)
    case .cms: CMSTarget.run(bytes)
    }
  }
}

/// An invariant that must hold whatever the input is.
func require(_ condition: Bool, _ broken: @autoclosure () -> String) {
  guard condition else { fatalError("invariant broken: \(broken())") }
}
