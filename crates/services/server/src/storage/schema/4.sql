-- One correlation may stand for several devices: a campaign that assigns many of them at once.
CREATE TABLE rollout_devices_4 (
    rollout     TEXT NOT NULL REFERENCES rollouts (name) ON DELETE CASCADE,
    device      TEXT NOT NULL,
    phase       INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    changed_at  INTEGER,
    -- From here on: null until assigned.
    correlation TEXT,
    -- A JSON array of what each component is to run.
    targets     TEXT,
    assigned_at INTEGER,
    started_at  INTEGER,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_devices_4
    SELECT rollout, device, phase, state, reason, changed_at, correlation, targets, assigned_at,
           started_at
    FROM rollout_devices;
DROP TABLE rollout_devices;
ALTER TABLE rollout_devices_4 RENAME TO rollout_devices;
CREATE INDEX rollout_devices_by_device ON rollout_devices (device);
CREATE INDEX rollout_devices_by_correlation ON rollout_devices (correlation)
    WHERE correlation IS NOT NULL;
-- A device is told to run one thing at a time.
CREATE UNIQUE INDEX one_assignment ON rollout_devices (device)
    WHERE state IN ('assigned', 'started');

-- What each hardware is to run, as the scripts of the OTA world say it; `release` is its name here.
CREATE TABLE multi_target_updates (
    id         TEXT PRIMARY KEY,
    release    TEXT NOT NULL REFERENCES releases (name),
    -- The request as sent.
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX multi_target_updates_by_release ON multi_target_updates (release);

-- What operators call a device and write down about it.
CREATE TABLE device_labels (
    device TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    notes  TEXT NOT NULL DEFAULT ''
) STRICT;

-- All installation reports, not only the last one of each device.
CREATE TABLE installation_reports (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    correlation TEXT NOT NULL,
    success     INTEGER NOT NULL,
    code        TEXT NOT NULL,
    -- The report as sent.
    body        TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX installation_reports_by_device ON installation_reports (device, id);
CREATE INDEX installation_reports_by_correlation ON installation_reports (correlation);

-- What operators write down about targets.
CREATE TABLE target_comments (
    target  TEXT PRIMARY KEY,
    comment TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the Director signed for vehicles without network. `name` is empty for the snapshot.
CREATE TABLE offline_metadata (
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- Descriptions of the sources that a commit was built from, as sent.
CREATE TABLE commit_manifests (
    commit_id   TEXT PRIMARY KEY,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Single values that operators set, by name.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Alarms that were told, so that each is told once.
CREATE TABLE alarms (
    subject TEXT PRIMARY KEY,
    told_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
