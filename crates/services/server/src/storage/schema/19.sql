-- Logs that devices were asked for, and what they sent, packed by zstd.
CREATE TABLE device_logs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    device       TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    received_at  INTEGER,
    bytes        INTEGER,
    content      BLOB
) STRICT;
CREATE INDEX device_logs_by_device ON device_logs (device, id);
CREATE INDEX device_logs_by_age ON device_logs (requested_at);
