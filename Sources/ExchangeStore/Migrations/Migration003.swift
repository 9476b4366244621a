/// A way back from `cancelled`; and indexes for what grows: thousands of units and statuses of one document, years of deliveries and
/// tallies, and what a hostile unit may pile up. Frozen: a later change is a new migration.
enum Migration003 {
  static let name = "growth"

  static let sql = """
    -- A take-back was declined by all who have the document: it can be sent to the others after all.
    INSERT INTO transition (machine, fromState, toState) VALUES ('outgoing', 'cancelled', 'queued');

    -- A document for thousands of units has thousands of statuses; a tally asks for those of one.
    DROP INDEX status_document;
    CREATE INDEX status_unit ON status (document, fromUnit, key);
    CREATE INDEX status_takeBack ON status (document, toUnit) WHERE code = '13';

    -- Which units need a tally, asked every minute.
    DROP INDEX delivery_recipient;
    CREATE INDEX delivery_recipient ON delivery (recipient, state, updatedAt);
    CREATE INDEX tally_at ON tally (unit, direction, at);
    -- Those that go again come after those that have waited longer.
    DROP INDEX notice_queued;
    CREATE INDEX notice_queued ON notice (updatedAt, key) WHERE state = 'queued';
    CREATE INDEX notice_suspended ON notice (updatedAt) WHERE state = 'suspended';

    -- Messages that wait for the clock are not in the way of those that do not.
    DROP INDEX received_unjudged;
    CREATE INDEX received_unjudged ON received (lane, key)
      WHERE state = 'received' AND notBefore IS NULL;
    CREATE INDEX received_postponed ON received (lane, notBefore)
      WHERE state = 'received' AND notBefore IS NOT NULL;
    CREATE INDEX received_postponedBy ON received (sender, state, notBefore, size)
      WHERE state = 'received' AND notBefore IS NOT NULL;

    -- What a unit has here without a name is summed up for each piece; from the index alone, because
    -- the rows have the content in them.
    DROP INDEX blob_unnamed;
    CREATE INDEX blob_unnamed ON blob (sender, isUnnamed, createdAt, size) WHERE isUnnamed = 1;
    """
}
