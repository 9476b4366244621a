/// How far ahead of its arrival a statement may be dated (schemas/README.md section 6): the same
/// limits as for signing times.
package enum StatementTimes {
  /// How far the writer's clock may run ahead of this machine's.
  package static let clockSkew = Duration.seconds(600)
  /// Further ahead than `clockSkew`, up to this, a statement waits: one of two clocks is wrong.
  package static let patience = Duration.seconds(86_400)
}
