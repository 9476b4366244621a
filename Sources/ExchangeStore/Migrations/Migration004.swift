/// What real users, a newer broker and a hostile peer asked for: who acted, keys that make an issue idempotent, and sums that
/// bound what one unit may hold here. Frozen once it has landed: a later change is a new migration.
enum Migration004 {
  static let name = "mended"

  static let sql = acts + issuing + bodies + neighbours + statements

  /// Who acted: one row for every act of a person.
  private static let acts = """
    -- Ids and codes only: free text is in actText, which may be removed.
    CREATE TABLE act (
      key INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      verb TEXT NOT NULL CHECK (verb <> ''),
      capacity TEXT NOT NULL CHECK (capacity IN ('unit', 'own', 'operator')),
      account TEXT,
      osUser TEXT,
      -- Who called sudo, as sudo says it.
      sudoUser TEXT,
      onBehalfOf TEXT,
      delegation TEXT,
      -- cli, or the address of a browser.
      place TEXT NOT NULL,
      -- What it is about: document, deliveries, message, unit, content.
      kind TEXT NOT NULL CHECK (kind <> ''),
      subjectKey INTEGER,
      subjectID TEXT,
      document INTEGER REFERENCES document (key),
      CHECK ((capacity = 'operator') = (account IS NULL)),
      CHECK (account IS NOT NULL OR osUser IS NOT NULL),
      CHECK (delegation IS NULL OR onBehalfOf IS NOT NULL)
    ) STRICT;
    CREATE INDEX act_document ON act (document, key) WHERE document IS NOT NULL;
    CREATE TRIGGER act_kept BEFORE UPDATE ON act
    BEGIN SELECT RAISE(ABORT, 'an act is never changed'); END;
    CREATE TRIGGER act_stays BEFORE DELETE ON act
    BEGIN SELECT RAISE(ABORT, 'an act is never deleted'); END;

    -- What a person wrote about an act.
    CREATE TABLE actText (
      act INTEGER NOT NULL PRIMARY KEY REFERENCES act (key),
      reason TEXT NOT NULL
    ) STRICT;

    -- The act that caused a transition; NULL for what the node does by itself, and before this table.
    ALTER TABLE history ADD COLUMN act INTEGER REFERENCES act (key);
    ALTER TABLE resendJob ADD COLUMN act INTEGER REFERENCES act (key);
    """

  /// Idempotency keys of `send`.
  private static let issuing = """
    CREATE TABLE issueKey (
      key TEXT NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
      document INTEGER NOT NULL UNIQUE REFERENCES document (key),
      -- JSON: field of the request → SHA-256 of its value, to tell a repetition from another document.
      fields BLOB NOT NULL,
      createdAt INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER issueKey_kept BEFORE UPDATE ON issueKey
    BEGIN SELECT RAISE(ABORT, 'a key is never changed'); END;
    -- Numbers of a year, to notice one that is used twice.
    CREATE INDEX document_number ON document (codeNotation, issuedDate, codeNumber)
      WHERE direction = 'outgoing';

    """

  /// Bodies apart from what happens to their messages.
  private static let bodies = """
    -- A change of state does not write a megabyte anew, and reading a row does not read past it.
    CREATE TABLE receivedBody (
      received INTEGER NOT NULL PRIMARY KEY REFERENCES received (key) ON DELETE CASCADE,
      body BLOB NOT NULL
    ) STRICT;
    INSERT INTO receivedBody (received, body)
      SELECT key, body FROM received WHERE body IS NOT NULL;
    ALTER TABLE received ADD COLUMN hasBody INTEGER NOT NULL DEFAULT 0 CHECK (hasBody IN (0, 1));
    UPDATE received SET hasBody = 1 WHERE body IS NOT NULL;
    DROP INDEX received_kept;
    ALTER TABLE received DROP COLUMN body;
    CREATE TRIGGER received_letsGo AFTER UPDATE OF hasBody ON received WHEN NEW.hasBody = 0
    BEGIN DELETE FROM receivedBody WHERE received = NEW.key; END;

    """

