/// Shares the review's time among senders: the next turn belongs to the one that had the least of it. A
/// sender with costly messages gets fewer turns, one with many gets no more time than another.
struct FairTurns {
  /// Time that each waiting sender had, beside the least of all.
  private var spent: [String: Duration] = [:]

  /// Begins with the senders that wait now. One that did not wait before begins level with the one
  /// that had the least: nobody saves time up, and nobody is punished for the past.
  /// `isAll` is false when others wait that are not among them: their time is remembered.
  mutating func begin(waiting senders: some Sequence<String>, isAll: Bool) {
    let senders = Set(senders)
    if isAll { spent = spent.filter { senders.contains($0.key) } }
    let least = spent.values.min() ?? .zero
    for (sender, time) in spent { spent[sender] = time - least }
    for sender in senders where spent[sender] == nil { spent[sender] = .zero }
  }

  /// Of `senders` the one whose turn it is; nil when there is none.
  func next(of senders: some Sequence<String>) -> String? {
    senders.min { (spent[$0] ?? .zero, $0) < (spent[$1] ?? .zero, $1) }
  }

  /// Charges the time that judging a message took; its rows cost something too.
  mutating func charge(_ sender: String, _ time: Duration) {
    spent[sender, default: .zero] += max(time, .milliseconds(1))
  }
}
