-- Certificates that devices were given and have not shown yet; until they do, the present one is
-- accepted.
CREATE TABLE next_certificates (
    device      TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    -- SHA-256 of the certificate (DER).
    certificate BLOB NOT NULL,
    -- The certificate itself, PEM.
    issued_pem  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
