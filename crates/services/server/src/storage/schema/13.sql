-- What devices measure. Names are few and long, so points carry numbers.
CREATE TABLE metrics (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The newest value of each metric of a device: what lists and alerts look at.
CREATE TABLE metric_newest (
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    metric INTEGER NOT NULL REFERENCES metrics (id),
    at     INTEGER NOT NULL,
    value  REAL NOT NULL,
    PRIMARY KEY (device, metric)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_newest_by_metric ON metric_newest (metric, value);

-- Each value as it was sent. Old ones go; the hours remain.
CREATE TABLE metric_points (
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    metric INTEGER NOT NULL REFERENCES metrics (id),
    at     INTEGER NOT NULL,
    value  REAL NOT NULL,
    PRIMARY KEY (device, metric, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_points_by_age ON metric_points (at);

-- The same by hours (of UTC, in seconds): kept for longer.
CREATE TABLE metric_hours (
    device  TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    metric  INTEGER NOT NULL REFERENCES metrics (id),
    hour    INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    total   REAL NOT NULL,
    PRIMARY KEY (device, metric, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_hours_by_age ON metric_hours (hour);
