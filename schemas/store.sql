-- The database of a congvan node, as its migrations make it. Not part of the wire.
-- Written by: CONGVAN_WRITE_SCHEMA=1 swift test --filter SchemaTests

CREATE TABLE node (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
  sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
  size INTEGER NOT NULL CHECK (size > 0),
  content BLOB CHECK (content IS NULL OR length(content) = size),
  -- The unit whose pieces brought it; NULL for content of this unit.
  sender TEXT,
  createdAt INTEGER NOT NULL
, isUnnamed INTEGER NOT NULL DEFAULT 0 CHECK (isUnnamed IN (0, 1)), checkedAt INTEGER) STRICT;

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
  frozenAt INTEGER, senderName TEXT, dueDate TEXT CHECK (length(dueDate) = 10), signerName TEXT, signerPosition TEXT, signerCompetence TEXT, pageAmount INTEGER, issuedAmount INTEGER, note TEXT, toPlaces TEXT, isDetailed INTEGER NOT NULL DEFAULT 0
  CHECK (isDetailed IN (0, 1)),
  CHECK ((frozen IS NULL) = (frozenAt IS NULL)),
  UNIQUE (sender, id)
) STRICT;

CREATE INDEX document_id ON document (id);

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
  updatedAt INTEGER NOT NULL, warnedAt INTEGER,
  UNIQUE (document, recipient),
  UNIQUE (recipient, sequence),
  CHECK ((state = 'retrying') = (nextAt IS NOT NULL)),
  CHECK (state <> 'delivered' OR finishedAt IS NOT NULL),
  CHECK (state NOT IN ('retrying', 'suspended', 'refused') OR lastError IS NOT NULL)
) STRICT;

CREATE INDEX delivery_retrying ON delivery (nextAt) WHERE state = 'retrying';

CREATE INDEX delivery_failed ON delivery (state, key)
  WHERE state IN ('suspended', 'refused', 'expired');

CREATE INDEX delivery_expires ON delivery (expiresAt)
  WHERE expiresAt IS NOT NULL AND state IN ('queued', 'retrying', 'published');

CREATE TRIGGER delivery_begins BEFORE INSERT ON delivery WHEN NEW.state <> 'queued'
BEGIN SELECT RAISE(ABORT, 'a delivery begins as queued'); END;

CREATE TRIGGER delivery_moves BEFORE UPDATE OF state ON delivery
  WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM transition
    WHERE machine = 'outgoing' AND fromState = OLD.state AND toState = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of a delivery'); END;

CREATE TABLE received (
  key INTEGER PRIMARY KEY,
  sender TEXT NOT NULL,
  messageID TEXT NOT NULL,
  bodySha256 BLOB NOT NULL CHECK (length(bodySha256) = 32),
  type TEXT NOT NULL,
  version INTEGER,
  size INTEGER NOT NULL,
  lane TEXT NOT NULL CHECK (lane IN ('ordinary', 'express')),
  state TEXT NOT NULL CHECK (state IN ('received', 'verified', 'incomplete', 'accepted',
    'quarantined', 'discarded')),
  outcome TEXT,
  detail TEXT,
  document INTEGER REFERENCES document (key),
  duplicates INTEGER NOT NULL DEFAULT 0,
  receivedAt INTEGER NOT NULL,
  updatedAt INTEGER NOT NULL, notBefore INTEGER, hasBody INTEGER NOT NULL DEFAULT 0 CHECK (hasBody IN (0, 1)), waitsFor BLOB CHECK (length(waitsFor) = 32), heldAs TEXT GENERATED ALWAYS AS (CASE
  WHEN state = 'received' AND notBefore IS NULL THEN 'unjudged'
  WHEN state = 'received' THEN 'postponed'
  WHEN state IN ('verified', 'incomplete') THEN 'waiting'
  WHEN state = 'quarantined' THEN 'quarantined' END) VIRTUAL, heldBytes INTEGER GENERATED ALWAYS AS (1024 + CASE
  WHEN hasBody OR state IN ('verified', 'incomplete') THEN size ELSE 0 END) VIRTUAL, correlationID TEXT,
  UNIQUE (sender, messageID, bodySha256),
  CHECK (state <> 'quarantined' OR outcome IS NOT NULL),
  CHECK (state NOT IN ('verified', 'incomplete') OR document IS NOT NULL)
) STRICT;

CREATE INDEX received_quarantined ON received (key) WHERE state = 'quarantined';

CREATE UNIQUE INDEX received_document ON received (document) WHERE document IS NOT NULL;

