package import ExchangeCore

/// The acts of a clerk or an administrator, as the CLI and the web call them; each stands in a file that
/// carries its name. None needs the daemon: they write to the database, and the daemon acts.
package struct Office: Sendable {
  package let context: OfficeContext
  /// Who acts: recorded with every act.
  package let actor: Actor
  let limits: OfficeLimits

  package init(context: OfficeContext, actor: Actor, limits: OfficeLimits = OfficeLimits()) {
    self.context = context
    self.actor = actor
    self.limits = limits
  }
}
