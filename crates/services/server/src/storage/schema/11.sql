-- Rollouts that wait for an approval or their time, soak, are taken back, and give devices several
-- attempts; devices that are told actions in them; pins; freezes.
ALTER TABLE rollouts ADD COLUMN begun_at INTEGER;
-- Since when the phase that runs has been good enough, where it has to stay so for a while.
ALTER TABLE rollouts ADD COLUMN soaking_since INTEGER;
-- Per phase, how many failures a person has let go: a JSON array of numbers.
ALTER TABLE rollouts ADD COLUMN accepted_failures TEXT NOT NULL DEFAULT '[]';
ALTER TABLE rollouts ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
-- The api::Decision about it, as JSON.
ALTER TABLE rollouts ADD COLUMN decision TEXT;
UPDATE rollouts SET begun_at = created_at;
DROP INDEX rollouts_alive;
CREATE INDEX rollouts_alive ON rollouts (name)
    WHERE state IN ('scheduled', 'running', 'paused', 'rolling_back');

ALTER TABLE rollout_devices ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
-- What the device ran before it was first told: {"targets", "set"} as JSON.
ALTER TABLE rollout_devices ADD COLUMN ran_before TEXT;
-- The release that must run first, while the device is told that one.
ALTER TABLE rollout_devices ADD COLUMN via TEXT;
-- The action, when the device is told actions.
ALTER TABLE rollout_devices ADD COLUMN action INTEGER;
UPDATE rollout_devices SET attempts = 1 WHERE assigned_at IS NOT NULL;
CREATE UNIQUE INDEX rollout_devices_by_action ON rollout_devices (action)
    WHERE action IS NOT NULL;
DROP INDEX one_assignment;
-- A device is told to run one thing at a time.
CREATE UNIQUE INDEX one_assignment ON rollout_devices (device)
    WHERE state IN ('assigned', 'started', 'rolling_back');

ALTER TABLE releases ADD COLUMN requires TEXT REFERENCES releases (name);
-- What devices that are told actions install for a release.
CREATE TABLE release_sets (
    release    TEXT NOT NULL REFERENCES releases (name) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    set_id     INTEGER NOT NULL REFERENCES distribution_sets (id),
    -- A JSON object: what a device must report of itself.
    attributes TEXT NOT NULL,
    PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE pins (
    device    TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    reason    TEXT NOT NULL,
    pinned_by TEXT NOT NULL,
    pinned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE freezes (
    name       TEXT PRIMARY KEY,
    -- A JSON array of groups; empty for every device.
    groups     TEXT NOT NULL,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rollouts as scripts of hawkBit know them; the rollout itself is `hawkbit-ID`.
CREATE TABLE hawkbit_rollouts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    description TEXT,
    -- The request, as JSON.
    request     TEXT NOT NULL,
    -- Was begun and then deleted: it is listed no more.
    deleted     INTEGER NOT NULL DEFAULT 0,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hawkbit_rollouts_by_name ON hawkbit_rollouts (name) WHERE deleted = 0;
