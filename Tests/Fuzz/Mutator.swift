import ExchangeTestKit
import Foundation

/// Offered by libFuzzer: its ordinary mutation. The C and the Swift calling convention agree for
/// three words.
@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int, _ limit: Int) -> Int

/// How inputs are changed. Changed bytes alone hardly ever get past the lengths of DER, so every
/// other signed message is changed as a tree and written with the lengths that fit.
@_cdecl("LLVMFuzzerCustomMutator")
func customMutator(
  _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: CUnsignedInt
) -> Int {
  var random = SeededRandom(seed: UInt64(seed))
  guard Target.chosen == .cms, random.chance(50),
    var tree = DERTree(UnsafeBufferPointer(start: bytes, count: count))
  else { return mutate(bytes, count, limit) }
  let donor = tree.node(Int.random(in: 0..<tree.count, using: &random))
  tree.change(Int.random(in: 0..<tree.count, using: &random)) {
    change(&$0, donor: donor, using: &random)
  }
  let changed = tree.encoded
  guard !changed.isEmpty, changed.count <= limit else { return mutate(bytes, count, limit) }
  changed.copyBytes(to: bytes, count: changed.count)
  return changed.count
}

private func change(_ node: inout DERTree, donor: DERTree, using random: inout SeededRandom) {
  switch Int.random(in: 0..<6, using: &random) {
  case 0: node = donor
  case 1: node.tag = donor.tag
  case 2 where !node.children.isEmpty:
    node.children.remove(at: Int.random(in: 0..<node.children.count, using: &random))
  case 3 where !node.children.isEmpty: node.children.shuffle(using: &random)
  case 4:
    node.children.insert(donor, at: Int.random(in: 0...node.children.count, using: &random))
  default:
    let count = node.bytes.count
    node.bytes += [UInt8](repeating: 0, count: 64)
    let changed = node.bytes.withUnsafeMutableBufferPointer {
      mutate($0.baseAddress, count, $0.count)
    }
    node.bytes.removeSubrange(changed...)
  }
}

extension DERTree {
  /// Values in this one, itself among them.
  fileprivate var count: Int { children.reduce(1) { $0 + $1.count } }

  /// The value at `index`, outermost first.
  fileprivate func node(_ index: Int) -> DERTree {
    var copy = self
    var found = self
    copy.change(index) { found = $0 }
    return found
  }

  /// Changes the value at `index`.
  fileprivate mutating func change(_ index: Int, _ body: (inout DERTree) -> Void) {
    guard index > 0 else { return body(&self) }
    var first = 1
    for child in children.indices {
      let count = children[child].count
      if index < first + count { return children[child].change(index - first, body) }
      first += count
    }
  }
}
