-- Devices that are told actions: those that speak hawkBit's Direct Device Integration API, and those
-- of Mender; and what hawkBit's Management API is about.
-- uptane, ddi, mender. A device without a certificate has 32 zero bytes for its hash, which no certificate has.
ALTER TABLE devices ADD COLUMN protocol TEXT NOT NULL DEFAULT 'uptane';

CREATE TABLE software_module_types (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    key             TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL UNIQUE,
    description     TEXT,
    colour          TEXT,
    max_assignments INTEGER NOT NULL,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    modified_by     TEXT NOT NULL,
    modified_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE distribution_set_types (
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

-- Which modules a set of this type may have, and which it must.
CREATE TABLE distribution_set_type_modules (
    set_type    INTEGER NOT NULL REFERENCES distribution_set_types (id) ON DELETE CASCADE,
    module_type INTEGER NOT NULL REFERENCES software_module_types (id),
    mandatory   INTEGER NOT NULL,
    PRIMARY KEY (set_type, module_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE software_modules (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    type        INTEGER NOT NULL REFERENCES software_module_types (id),
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    vendor      TEXT,
    description TEXT,
    encrypted   INTEGER NOT NULL,
    -- What is in use keeps its files, but is listed no more.
    deleted     INTEGER NOT NULL DEFAULT 0,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX software_modules_by_name ON software_modules (type, name, version)
    WHERE deleted = 0;

-- The content is in the folder of target files, under its SHA-256.
CREATE TABLE artifacts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    module      INTEGER NOT NULL REFERENCES software_modules (id) ON DELETE CASCADE,
    filename    TEXT NOT NULL,
    size        INTEGER NOT NULL,
    md5         TEXT NOT NULL,
    sha1        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    UNIQUE (module, filename)
) STRICT;

CREATE TABLE software_module_metadata (
    module         INTEGER NOT NULL REFERENCES software_modules (id) ON DELETE CASCADE,
    key            TEXT NOT NULL,
    value          TEXT NOT NULL,
    -- Whether devices are told.
    target_visible INTEGER NOT NULL,
    PRIMARY KEY (module, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE distribution_sets (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    type                    INTEGER NOT NULL REFERENCES distribution_set_types (id),
    name                    TEXT NOT NULL,
    version                 TEXT NOT NULL,
    description             TEXT,
    -- A device installs it even when a newer one was assigned in the meantime.
    required_migration_step INTEGER NOT NULL,
    -- It was assigned, so its content does not change any more.
    locked                  INTEGER NOT NULL DEFAULT 0,
    invalidated             INTEGER NOT NULL DEFAULT 0,
    deleted                 INTEGER NOT NULL DEFAULT 0,
    created_by              TEXT NOT NULL,
    created_at              INTEGER NOT NULL,
    modified_by             TEXT NOT NULL,
    modified_at             INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX distribution_sets_by_name ON distribution_sets (name, version)
    WHERE deleted = 0;

CREATE TABLE distribution_set_modules (
    set_id INTEGER NOT NULL REFERENCES distribution_sets (id) ON DELETE CASCADE,
    module INTEGER NOT NULL REFERENCES software_modules (id),
    PRIMARY KEY (set_id, module)
) STRICT, WITHOUT ROWID;
CREATE INDEX distribution_set_modules_by_module ON distribution_set_modules (module);

CREATE TABLE distribution_set_metadata (
    set_id INTEGER NOT NULL REFERENCES distribution_sets (id) ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (set_id, key)
) STRICT, WITHOUT ROWID;

-- What is known of a device that is told actions, beside what is known of every device.
CREATE TABLE action_devices (
    device             TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    name               TEXT NOT NULL,
    description        TEXT,
    security_token     TEXT NOT NULL,
    address            TEXT,
    group_path         TEXT,
    -- unknown, registered, pending, in_sync, error.
    update_status      TEXT NOT NULL,
    -- The server wants its attributes.
    request_attributes INTEGER NOT NULL,
    assigned_set       INTEGER REFERENCES distribution_sets (id),
    installed_set      INTEGER REFERENCES distribution_sets (id),
    installed_at       INTEGER,
    -- Whoever agreed to everything from then on, as JSON; null when each update is asked for.
    auto_confirm       TEXT,
    created_by         TEXT NOT NULL,
    created_at         INTEGER NOT NULL,
    modified_by        TEXT NOT NULL,
    modified_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX action_devices_by_assigned ON action_devices (assigned_set);
CREATE INDEX action_devices_by_installed ON action_devices (installed_set);

-- What a device says about itself.
CREATE TABLE device_attributes (
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_attributes_by_key ON device_attributes (key, value);

-- What operators note about a device.
CREATE TABLE device_metadata (
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;

-- What operators call several devices, or several sets.
CREATE TABLE tags (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- device, set.
    about       TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    colour      TEXT,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    UNIQUE (about, name)
) STRICT;

CREATE TABLE action_device_tags (
    tag    INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    PRIMARY KEY (device, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX action_device_tags_by_tag ON action_device_tags (tag);

CREATE TABLE distribution_set_tags (
    tag    INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    set_id INTEGER NOT NULL REFERENCES distribution_sets (id) ON DELETE CASCADE,
    PRIMARY KEY (set_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX distribution_set_tags_by_tag ON distribution_set_tags (tag);

-- Queries with a name; those with a set have all devices told that meet them and never were.
CREATE TABLE target_filters (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT NOT NULL UNIQUE,
    query             TEXT NOT NULL,
    auto_set          INTEGER REFERENCES distribution_sets (id),
    auto_kind         TEXT,
    auto_weight       INTEGER,
    auto_confirmation INTEGER,
    -- Who said so.
    auto_by           TEXT,
    created_by        TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    modified_by       TEXT NOT NULL,
    modified_at       INTEGER NOT NULL
) STRICT;

-- One device is to install one distribution set.
CREATE TABLE actions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    device       TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    set_id       INTEGER NOT NULL REFERENCES distribution_sets (id),
    -- forced, soft, timeforced, downloadonly.
    kind         TEXT NOT NULL,
    forced_at    INTEGER,
    weight       INTEGER,
    -- running, retrieved, download, downloaded, warning, canceling, cancel_rejected,
    -- wait_for_confirmation, and the ends: finished, error, canceled.
    status       TEXT NOT NULL,
    active       INTEGER NOT NULL,
    -- The last code that the device reported.
    last_code    INTEGER,
    -- {"schedule", "duration", "timezone"} as JSON.
    window       TEXT,
    external_ref TEXT,
    initiated_by TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    modified_by  TEXT NOT NULL,
    modified_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX actions_by_device ON actions (device, id);
CREATE INDEX actions_active ON actions (device) WHERE active = 1;
CREATE INDEX actions_by_set ON actions (set_id);

-- What was reported of an action, and what the server did about it.
CREATE TABLE action_statuses (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    action      INTEGER NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    status      TEXT NOT NULL,
    code        INTEGER,
    -- A JSON array of strings.
    messages    TEXT NOT NULL,
    -- When the device says it was; null when it does not.
    occurred_at INTEGER,
    reported_at INTEGER NOT NULL
) STRICT;
CREATE INDEX action_statuses_by_action ON action_statuses (action, id);

-- Devices of Mender: who they say they are, and whether they are let in.
CREATE TABLE mender_devices (
    device       TEXT PRIMARY KEY,
    -- The identity as sent: a JSON object.
    identity     TEXT NOT NULL,
    -- SubjectPublicKeyInfo, PEM.
    public_key   TEXT NOT NULL,
    -- pending, accepted, rejected.
    status       TEXT NOT NULL,
    -- SHA-256 of the token that it shows, and when that ends.
    token        BLOB,
    token_ends   INTEGER,
    requested_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX mender_devices_by_token ON mender_devices (token) WHERE token IS NOT NULL;

-- What differs from the defaults of hawkBit's tenant configuration, as JSON.
CREATE TABLE tenant_configuration (
    key         TEXT PRIMARY KEY,
    value       TEXT NOT NULL,
    modified_by TEXT NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The types that scripts expect.
INSERT INTO software_module_types (key, name, description, max_assignments,
        created_by, created_at, modified_by, modified_at) VALUES
    ('os', 'OS', 'Core firmware or operating system', 1, 'system', 0, 'system', 0),
    ('application', 'Application', 'Application Addons', 2147483647, 'system', 0, 'system', 0),
    ('runtime', 'Runtime', 'Runtime environment', 1, 'system', 0, 'system', 0);
INSERT INTO distribution_set_types (key, name, description,
        created_by, created_at, modified_by, modified_at) VALUES
    ('os', 'OS only', 'Default type with Firmware/OS only.', 'system', 0, 'system', 0),
    ('app', 'App(s) only', 'Default type with app(s) only.', 'system', 0, 'system', 0),
    ('os_app', 'OS with app(s)', 'Default type with Firmware/OS and optional app(s).',
        'system', 0, 'system', 0);
INSERT INTO distribution_set_type_modules (set_type, module_type, mandatory) VALUES
    (1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 0), (3, 3, 0);
