/// What the fault campaign asked for: messages that wait for the clock, what a peer may store here,
/// the health of content files, deliveries that somebody should look at, large resends. Frozen: a
/// later change is a new migration.
enum Migration002 {
  static let name = "resilience"

  static let sql = """
    -- Judged no earlier: its signing time lies ahead of this machine's clock.
    ALTER TABLE received ADD COLUMN notBefore INTEGER;

    -- What a unit holds here in quarantine, for its limit.
    CREATE INDEX received_kept ON received (sender, size)
      WHERE state = 'quarantined' AND body IS NOT NULL;

    -- 1: pieces of a unit that no document names (yet). Bounded, and removed when none comes.
    ALTER TABLE blob ADD COLUMN isUnnamed INTEGER NOT NULL DEFAULT 0 CHECK (isUnnamed IN (0, 1));
    UPDATE blob SET isUnnamed = 1 WHERE sender IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM attachment WHERE attachment.sha256 = blob.sha256);
    CREATE INDEX blob_unnamed ON blob (sender, createdAt) WHERE isUnnamed = 1;
    CREATE TRIGGER attachment_names AFTER INSERT ON attachment
    BEGIN UPDATE blob SET isUnnamed = 0 WHERE sha256 = NEW.sha256 AND isUnnamed = 1; END;

    -- When a content file was last read and compared with its digest.
    ALTER TABLE blob ADD COLUMN checkedAt INTEGER;
    CREATE INDEX blob_checked ON blob (checkedAt) WHERE content IS NULL;

    -- Content named by a document with a secrecy mark (Điều 5): pieces that still come are removed.
    CREATE TABLE secretContent (
      sender TEXT NOT NULL,
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
      at INTEGER NOT NULL,
      PRIMARY KEY (sender, sha256)
    ) STRICT, WITHOUT ROWID;

    -- When the log said that the delivery is overdue or about to expire.
    ALTER TABLE delivery ADD COLUMN warnedAt INTEGER;
    CREATE INDEX delivery_outstanding ON delivery (publishedAt) WHERE state = 'published';

    -- A large resend, worked off in steps; what is left of it is in resendItem.
    CREATE TABLE resendJob (
      key INTEGER PRIMARY KEY,
      actor TEXT NOT NULL,
      reason TEXT NOT NULL,
      total INTEGER NOT NULL CHECK (total > 0),
      queued INTEGER NOT NULL DEFAULT 0,
      leftAlone INTEGER NOT NULL DEFAULT 0,
      createdAt INTEGER NOT NULL,
      finishedAt INTEGER
    ) STRICT;
    CREATE TABLE resendItem (
      job INTEGER NOT NULL REFERENCES resendJob (key),
      delivery INTEGER NOT NULL REFERENCES delivery (key),
      PRIMARY KEY (job, delivery)
    ) STRICT, WITHOUT ROWID;
    """
}