  /// Turns and quotas of each sender.
  private static let neighbours = """

    -- Turns: the judge takes the oldest messages of each sender, the relay those for each receiver.
    DROP INDEX received_unjudged;
    CREATE INDEX received_unjudged ON received (lane, sender, key)
      WHERE state = 'received' AND notBefore IS NULL;
    DROP INDEX received_postponed;
    CREATE INDEX received_postponed ON received (lane, sender, notBefore)
      WHERE state = 'received' AND notBefore IS NOT NULL;
    DROP INDEX delivery_queued;
    CREATE INDEX delivery_queued ON delivery (urgency, recipient, key) WHERE state = 'queued';
    DROP INDEX notice_queued;
    CREATE INDEX notice_queued ON notice (toUnit, updatedAt, key) WHERE state = 'queued';
    DROP INDEX received_waiting;
    -- A content that a waiting document lacks; NULL: it is to be looked at.
    ALTER TABLE received ADD COLUMN waitsFor BLOB CHECK (length(waitsFor) = 32);
    CREATE INDEX received_waiting ON received (sender, key)
      WHERE state IN ('verified', 'incomplete') AND waitsFor IS NULL;
    CREATE INDEX received_watching ON received (waitsFor) WHERE waitsFor IS NOT NULL;
    CREATE INDEX transfer_complete ON transfer (sender, key) WHERE pieces * 1048576 >= size;

    -- Pieces that came after the refusal of their document (Điều 5): they are not taken in any more.
    DELETE FROM blob WHERE isUnnamed = 1
      AND (sender, sha256) IN (SELECT sender, sha256 FROM secretContent);
    DELETE FROM transfer WHERE (sender, sha256) IN (SELECT sender, sha256 FROM secretContent)
      AND NOT EXISTS (SELECT 1 FROM attachment a JOIN document ON document.key = a.document
        WHERE a.sha256 = transfer.sha256 AND document.sender = transfer.sender);

    -- Which unit has shown that it has a content: by sending its pieces. What another unit brought says
    -- nothing to a stranger, not even that it is here.
    CREATE TABLE contentSource (
      sender TEXT NOT NULL,
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
      size INTEGER NOT NULL CHECK (size > 0),
      -- 1: a document of this sender names it.
      isNamed INTEGER NOT NULL CHECK (isNamed IN (0, 1)),
      createdAt INTEGER NOT NULL,
      PRIMARY KEY (sender, sha256)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX contentSource_content ON contentSource (sha256);
    CREATE INDEX contentSource_unnamed ON contentSource (createdAt) WHERE isNamed = 0;
    INSERT INTO contentSource (sender, sha256, size, isNamed, createdAt)
      SELECT document.sender, a.sha256, a.size, 1, document.createdAt FROM document
      JOIN attachment a ON a.document = document.key
      JOIN received ON received.document = document.key
      WHERE document.direction = 'incoming' AND (received.state = 'accepted'
        OR EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256))
      ON CONFLICT DO NOTHING;
    INSERT INTO contentSource (sender, sha256, size, isNamed, createdAt)
      SELECT sender, sha256, size, 0, createdAt FROM blob WHERE sender IS NOT NULL
      ON CONFLICT DO NOTHING;
    CREATE TRIGGER attachment_namesSource AFTER INSERT ON attachment
    BEGIN UPDATE contentSource SET isNamed = 1 WHERE sha256 = NEW.sha256 AND isNamed = 0
      AND sender = (SELECT sender FROM document WHERE key = NEW.document); END;

    -- What may end a wait.
    CREATE TRIGGER blob_awaited AFTER INSERT ON blob
    BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor = NEW.sha256; END;
    CREATE TRIGGER contentSource_awaited AFTER INSERT ON contentSource
    BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor = NEW.sha256; END;
    CREATE TRIGGER spoiled_awaited AFTER INSERT ON spoiled
    BEGIN \(lookAgain("NEW")) END;
    CREATE TRIGGER transfer_awaited AFTER DELETE ON transfer
      WHEN EXISTS (SELECT 1 FROM spoiled WHERE sender = OLD.sender AND sha256 = OLD.sha256)
    BEGIN \(lookAgain("OLD")) END;

    -- Content that documents name and that was here once: a tally asks for it again.
    CREATE TABLE missingContent (
      sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO missingContent (sha256)
      SELECT DISTINCT a.sha256 FROM attachment a JOIN document ON document.key = a.document
      LEFT JOIN received ON received.document = document.key
      WHERE NOT EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256)
        AND (document.direction = 'outgoing' OR received.state = 'accepted');
    CREATE TRIGGER blob_goes AFTER DELETE ON blob
      WHEN EXISTS (SELECT 1 FROM attachment WHERE sha256 = OLD.sha256)
    BEGIN INSERT INTO missingContent (sha256) VALUES (OLD.sha256) ON CONFLICT DO NOTHING; END;
    CREATE TRIGGER blob_comes AFTER INSERT ON blob
    BEGIN DELETE FROM missingContent WHERE sha256 = NEW.sha256; END;

    -- Documents of the last week, which a tally may fail to name.
    CREATE INDEX received_accepted ON received (sender, receivedAt)
      WHERE state = 'accepted' AND document IS NOT NULL;

    -- When a document was refused last: no unit gets more than one such answer an hour.
    CREATE INDEX status_refusal ON status (documentID, toUnit, recordedAt)
      WHERE direction = 'sent' AND code = '02';

    -- What a peer has here, summed up as it comes and goes. Every row counts with 1 KiB beside its body,
    -- every content with 64 KiB at least.
    CREATE TABLE holding (
      sender TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('unjudged', 'postponed', 'waiting', 'quarantined',
        'unnamed')),
      items INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      PRIMARY KEY (sender, kind)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE received ADD COLUMN heldAs TEXT GENERATED ALWAYS AS (CASE
      WHEN state = 'received' AND notBefore IS NULL THEN 'unjudged'
      WHEN state = 'received' THEN 'postponed'
      WHEN state IN ('verified', 'incomplete') THEN 'waiting'
      WHEN state = 'quarantined' THEN 'quarantined' END) VIRTUAL;
    ALTER TABLE received ADD COLUMN heldBytes INTEGER GENERATED ALWAYS AS (1024 + CASE
      WHEN hasBody OR state IN ('verified', 'incomplete') THEN size ELSE 0 END) VIRTUAL;
    INSERT INTO holding (sender, kind, items, bytes)
      SELECT sender, heldAs, count(*), sum(heldBytes) FROM received
      WHERE heldAs IS NOT NULL GROUP BY sender, heldAs;
    INSERT INTO holding (sender, kind, items, bytes)
      SELECT sender, 'unnamed', count(*), sum(bytes) FROM (
        SELECT sender, max(size, 65536) AS bytes FROM contentSource WHERE isNamed = 0
        UNION ALL SELECT sender, max(size, 65536) FROM transfer
        UNION ALL SELECT sender, 65536 FROM spoiled)
      GROUP BY sender;
    CREATE TRIGGER received_comes AFTER INSERT ON received WHEN NEW.heldAs IS NOT NULL
    BEGIN \(hold("NEW.sender", "NEW.heldAs", "NEW.heldBytes")) END;
    CREATE TRIGGER received_changes AFTER UPDATE OF state, hasBody, notBefore ON received
      WHEN OLD.heldAs IS NOT NEW.heldAs OR OLD.heldBytes <> NEW.heldBytes
    BEGIN
      \(release("OLD.sender", "OLD.heldAs", "OLD.heldBytes"))
      \(hold("NEW.sender", "NEW.heldAs", "NEW.heldBytes", when: "NEW.heldAs IS NOT NULL"))
    END;
    CREATE TRIGGER received_goes AFTER DELETE ON received WHEN OLD.heldAs IS NOT NULL
    BEGIN \(release("OLD.sender", "OLD.heldAs", "OLD.heldBytes")) END;
    CREATE TRIGGER contentSource_comes AFTER INSERT ON contentSource WHEN NEW.isNamed = 0
    BEGIN \(hold("NEW.sender", "'unnamed'", "max(NEW.size, 65536)")) END;
    CREATE TRIGGER contentSource_isNamed AFTER UPDATE OF isNamed ON contentSource
      WHEN OLD.isNamed = 0 AND NEW.isNamed = 1
    BEGIN \(release("OLD.sender", "'unnamed'", "max(OLD.size, 65536)")) END;
    CREATE TRIGGER contentSource_goes AFTER DELETE ON contentSource WHEN OLD.isNamed = 0
    BEGIN \(release("OLD.sender", "'unnamed'", "max(OLD.size, 65536)")) END;
    CREATE TRIGGER transfer_comes AFTER INSERT ON transfer
    BEGIN \(hold("NEW.sender", "'unnamed'", "max(NEW.size, 65536)")) END;
    CREATE TRIGGER transfer_goes AFTER DELETE ON transfer
    BEGIN \(release("OLD.sender", "'unnamed'", "max(OLD.size, 65536)")) END;
    CREATE TRIGGER spoiled_comes AFTER INSERT ON spoiled
    BEGIN \(hold("NEW.sender", "'unnamed'", "65536")) END;
    CREATE TRIGGER spoiled_goes AFTER DELETE ON spoiled
    BEGIN \(release("OLD.sender", "'unnamed'", "65536")) END;

    -- What came beyond a peer's quota, or could not be kept for another reason: only counted.
    CREATE TABLE dropped (
      sender TEXT NOT NULL,
      outcome TEXT NOT NULL,
      items INTEGER NOT NULL,
      firstAt INTEGER NOT NULL,
      lastAt INTEGER NOT NULL,
      PRIMARY KEY (sender, outcome)
    ) STRICT, WITHOUT ROWID;

    -- An answer to a tally said that more statuses wait than it could bring: another tally soon.
    CREATE TABLE tallyDue (
      unit TEXT NOT NULL PRIMARY KEY,
      at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    DROP INDEX received_postponedBy;
    """