CREATE TRIGGER received_moves BEFORE UPDATE OF state ON received
  WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM transition
    WHERE machine = 'incoming' AND fromState = OLD.state AND toState = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of a received message'); END;

CREATE TRIGGER received_stays BEFORE UPDATE OF state ON received
  WHEN OLD.state = 'accepted' AND OLD.document IS NOT NULL AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'illegal transition of an accepted document'); END;

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

CREATE TABLE spoiled (
  sender TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  at INTEGER NOT NULL,
  PRIMARY KEY (sender, sha256)
) STRICT, WITHOUT ROWID;

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
  recordedAt INTEGER NOT NULL, signer TEXT CHECK (length(signer) = 64), replaces INTEGER REFERENCES status (key),
  UNIQUE (fromUnit, id)
) STRICT;

CREATE INDEX status_received ON status (received) WHERE received IS NOT NULL;

CREATE TRIGGER status_kept BEFORE UPDATE ON status
BEGIN SELECT RAISE(ABORT, 'a status is never changed'); END;

CREATE TRIGGER status_stays BEFORE DELETE ON status
BEGIN SELECT RAISE(ABORT, 'a status is never deleted'); END;

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

CREATE INDEX notice_retrying ON notice (nextAt) WHERE state = 'retrying';

CREATE TRIGGER attachment_names AFTER INSERT ON attachment
BEGIN UPDATE blob SET isUnnamed = 0 WHERE sha256 = NEW.sha256 AND isUnnamed = 1; END;

CREATE INDEX blob_checked ON blob (checkedAt) WHERE content IS NULL;

