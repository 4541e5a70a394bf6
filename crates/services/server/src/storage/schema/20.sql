-- Types of devices that are told actions, and the types of distribution sets that they take.
CREATE TABLE target_types (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL UNIQUE,
    description TEXT,
    colour      TEXT,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;

CREATE TABLE target_type_set_types (
    target_type INTEGER NOT NULL REFERENCES target_types (id) ON DELETE CASCADE,
    set_type    INTEGER NOT NULL REFERENCES distribution_set_types (id) ON DELETE CASCADE,
    PRIMARY KEY (target_type, set_type)
) STRICT, WITHOUT ROWID;

-- None: it takes sets of every type.
ALTER TABLE action_devices ADD COLUMN target_type INTEGER REFERENCES target_types (id);
CREATE INDEX action_devices_by_type ON action_devices (target_type);
CREATE INDEX action_devices_by_group ON action_devices (group_path);
