/// What the second floor stands on: what a manifest says in columns, views that other stores may JOIN, and
/// state machines of other stores beside the two of the exchange. Frozen once it has landed: a later
/// change is a new migration.
enum Migration005 {
  static let name = "house"

  static let sql = columns + machines + views

  /// What until now only the CMS says.
  private static let columns = """
    ALTER TABLE document ADD COLUMN senderName TEXT;
    ALTER TABLE document ADD COLUMN dueDate TEXT CHECK (length(dueDate) = 10);
    ALTER TABLE document ADD COLUMN signerName TEXT;
    ALTER TABLE document ADD COLUMN signerPosition TEXT;
    ALTER TABLE document ADD COLUMN signerCompetence TEXT;
    ALTER TABLE document ADD COLUMN pageAmount INTEGER;
    ALTER TABLE document ADD COLUMN issuedAmount INTEGER;
    ALTER TABLE document ADD COLUMN note TEXT;
    -- JSON array of texts: places that get the document outside of the exchange.
    ALTER TABLE document ADD COLUMN toPlaces TEXT;
    -- 0: stored before these columns; the node reads its manifest when it has nothing else to do.
    ALTER TABLE document ADD COLUMN isDetailed INTEGER NOT NULL DEFAULT 0
      CHECK (isDetailed IN (0, 1));
    CREATE INDEX document_undetailed ON document (key) WHERE isDetailed = 0;

    """

  /// `transition` and `history` for any number of machines. Keys and rows stay.
  private static let machines = """
    CREATE TABLE transitionOfTwo AS SELECT machine, fromState, toState FROM transition;
    DROP TABLE transition;
    -- Every legal change of a state; triggers of each machine refuse all others.
    CREATE TABLE transition (
      machine TEXT NOT NULL CHECK (machine <> ''),
      fromState TEXT NOT NULL,
      toState TEXT NOT NULL,
      PRIMARY KEY (machine, fromState, toState)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO transition (machine, fromState, toState)
      SELECT machine, fromState, toState FROM transitionOfTwo;
    DROP TABLE transitionOfTwo;

    -- Every transition, with who and why. The subject is the table whose row moved.
    CREATE TABLE historyOfAll (
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
    INSERT INTO historyOfAll (key, at, subject, subjectKey, document, fromState, toState, actor,
        cause, detail, act)
      SELECT key, at, subject, subjectKey, document, fromState, toState, actor, cause, detail, act
      FROM history;
    DROP TABLE history;
    ALTER TABLE historyOfAll RENAME TO history;
    CREATE INDEX history_document ON history (document, key);
    CREATE INDEX history_subject ON history (subject, subjectKey);
    CREATE TRIGGER history_kept BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is never changed'); END;
    CREATE TRIGGER history_stays BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is never deleted'); END;

    """

  /// The contract of the exchange with other stores: they may JOIN these and nothing else.
  private static let views = """
    -- Documents of other units that this unit has accepted, whole.
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
    -- Documents of this unit that went to units with a node.
    CREATE VIEW issuedDocument AS
      SELECT key, id, sender, senderName, codeNumber, codeSeparator, codeNotation, issuedDate,
        typeName, subject, urgency, dueDate, signerName, signerPosition, signerCompetence,
        pageAmount, issuedAmount, note, toPlaces,
        frozen AS notInForce, createdAt
      FROM document WHERE direction = 'outgoing';
    -- The files of both, in the order of the manifest; the first is the main file.
    CREATE VIEW documentFile AS
      SELECT a.document, a.position, a.name, a.mediaType, a.size, a.sha256,
        EXISTS (SELECT 1 FROM blob WHERE blob.sha256 = a.sha256) AS isHere
      FROM attachment a;
    """
}
