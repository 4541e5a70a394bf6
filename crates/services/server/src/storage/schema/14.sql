-- Who is told of events, and up to which they were told.
CREATE TABLE subscriptions (
    name            TEXT PRIMARY KEY,
    -- api::SubscriptionTarget as JSON.
    target          TEXT NOT NULL,
    -- A JSON list of kinds; an empty one stands for all.
    events          TEXT NOT NULL,
    -- With what webhooks are signed.
    secret          BLOB,
    created_at      INTEGER NOT NULL,
    told_up_to      INTEGER NOT NULL,
    failures        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    last_error      TEXT,
    told_at         INTEGER
) STRICT;

-- What is worth an alarm.
CREATE TABLE alert_rules (
    name       TEXT PRIMARY KEY,
    -- api::AlertRule as JSON.
    rule       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY,
    rule            TEXT NOT NULL REFERENCES alert_rules (name) ON DELETE CASCADE,
    device          TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    -- Since when the condition holds; when that was for long enough; and when it held no more.
    since           INTEGER NOT NULL,
    fired_at        INTEGER,
    resolved_at     INTEGER,
    message         TEXT NOT NULL,
    acknowledged_by TEXT,
    acknowledged_at INTEGER
) STRICT;
-- Of one rule and device there is one at a time.
CREATE UNIQUE INDEX alerts_open ON alerts (rule, device) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_device ON alerts (device);