CREATE TABLE secretContent (
  sender TEXT NOT NULL,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  at INTEGER NOT NULL,
  PRIMARY KEY (sender, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_outstanding ON delivery (publishedAt) WHERE state = 'published';

CREATE TABLE resendJob (
  key INTEGER PRIMARY KEY,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  total INTEGER NOT NULL CHECK (total > 0),
  queued INTEGER NOT NULL DEFAULT 0,
  leftAlone INTEGER NOT NULL DEFAULT 0,
  createdAt INTEGER NOT NULL,
  finishedAt INTEGER
, act INTEGER REFERENCES act (key)) STRICT;

CREATE TABLE resendItem (
  job INTEGER NOT NULL REFERENCES resendJob (key),
  delivery INTEGER NOT NULL REFERENCES delivery (key),
  PRIMARY KEY (job, delivery)
) STRICT, WITHOUT ROWID;

CREATE INDEX status_unit ON status (document, fromUnit, key);

CREATE INDEX status_takeBack ON status (document, toUnit) WHERE code = '13';

CREATE INDEX delivery_recipient ON delivery (recipient, state, updatedAt);

CREATE INDEX tally_at ON tally (unit, direction, at);

CREATE INDEX notice_suspended ON notice (updatedAt) WHERE state = 'suspended';

CREATE INDEX blob_unnamed ON blob (sender, isUnnamed, createdAt, size) WHERE isUnnamed = 1;

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

CREATE TABLE actText (
  act INTEGER NOT NULL PRIMARY KEY REFERENCES act (key),
  reason TEXT NOT NULL
) STRICT;

CREATE TABLE issueKey (
  key TEXT NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
  document INTEGER NOT NULL UNIQUE REFERENCES document (key),
  -- JSON: field of the request → SHA-256 of its value, to tell a repetition from another document.
  fields BLOB NOT NULL,
  createdAt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER issueKey_kept BEFORE UPDATE ON issueKey
BEGIN SELECT RAISE(ABORT, 'a key is never changed'); END;

CREATE INDEX document_number ON document (codeNotation, issuedDate, codeNumber)
  WHERE direction = 'outgoing';

CREATE TABLE receivedBody (
  received INTEGER NOT NULL PRIMARY KEY REFERENCES received (key) ON DELETE CASCADE,
  body BLOB NOT NULL
) STRICT;

CREATE TRIGGER received_letsGo AFTER UPDATE OF hasBody ON received WHEN NEW.hasBody = 0
BEGIN DELETE FROM receivedBody WHERE received = NEW.key; END;

CREATE INDEX received_unjudged ON received (lane, sender, key)
  WHERE state = 'received' AND notBefore IS NULL;

CREATE INDEX received_postponed ON received (lane, sender, notBefore)
  WHERE state = 'received' AND notBefore IS NOT NULL;

CREATE INDEX delivery_queued ON delivery (urgency, recipient, key) WHERE state = 'queued';

CREATE INDEX notice_queued ON notice (toUnit, updatedAt, key) WHERE state = 'queued';

CREATE INDEX received_waiting ON received (sender, key)
  WHERE state IN ('verified', 'incomplete') AND waitsFor IS NULL;

CREATE INDEX received_watching ON received (waitsFor) WHERE waitsFor IS NOT NULL;

CREATE INDEX transfer_complete ON transfer (sender, key) WHERE pieces * 1048576 >= size;

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

CREATE TRIGGER attachment_namesSource AFTER INSERT ON attachment
BEGIN UPDATE contentSource SET isNamed = 1 WHERE sha256 = NEW.sha256 AND isNamed = 0
  AND sender = (SELECT sender FROM document WHERE key = NEW.document); END;

CREATE TRIGGER blob_awaited AFTER INSERT ON blob
BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor = NEW.sha256; END;

CREATE TRIGGER contentSource_awaited AFTER INSERT ON contentSource
BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor = NEW.sha256; END;

CREATE TRIGGER spoiled_awaited AFTER INSERT ON spoiled
BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor IS NOT NULL AND sender = NEW.sender
  AND document IN (SELECT document FROM attachment WHERE sha256 = NEW.sha256); END;

CREATE TRIGGER transfer_awaited AFTER DELETE ON transfer
  WHEN EXISTS (SELECT 1 FROM spoiled WHERE sender = OLD.sender AND sha256 = OLD.sha256)
BEGIN UPDATE received SET waitsFor = NULL WHERE waitsFor IS NOT NULL AND sender = OLD.sender
  AND document IN (SELECT document FROM attachment WHERE sha256 = OLD.sha256); END;

CREATE TABLE missingContent (
  sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER blob_goes AFTER DELETE ON blob
  WHEN EXISTS (SELECT 1 FROM attachment WHERE sha256 = OLD.sha256)
BEGIN INSERT INTO missingContent (sha256) VALUES (OLD.sha256) ON CONFLICT DO NOTHING; END;

CREATE TRIGGER blob_comes AFTER INSERT ON blob
BEGIN DELETE FROM missingContent WHERE sha256 = NEW.sha256; END;

CREATE INDEX received_accepted ON received (sender, receivedAt)
  WHERE state = 'accepted' AND document IS NOT NULL;

CREATE INDEX status_refusal ON status (documentID, toUnit, recordedAt)
  WHERE direction = 'sent' AND code = '02';

CREATE TABLE holding (
  sender TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('unjudged', 'postponed', 'waiting', 'quarantined',
    'unnamed')),
  items INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (sender, kind)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER received_comes AFTER INSERT ON received WHEN NEW.heldAs IS NOT NULL
BEGIN INSERT INTO holding (sender, kind, items, bytes)
  SELECT NEW.sender, NEW.heldAs, 1, NEW.heldBytes WHERE true
  ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER received_changes AFTER UPDATE OF state, hasBody, notBefore ON received
  WHEN OLD.heldAs IS NOT NEW.heldAs OR OLD.heldBytes <> NEW.heldBytes
BEGIN
  UPDATE holding SET items = items - 1, bytes = bytes - OLD.heldBytes
  WHERE sender = OLD.sender AND kind = OLD.heldAs;
  INSERT INTO holding (sender, kind, items, bytes)
  SELECT NEW.sender, NEW.heldAs, 1, NEW.heldBytes WHERE NEW.heldAs IS NOT NULL
  ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER received_goes AFTER DELETE ON received WHEN OLD.heldAs IS NOT NULL
BEGIN UPDATE holding SET items = items - 1, bytes = bytes - OLD.heldBytes
  WHERE sender = OLD.sender AND kind = OLD.heldAs; END;

CREATE TRIGGER contentSource_comes AFTER INSERT ON contentSource WHEN NEW.isNamed = 0
BEGIN INSERT INTO holding (sender, kind, items, bytes)
  SELECT NEW.sender, 'unnamed', 1, max(NEW.size, 65536) WHERE true
  ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER contentSource_isNamed AFTER UPDATE OF isNamed ON contentSource
  WHEN OLD.isNamed = 0 AND NEW.isNamed = 1
BEGIN UPDATE holding SET items = items - 1, bytes = bytes - max(OLD.size, 65536)
  WHERE sender = OLD.sender AND kind = 'unnamed'; END;

CREATE TRIGGER contentSource_goes AFTER DELETE ON contentSource WHEN OLD.isNamed = 0
BEGIN UPDATE holding SET items = items - 1, bytes = bytes - max(OLD.size, 65536)
  WHERE sender = OLD.sender AND kind = 'unnamed'; END;

CREATE TRIGGER transfer_comes AFTER INSERT ON transfer
BEGIN INSERT INTO holding (sender, kind, items, bytes)
  SELECT NEW.sender, 'unnamed', 1, max(NEW.size, 65536) WHERE true
  ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER transfer_goes AFTER DELETE ON transfer
BEGIN UPDATE holding SET items = items - 1, bytes = bytes - max(OLD.size, 65536)
  WHERE sender = OLD.sender AND kind = 'unnamed'; END;

CREATE TRIGGER spoiled_comes AFTER INSERT ON spoiled
BEGIN INSERT INTO holding (sender, kind, items, bytes)
  SELECT NEW.sender, 'unnamed', 1, 65536 WHERE true
  ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes; END;

CREATE TRIGGER spoiled_goes AFTER DELETE ON spoiled
BEGIN UPDATE holding SET items = items - 1, bytes = bytes - 65536
  WHERE sender = OLD.sender AND kind = 'unnamed'; END;

CREATE TABLE dropped (
  sender TEXT NOT NULL,
  outcome TEXT NOT NULL,
  items INTEGER NOT NULL,
  firstAt INTEGER NOT NULL,
  lastAt INTEGER NOT NULL,
  PRIMARY KEY (sender, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE tallyDue (
  unit TEXT NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX status_replaces ON status (replaces) WHERE replaces IS NOT NULL;

CREATE TABLE restatement (
  status INTEGER NOT NULL PRIMARY KEY REFERENCES status (key),
  askedAt INTEGER NOT NULL
) STRICT;

CREATE TABLE claim (
  received INTEGER NOT NULL PRIMARY KEY REFERENCES received (key) ON DELETE CASCADE,
  document INTEGER NOT NULL REFERENCES document (key),
  unit TEXT NOT NULL,
  code TEXT,
  at INTEGER
) STRICT;

CREATE INDEX claim_document ON claim (document, unit, received);

CREATE INDEX document_undetailed ON document (key) WHERE isDetailed = 0;

CREATE TABLE transition (
  machine TEXT NOT NULL CHECK (machine <> ''),
  fromState TEXT NOT NULL,
  toState TEXT NOT NULL,
  PRIMARY KEY (machine, fromState, toState)
) STRICT, WITHOUT ROWID;

CREATE TABLE "history" (
  key INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  subject TEXT NOT NULL CHECK (subject <> ''),
  subjectKey INTEGER NOT NULL,
  document INTEGER REFERENCES document (key),
  fromState TEXT,
  toState TEXT NOT NULL,
  actor TEXT NOT NULL,
  cause TEXT NOT NULL,
  detail TEXT,
  -- The act that caused it; NULL for what the node does by itself, and before there were acts.
  act INTEGER REFERENCES act (key)
) STRICT;

CREATE INDEX history_document ON history (document, key);

CREATE INDEX history_subject ON history (subject, subjectKey);

CREATE TRIGGER history_kept BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'history is never changed'); END;

CREATE TRIGGER history_stays BEFORE DELETE ON history
BEGIN SELECT RAISE(ABORT, 'history is never deleted'); END;

CREATE VIEW acceptedDocument AS
  SELECT document.key, document.id, document.sender, document.senderName, document.codeNumber,
    document.codeSeparator, document.codeNotation, document.issuedDate, document.typeName,
    document.subject, document.urgency, document.dueDate, document.signerName,
    document.signerPosition, document.signerCompetence, document.pageAmount,
    document.issuedAmount, document.note, document.toPlaces,
    document.frozen AS notInForce,
    received.receivedAt
  FROM document JOIN received ON received.document = document.key
  WHERE document.direction = 'incoming' AND received.state = 'accepted';

CREATE VIEW issuedDocument AS
  SELECT key, id, sender, senderName, codeNumber, codeSeparator, codeNotation, issuedDate,
    typeName, subject, urgency, dueDate, signerName, signerPosition, signerCompetence,
    pageAmount, issuedAmount, note, toPlaces,
    frozen AS notInForce, createdAt
  FROM document WHERE direction = 'outgoing';

CREATE VIEW documentFile AS
  SELECT a.document, a.position, a.name, a.mediaType, a.size, a.sha256,
    EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256) AS isHere
  FROM attachment a;