  /// Documents of the sender of `row` that name its content are to be looked at.
  private static func lookAgain(_ row: String) -> String {
    """
    UPDATE received SET waitsFor = NULL WHERE waitsFor IS NOT NULL AND sender = \(row).sender
      AND document IN (SELECT document FROM attachment WHERE sha256 = \(row).sha256);
    """
  }

  private static func hold(
    _ sender: String, _ kind: String, _ bytes: String, when condition: String = "true"
  ) -> String {
    """
    INSERT INTO holding (sender, kind, items, bytes)
      SELECT \(sender), \(kind), 1, \(bytes) WHERE \(condition)
      ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes;
    """
  }

  private static func release(_ sender: String, _ kind: String, _ bytes: String) -> String {
    """
    UPDATE holding SET items = items - 1, bytes = bytes - \(bytes)
      WHERE sender = \(sender) AND kind = \(kind);
    """
  }

  /// What a statement is about although it was not believed.
  private static let statements = """
    -- The certificates that a statement of ours was signed with (their digest); NULL for older ones.
    ALTER TABLE status ADD COLUMN signer TEXT CHECK (length(signer) = 64);
    -- The statement of ours that this one repeats, signed with other certificates.
    ALTER TABLE status ADD COLUMN replaces INTEGER REFERENCES status (key);
    CREATE UNIQUE INDEX status_replaces ON status (replaces) WHERE replaces IS NOT NULL;

    -- Statements of ours that somebody asked for and that are to be signed anew.
    CREATE TABLE restatement (
      status INTEGER NOT NULL PRIMARY KEY REFERENCES status (key),
      askedAt INTEGER NOT NULL
    ) STRICT;

    -- What a status that was not believed says it is about: unverified.
    ALTER TABLE received ADD COLUMN correlationID TEXT;
    CREATE TABLE claim (
      received INTEGER NOT NULL PRIMARY KEY REFERENCES received (key) ON DELETE CASCADE,
      document INTEGER NOT NULL REFERENCES document (key),
      unit TEXT NOT NULL,
      code TEXT,
      at INTEGER
    ) STRICT;
    CREATE INDEX claim_document ON claim (document, unit, received);
    """
}
