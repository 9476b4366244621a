/// Who acts: the node itself, a person at the machine, or a person with an account.
package enum Actor: Sendable, Hashable {
  /// The node acts by itself. What it does is in the history, and it writes no row of `act`.
  case daemon
  /// A person at the machine's command line, known only by the operating system's user.
  case `operator`(OSUser)
  /// A person with an account of this unit.
  case account(Account)

  /// A user of the operating system.
  package struct OSUser: Sendable, Hashable {
    /// The user whose rights the process has.
    package let name: String
    /// Who called sudo, as sudo says it: a variable of the environment, so a claim and no proof.
    package let sudoUser: String?

    package init(name: String, sudoUser: String? = nil) {
      self.name = name
      self.sudoUser = sudoUser
    }

    package var shown: String { sudoUser.map { "\(name) (sudo: \($0))" } ?? name }
  }

  package struct Account: Sendable, Hashable {
    package enum Capacity: String, Sendable, Hashable {
      /// Acts for the unit.
      case unit
      /// Acts as the person.
      case own
    }

    package let id: String
    package let capacity: Capacity
    /// The account for which this one acts, and the delegation that allows it.
    package let onBehalfOf: String?
    package let delegation: String?
    /// `cli`, or the network address of the browser.
    package let place: String
    package let osUser: OSUser?

    package init(
      id: String, capacity: Capacity, onBehalfOf: String? = nil, delegation: String? = nil,
      place: String, osUser: OSUser? = nil
    ) {
      self.id = id
      self.capacity = capacity
      self.onBehalfOf = onBehalfOf
      self.delegation = delegation
      self.place = place
      self.osUser = osUser
    }
  }

  /// The operator whom the history knows by `name`; the node itself when that is `daemon`.
  package init(_ name: String) {
    self = name == Actor.daemon.name ? .daemon : .operator(OSUser(name: name))
  }

  /// As every history shows it.
  package var name: String {
    switch self {
    case .daemon: "daemon"
    case .operator(let user): user.shown
    case .account(let account): account.id
    }
  }
}

/// What a person did. Raw values are stored; they are only ever added.
package enum ActVerb: String, Sendable, Hashable, CaseIterable {
  case issue
  /// An issued document of this unit was taken in from an export.
  case `import`
  case resend
  /// 02
  case refuse
  /// 13
  case takeBack
  /// 15
  case agree
  /// 16
  case decline
  /// A quarantined message is judged anew.
  case release
  /// A quarantined message is put aside for good.
  case discard
  case reconcile
  /// Damaged content was set aside, or content was taken in.
  case repair
}
