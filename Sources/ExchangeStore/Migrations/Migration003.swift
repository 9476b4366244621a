/// Statuses by the unit that gave them: a document for thousands of units has thousands of statuses,
/// and a tally asks for those of one. Frozen: a later change is a new migration.
enum Migration003 {
  static let name = "003 statuses by unit"

  static let sql = """
    DROP INDEX status_document;
    CREATE INDEX status_unit ON status (document, fromUnit, key);
    CREATE INDEX status_takeBack ON status (document, toUnit) WHERE code = '13';
    """
}
