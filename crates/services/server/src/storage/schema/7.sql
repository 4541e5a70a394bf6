-- Tokens that may publish for one delegated role only.
ALTER TABLE tokens ADD COLUMN role TEXT;

-- Who belongs to a group, when that is a rule and not a list.
ALTER TABLE groups ADD COLUMN expression TEXT;

-- What campaigns are about: a multi-target update with a name.
CREATE TABLE campaign_updates (
    id          TEXT PRIMARY KEY,
    source      TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE campaigns (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    update_id       TEXT NOT NULL REFERENCES campaign_updates (id),
    -- A JSON array of names.
    groups          TEXT NOT NULL,
    -- Each device is asked, and told to install when somebody there agreed.
    approval_needed INTEGER NOT NULL,
    -- A JSON array of {"type", "value"}.
    metadata        TEXT NOT NULL,
    -- prepared, launched, cancelled.
    status          TEXT NOT NULL,
    -- How many devices it was launched to.
    processed       INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

-- What was answered on devices that were asked: accepted, declined.
CREATE TABLE campaign_answers (
    campaign TEXT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    device   TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    answer   TEXT NOT NULL,
    PRIMARY KEY (campaign, device)
) STRICT, WITHOUT ROWID;

-- Multi-target updates that a device is told at a time.
CREATE TABLE scheduled_updates (
    device     TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    update_id  TEXT NOT NULL REFERENCES multi_target_updates (id) ON DELETE CASCADE,
    due_at     INTEGER NOT NULL,
    -- Who asked for it.
    actor      TEXT NOT NULL,
    PRIMARY KEY (device, update_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scheduled_updates_by_time ON scheduled_updates (due_at);

-- Components that follow the newest version of a package by themselves.
CREATE TABLE auto_updates (
    device  TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    serial  TEXT NOT NULL,
    package TEXT NOT NULL,
    -- The hash that it was told last, so that each version is told once.
    told    TEXT,
    PRIMARY KEY (device, serial, package)
) STRICT, WITHOUT ROWID;
