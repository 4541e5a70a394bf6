-- Images that are encrypted for one component: the Director says where the ciphertext is.
CREATE TABLE encrypted_images (
    serial     TEXT NOT NULL REFERENCES components (serial) ON DELETE CASCADE,
    filepath   TEXT NOT NULL,
    device     TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    -- The plain image's.
    sha256     TEXT NOT NULL,
    -- The name under which the device finds the ciphertext, and its SHA-256.
    filename   TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    -- The JSON objects that the Director's targets carry.
    told       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (serial, filepath)
) STRICT, WITHOUT ROWID;
CREATE INDEX encrypted_images_by_device ON encrypted_images (device);
CREATE INDEX encrypted_images_by_filename ON encrypted_images (filename);

-- Packages whose newest version all components of a group's devices follow, where it fits them.
CREATE TABLE group_auto_updates (
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    package    TEXT NOT NULL,
    PRIMARY KEY (group_name, package)
) STRICT, WITHOUT ROWID;

-- The hash that a component was told last because of that, so that each version is told once.
CREATE TABLE group_auto_updates_told (
    serial  TEXT NOT NULL REFERENCES components (serial) ON DELETE CASCADE,
    package TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    PRIMARY KEY (serial, package)
) STRICT, WITHOUT ROWID;

-- What is known of delegated roles beside their metadata, and where the server fetches that.
CREATE TABLE delegation_info (
    role          TEXT PRIMARY KEY,
    friendly_name TEXT,
    uri           TEXT,
    -- Sent with the request: a JSON object. It may hold a secret and is never shown.
    headers       TEXT NOT NULL DEFAULT '{}',
    fetched_at    INTEGER
) STRICT, WITHOUT ROWID;
