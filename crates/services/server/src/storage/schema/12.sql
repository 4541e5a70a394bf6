-- Operators who are people, their sessions, and the log of what operators do.
CREATE TABLE users (
    name        TEXT PRIMARY KEY,
    -- argon2id, in the PHC string format.
    password    TEXT NOT NULL,
    -- JSON list of role names.
    roles       TEXT NOT NULL,
    -- What one-time codes (RFC 6238) are made of, and the last time step of which one was taken.
    totp_secret BLOB,
    totp_step   INTEGER NOT NULL DEFAULT 0,
    -- One that no code was shown of yet.
    totp_next   BLOB,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE TABLE recovery_codes (
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    -- SHA-256 of the code, which itself is 10 random bytes.
    hash BLOB NOT NULL,
    PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    -- SHA-256 of the session's id, which itself is 32 random bytes.
    hash       BLOB PRIMARY KEY,
    user       TEXT REFERENCES users (name) ON DELETE CASCADE,
    -- The hash of the token with which the session was begun.
    token      BLOB,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    CHECK ((user IS NULL) <> (token IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user, created_at);
CREATE INDEX sessions_by_use ON sessions (used_at);

-- A token that belongs to an account, and all of its scopes; `scope` is the first of them.
ALTER TABLE tokens ADD COLUMN user TEXT REFERENCES users (name) ON DELETE CASCADE;
ALTER TABLE tokens ADD COLUMN scopes TEXT;

-- Each entry is canonical JSON; the hash of one is in the next.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    entry  TEXT NOT NULL,
    hash   BLOB NOT NULL,
    at     INTEGER NOT NULL,
    actor  TEXT GENERATED ALWAYS AS (json_extract(entry, '$.actor')) VIRTUAL,
    action TEXT GENERATED ALWAYS AS (json_extract(entry, '$.action')) VIRTUAL,
    object TEXT GENERATED ALWAYS AS (json_extract(entry, '$.object')) VIRTUAL
) STRICT;
CREATE INDEX audit_by_actor ON audit (actor, number);
CREATE INDEX audit_by_time ON audit (at);
CREATE TRIGGER audit_update BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_insert BEFORE INSERT ON audit
WHEN new.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM audit)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
