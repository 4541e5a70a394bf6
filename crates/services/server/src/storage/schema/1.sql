-- Times are milliseconds since 1970 (UTC). Documents are JSON text or bytes as received.

CREATE TABLE devices (
    id             TEXT PRIMARY KEY,
    -- SHA-256 of the one certificate (DER) that is accepted for this device.
    certificate    BLOB NOT NULL,
    registered_at  INTEGER NOT NULL,
    revoked_at     INTEGER,
    last_seen      INTEGER,
    primary_serial TEXT,
    -- The last installation report: api::InstallReport as JSON.
    last_report    TEXT
) STRICT;

CREATE TABLE components (
    serial         TEXT PRIMARY KEY,
    device         TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    hardware_id    TEXT NOT NULL,
    -- The public key in Uptane's wire form, and its id.
    key            TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    report_counter INTEGER,
    filepath       TEXT,
    sha256         TEXT,
    length         INTEGER,
    attacks        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX components_by_device ON components (device);

-- What devices say about themselves, as sent: system_info, network, config, packages.
CREATE TABLE device_documents (
    device      TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (device, kind)
) STRICT, WITHOUT ROWID;

-- Certificates with which POST /devices is allowed.
CREATE TABLE bootstrap_certificates (
    certificate BLOB PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE group_devices (
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    device     TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    PRIMARY KEY (group_name, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_devices_by_device ON group_devices (device);

CREATE TABLE releases (
    name       TEXT PRIMARY KEY,
    notes      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE release_targets (
    release      TEXT NOT NULL REFERENCES releases (name) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    filepath     TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    length       INTEGER NOT NULL,
    format       TEXT NOT NULL,
    version      TEXT NOT NULL,
    -- A JSON array of strings.
    hardware_ids TEXT NOT NULL,
    PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_targets_by_hash ON release_targets (sha256);

CREATE TABLE rollouts (
    name          TEXT PRIMARY KEY,
    release       TEXT NOT NULL REFERENCES releases (name),
    state         TEXT NOT NULL,
    reason        TEXT,
    current_phase INTEGER NOT NULL,
    -- The api::NewRollout that made it, as JSON.
    request       TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;
CREATE INDEX rollouts_alive ON rollouts (name) WHERE state IN ('running', 'paused');

-- The devices of a rollout; once assigned, the row is the assignment. Rows outlive the device.
CREATE TABLE rollout_devices (
    rollout     TEXT NOT NULL REFERENCES rollouts (name) ON DELETE CASCADE,
    device      TEXT NOT NULL,
    phase       INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    changed_at  INTEGER,
    -- From here on: null until assigned.
    correlation TEXT UNIQUE,
    -- A JSON array of what each component is to run.
    targets     TEXT,
    assigned_at INTEGER,
    started_at  INTEGER,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_devices_by_device ON rollout_devices (device);
-- A device is told to run one thing at a time.
CREATE UNIQUE INDEX one_assignment ON rollout_devices (device)
    WHERE state IN ('assigned', 'started');

-- Signed metadata of the Director for one device.
CREATE TABLE director_metadata (
    device      TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    -- The correlation of the assignment it was signed for; null for empty targets.
    correlation TEXT,
    targets     BLOB NOT NULL,
    snapshot    BLOB NOT NULL,
    timestamp   BLOB NOT NULL,
    -- When it is to be signed again.
    refresh_at  INTEGER NOT NULL
) STRICT;

-- The highest Director version that a deleted device of this id was given, so that a device that
-- is provisioned again under the same id sees no rollback.
CREATE TABLE director_versions (
    device  TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- All versions of the Director's root.
CREATE TABLE director_roots (
    version    INTEGER PRIMARY KEY,
    body       BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    device  TEXT,
    rollout TEXT,
    message TEXT NOT NULL,
    data    TEXT
) STRICT;
CREATE INDEX events_by_device ON events (device, id) WHERE device IS NOT NULL;

CREATE TABLE tokens (
    name       TEXT PRIMARY KEY,
    -- SHA-256 of the token, which itself is 32 random bytes: no salt or stretching is needed.
    hash       BLOB NOT NULL UNIQUE,
    scope      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
