/// The first schema. Frozen: a later change is a new migration. Names are strings here and know no
/// application type, because a migration describes the past.
///
/// Times are microseconds since 1970-01-01 UTC; digests are 32 bytes.
enum Migration001 {
  static let name = "exchange"

  static let sql = """
    CREATE TABLE node (
      key TEXT NOT NULL PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Every legal change of a transport state; triggers below refuse all others.
    CREATE TABLE transition (
      machine TEXT NOT NULL CHECK (machine IN ('outgoing', 'incoming')),
      fromState TEXT NOT NULL,
      toState TEXT NOT NULL,
      PRIMARY KEY (machine, fromState, toState)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO transition (machine, fromState, toState) VALUES
      ('outgoing', 'queued', 'published'), ('outgoing', 'queued', 'retrying'),
      ('outgoing', 'queued', 'suspended'), ('outgoing', 'queued', 'cancelled'),
      ('outgoing', 'queued', 'delivered'), ('outgoing', 'queued', 'refused'),
      ('outgoing', 'queued', 'expired'),
      ('outgoing', 'retrying', 'queued'), ('outgoing', 'retrying', 'published'),
      ('outgoing', 'retrying', 'suspended'), ('outgoing', 'retrying', 'cancelled'),
      ('outgoing', 'retrying', 'delivered'), ('outgoing', 'retrying', 'refused'),
      ('outgoing', 'retrying', 'expired'), ('outgoing', 'retrying', 'retrying'),
      ('outgoing', 'published', 'delivered'), ('outgoing', 'published', 'refused'),
      ('outgoing', 'published', 'suspended'), ('outgoing', 'published', 'expired'),
      ('outgoing', 'published', 'queued'),
      ('outgoing', 'suspended', 'queued'), ('outgoing', 'suspended', 'cancelled'),
      ('outgoing', 'suspended', 'delivered'), ('outgoing', 'suspended', 'refused'),
      ('outgoing', 'delivered', 'refused'), ('outgoing', 'delivered', 'queued'),
      ('outgoing', 'refused', 'queued'), ('outgoing', 'refused', 'delivered'),
      ('outgoing', 'cancelled', 'delivered'), ('outgoing', 'cancelled', 'refused'),
      ('outgoing', 'expired', 'queued'), ('outgoing', 'expired', 'delivered'),
      ('outgoing', 'expired', 'refused'),
      ('incoming', 'received', 'verified'), ('incoming', 'received', 'incomplete'),
      ('incoming', 'received', 'accepted'), ('incoming', 'received', 'quarantined'),
      ('incoming', 'verified', 'accepted'), ('incoming', 'verified', 'incomplete'),
      ('incoming', 'verified', 'quarantined'),
      ('incoming', 'incomplete', 'accepted'), ('incoming', 'incomplete', 'quarantined'),
      ('incoming', 'incomplete', 'verified'),
      ('incoming', 'quarantined', 'received'), ('incoming', 'quarantined', 'discarded'),
      ('incoming', 'accepted', 'received');

    -- Content by digest: small content here, larger content as blobs/<2 digits>/<digest>.
    CREATE TABLE blob (
      sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
      size INTEGER NOT NULL CHECK (size > 0),
      content BLOB CHECK (content IS NULL OR length(content) = size),
      -- The unit whose pieces brought it; NULL for content of this unit.
      sender TEXT,
      createdAt INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE document (
      key INTEGER PRIMARY KEY,
      direction TEXT NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
      id TEXT NOT NULL CHECK (length(id) = 36),
      sender TEXT NOT NULL,
      manifestSha256 BLOB NOT NULL CHECK (length(manifestSha256) = 32),
      signed BLOB NOT NULL,
      codeNumber TEXT NOT NULL,
      codeSeparator TEXT NOT NULL CHECK (codeSeparator IN ('/', '-')),
      codeNotation TEXT NOT NULL,
      issuedDate TEXT NOT NULL CHECK (length(issuedDate) = 10),
      typeName TEXT NOT NULL,
      subject TEXT NOT NULL,
      urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 3),
      createdAt INTEGER NOT NULL,
      -- Taken back or replaced by its sender: kept, shown as such, sent no more.
      frozen TEXT CHECK (frozen IN ('recalled', 'replaced')),
      frozenAt INTEGER,
      CHECK ((frozen IS NULL) = (frozenAt IS NULL)),
      UNIQUE (sender, id)
    ) STRICT;
    CREATE INDEX document_id ON document (id);

    -- A take-back or replacement that came before the document it is about.
    CREATE TABLE frozenAhead (
      sender TEXT NOT NULL,
      id TEXT NOT NULL,
      because TEXT NOT NULL CHECK (because IN ('recalled', 'replaced')),
      PRIMARY KEY (sender, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE attachment (
      document INTEGER NOT NULL REFERENCES document (key),
      position INTEGER NOT NULL CHECK (position >= 0),
      name TEXT NOT NULL,
      mediaType TEXT NOT NULL,
      size INTEGER NOT NULL CHECK (size > 0),
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
      PRIMARY KEY (document, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attachment_sha256 ON attachment (sha256);

    -- Transport of one document to one unit.
    CREATE TABLE delivery (
      key INTEGER PRIMARY KEY,
      document INTEGER NOT NULL REFERENCES document (key),
      recipient TEXT NOT NULL,
      -- Number of this delivery among all to the recipient, for reconciliation.
      sequence INTEGER NOT NULL CHECK (sequence > 0),
      urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 3),
      state TEXT NOT NULL CHECK (state IN ('queued', 'published', 'delivered', 'retrying',
        'suspended', 'refused', 'expired', 'cancelled')),
      progress INTEGER NOT NULL DEFAULT 0 CHECK (progress >= 0),
      attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
      failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
      -- Time during which a reachable broker refused it, and the last refusal.
      failingFor INTEGER NOT NULL DEFAULT 0 CHECK (failingFor >= 0),
      failedAt INTEGER,
      expiresAt INTEGER,
      nextAt INTEGER,
      lastError TEXT,
      lastErrorText TEXT,
      publishedAt INTEGER,
      finishedAt INTEGER,
      createdAt INTEGER NOT NULL,
      updatedAt INTEGER NOT NULL,
      UNIQUE (document, recipient),
      UNIQUE (recipient, sequence),
      CHECK ((state = 'retrying') = (nextAt IS NOT NULL)),
      CHECK (state <> 'delivered' OR finishedAt IS NOT NULL),
      CHECK (state NOT IN ('retrying', 'suspended', 'refused') OR lastError IS NOT NULL)
    ) STRICT;
    CREATE INDEX delivery_queued ON delivery (urgency DESC, key) WHERE state = 'queued';
    CREATE INDEX delivery_retrying ON delivery (nextAt) WHERE state = 'retrying';
    CREATE INDEX delivery_failed ON delivery (state, key)
      WHERE state IN ('suspended', 'refused', 'expired');
    CREATE INDEX delivery_expires ON delivery (expiresAt)
      WHERE expiresAt IS NOT NULL AND state IN ('queued', 'retrying', 'published');
    CREATE INDEX delivery_recipient ON delivery (recipient, state);
    CREATE TRIGGER delivery_begins BEFORE INSERT ON delivery WHEN NEW.state <> 'queued'
    BEGIN SELECT RAISE(ABORT, 'a delivery begins as queued'); END;
    CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery
      WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM transition
        WHERE machine = 'outgoing' AND fromState = OLD.state AND toState = NEW.state)
    BEGIN SELECT RAISE(ABORT, 'illegal transition of a delivery'); END;

    -- Every AMQP message that is not a piece, as it came, stored before it was judged.
    CREATE TABLE received (
      key INTEGER PRIMARY KEY,
      sender TEXT NOT NULL,
      messageID TEXT NOT NULL,
      bodySha256 BLOB NOT NULL CHECK (length(bodySha256) = 32),
      type TEXT NOT NULL,
      version INTEGER,
      body BLOB,
      size INTEGER NOT NULL,
      lane TEXT NOT NULL CHECK (lane IN ('ordinary', 'express')),
      state TEXT NOT NULL CHECK (state IN ('received', 'verified', 'incomplete', 'accepted',
        'quarantined', 'discarded')),
      outcome TEXT,
      detail TEXT,
      document INTEGER REFERENCES document (key),
      duplicates INTEGER NOT NULL DEFAULT 0,
      receivedAt INTEGER NOT NULL,
      updatedAt INTEGER NOT NULL,
      UNIQUE (sender, messageID, bodySha256),
      CHECK (state <> 'quarantined' OR outcome IS NOT NULL),
      CHECK (state NOT IN ('verified', 'incomplete') OR document IS NOT NULL)
    ) STRICT;
    CREATE INDEX received_unjudged ON received (lane, key) WHERE state = 'received';
    CREATE INDEX received_waiting ON received (key) WHERE state IN ('verified', 'incomplete');
    CREATE INDEX received_quarantined ON received (key) WHERE state = 'quarantined';
    CREATE UNIQUE INDEX received_document ON received (document) WHERE document IS NOT NULL;
    CREATE TRIGGER received_moves BEFORE UPDATE OF state ON received
      WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM transition
        WHERE machine = 'incoming' AND fromState = OLD.state AND toState = NEW.state)
    BEGIN SELECT RAISE(ABORT, 'illegal transition of a received message'); END;
    -- A status may be judged again when it comes again; an accepted document never is.
    CREATE TRIGGER received_stays BEFORE UPDATE OF state ON received
      WHEN OLD.state = 'accepted' AND OLD.document IS NOT NULL AND NEW.state <> OLD.state
    BEGIN SELECT RAISE(ABORT, 'illegal transition of an accepted document'); END;

    -- Attachments longer than one piece on their way in: spool/<key>.part and which pieces it has.
    CREATE TABLE transfer (
      key INTEGER PRIMARY KEY,
      sender TEXT NOT NULL,
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
      size INTEGER NOT NULL CHECK (size > 0),
      pieces INTEGER NOT NULL DEFAULT 0,
      createdAt INTEGER NOT NULL,
      UNIQUE (sender, sha256, size)
    ) STRICT;
    CREATE TABLE piece (
      transfer INTEGER NOT NULL REFERENCES transfer (key) ON DELETE CASCADE,
      position INTEGER NOT NULL CHECK (position >= 0),
      PRIMARY KEY (transfer, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER piece_counts AFTER INSERT ON piece
    BEGIN UPDATE transfer SET pieces = pieces + 1 WHERE key = NEW.transfer; END;

    -- Content that arrived from a sender and did not have its digest.
    CREATE TABLE spoiled (
      sender TEXT NOT NULL,
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
      at INTEGER NOT NULL,
      PRIMARY KEY (sender, sha256)
    ) STRICT, WITHOUT ROWID;

    -- Business: the append-only log of signed statuses, sent and received.
    CREATE TABLE status (
      key INTEGER PRIMARY KEY,
      direction TEXT NOT NULL CHECK (direction IN ('sent', 'received')),
      id TEXT NOT NULL CHECK (length(id) = 36),
      document INTEGER REFERENCES document (key),
      received INTEGER REFERENCES received (key),
      documentID TEXT NOT NULL,
      fromUnit TEXT NOT NULL,
      toUnit TEXT NOT NULL,
      code TEXT NOT NULL CHECK (code GLOB '[0-9][0-9]'),
      at INTEGER NOT NULL,
      reasonCode TEXT,
      note TEXT,
      arrivalNumber TEXT,
      staff TEXT,
      signed BLOB NOT NULL,
      recordedAt INTEGER NOT NULL,
      UNIQUE (fromUnit, id)
    ) STRICT;
    CREATE INDEX status_document ON status (document, key);
    CREATE INDEX status_received ON status (received) WHERE received IS NOT NULL;
    CREATE TRIGGER status_kept BEFORE UPDATE ON status
    BEGIN SELECT RAISE(ABORT, 'a status is never changed'); END;
    CREATE TRIGGER status_stays BEFORE DELETE ON status
    BEGIN SELECT RAISE(ABORT, 'a status is never deleted'); END;

    -- Reconciliation between two units: what one says it sent, what the other says it lacks.
    CREATE TABLE tally (
      key INTEGER PRIMARY KEY,
      direction TEXT NOT NULL CHECK (direction IN ('sent', 'received')),
      id TEXT NOT NULL CHECK (length(id) = 36),
      unit TEXT NOT NULL,
      entries INTEGER NOT NULL,
      missing INTEGER,
      at INTEGER NOT NULL,
      answeredAt INTEGER,
      CHECK ((missing IS NULL) = (answeredAt IS NULL)),
      UNIQUE (direction, unit, id)
    ) STRICT;
    CREATE INDEX tally_unit ON tally (unit, direction, key);

    -- Transport of the small signed messages of this unit: statuses, tallies, answers to tallies.
    CREATE TABLE notice (
      key INTEGER PRIMARY KEY,
      status INTEGER UNIQUE REFERENCES status (key),
      tally INTEGER UNIQUE REFERENCES tally (key),
      type TEXT NOT NULL,
      messageID TEXT NOT NULL,
      correlationID TEXT,
      toUnit TEXT NOT NULL,
      lane TEXT NOT NULL CHECK (lane IN ('ordinary', 'express')),
      signed BLOB,
      state TEXT NOT NULL CHECK (state IN ('queued', 'published', 'retrying', 'suspended')),
      attempts INTEGER NOT NULL DEFAULT 0,
      failures INTEGER NOT NULL DEFAULT 0,
      failingFor INTEGER NOT NULL DEFAULT 0,
      failedAt INTEGER,
      nextAt INTEGER,
      lastError TEXT,
      lastErrorText TEXT,
      updatedAt INTEGER NOT NULL,
      CHECK ((status IS NULL) = (tally IS NOT NULL)),
      CHECK ((status IS NULL) = (signed IS NOT NULL)),
      CHECK ((state = 'retrying') = (nextAt IS NOT NULL))
    ) STRICT;
    CREATE INDEX notice_queued ON notice (key) WHERE state = 'queued';
    CREATE INDEX notice_retrying ON notice (nextAt) WHERE state = 'retrying';

    -- Every transition, with who and why.
    CREATE TABLE history (
      key INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      subject TEXT NOT NULL CHECK (subject IN ('delivery', 'received')),
      subjectKey INTEGER NOT NULL,
      document INTEGER REFERENCES document (key),
      fromState TEXT,
      toState TEXT NOT NULL,
      actor TEXT NOT NULL,
      cause TEXT NOT NULL,
      detail TEXT
    ) STRICT;
    CREATE INDEX history_document ON history (document, key);
    CREATE INDEX history_subject ON history (subject, subjectKey);
    CREATE TRIGGER history_kept BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is never changed'); END;
    CREATE TRIGGER history_stays BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is never deleted'); END;
    """
}
