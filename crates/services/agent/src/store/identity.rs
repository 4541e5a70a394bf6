//! Who we are.

use rusqlite::{OptionalExtension as _, Transaction};

use crate::Result;
use crate::store::Store;

/// Who this device is to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The device's id: the common name of its certificate.
    pub device_id: String,
    /// The private key, PKCS#8 PEM. Empty: it is in a token.
    pub private_key_pem: String,
    /// The certificate request made with it, PEM, while the server has not answered.
    pub request_pem: Option<String>,
    /// The certificate, PEM.
    pub certificate_pem: Option<String>,
    /// The server's authority, PEM.
    pub ca_pem: Option<String>,
    /// The gateway's address that came with the credentials.
    pub server: Option<String>,
}

impl std::fmt::Debug for IdentityRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityRecord").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// The primary ECU.
#[derive(Clone, PartialEq, Eq)]
pub struct EcuRecord {
    /// Its serial number.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Its Uptane key, PKCS#8 PEM. Empty: it is in a token.
    pub private_key_pem: String,
    /// The id of that key, when it is in a token.
    pub token_key_id: Option<String>,
    /// Whether the server knows it.
    pub registered: bool,
}

impl std::fmt::Debug for EcuRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EcuRecord")
            .field("serial", &self.serial)
            .field("hardware_id", &self.hardware_id)
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// A key whose certificate is to follow the present one.
#[derive(Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The private key, PKCS#8 PEM. Empty: it is in a token.
    pub private_key_pem: String,
    /// The certificate request made with it, PEM.
    pub request_pem: String,
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal { .. }")
    }
}

impl Store {
    /// Who we are, if that is known.
    pub fn identity(&self) -> Result<Option<IdentityRecord>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT device_id, private_key_pem, request_pem, certificate_pem, ca_pem, server
                     FROM identity",
                    [],
                    |row| {
                        Ok(IdentityRecord {
                            device_id: row.get(0)?,
                            private_key_pem: row.get(1)?,
                            request_pem: row.get(2)?,
                            certificate_pem: row.get(3)?,
                            ca_pem: row.get(4)?,
                            server: row.get(5)?,
                        })
                    },
                )
                .optional()
        })
    }

    /// Remembers who we are. Another identity than before has no registered ECU.
    pub fn set_identity(&self, identity: &IdentityRecord) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "UPDATE ecu SET registered = 0
                 WHERE NOT EXISTS (SELECT 1 FROM identity WHERE device_id = ?1)",
                [&identity.device_id],
            )?;
            put(transaction, identity)
        })
    }

    /// The renewed identity takes the place of the present one, key and certificate together.
    pub fn renew_identity(&self, identity: &IdentityRecord) -> Result<()> {
        self.change(|transaction| {
            put(transaction, identity)?;
            transaction.execute_batch("DELETE FROM renewal")
        })
    }

    /// The identity of a device that the server had forgotten takes the place of the one before:
    /// its ECU is not registered any more, and the Director, whose files are made for each
    /// registration, begins anew with the root that is trusted.
    pub fn replace_identity(&self, identity: &IdentityRecord) -> Result<()> {
        self.change(|transaction| {
            put(transaction, identity)?;
            transaction.execute_batch(
                "DELETE FROM renewal;
                 UPDATE ecu SET registered = 0;
                 DELETE FROM sent;
                 DELETE FROM metadata
                 WHERE repository = 'director' AND file_name <> 'root.json';",
            )
        })
    }

    /// The key whose certificate is to follow the present one.
    pub fn renewal(&self) -> Result<Option<Renewal>> {
        self.read(|connection| {
            connection
                .query_row("SELECT private_key_pem, request_pem FROM renewal", [], |row| {
                    Ok(Renewal { private_key_pem: row.get(0)?, request_pem: row.get(1)? })
                })
                .optional()
        })
    }

    /// Remembers that key before anybody hears of it.
    pub fn set_renewal(&self, renewal: &Renewal) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO renewal (id, private_key_pem, request_pem)
                 VALUES (1, ?1, ?2)",
                (&renewal.private_key_pem, &renewal.request_pem),
            )?;
            Ok(())
        })
    }

    /// The primary ECU, if it has a key already.
    pub fn ecu(&self) -> Result<Option<EcuRecord>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT serial, hardware_id, private_key_pem, registered, token_key_id FROM ecu",
                    [],
                    |row| {
                        Ok(EcuRecord {
                            serial: row.get(0)?,
                            hardware_id: row.get(1)?,
                            private_key_pem: row.get(2)?,
                            registered: row.get(3)?,
                            token_key_id: row.get(4)?,
                        })
                    },
                )
                .optional()
        })
    }

    /// Remembers the primary ECU.
    pub fn set_ecu(&self, ecu: &EcuRecord) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO ecu
                 (id, serial, hardware_id, private_key_pem, registered, token_key_id)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                (
                    &ecu.serial,
                    &ecu.hardware_id,
                    &ecu.private_key_pem,
                    ecu.registered,
                    &ecu.token_key_id,
                ),
            )?;
            Ok(())
        })
    }
}

pub(super) fn put(
    transaction: &Transaction<'_>,
    identity: &IdentityRecord,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO identity
         (id, device_id, private_key_pem, request_pem, certificate_pem, ca_pem, server)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &identity.device_id,
            &identity.private_key_pem,
            &identity.request_pem,
            &identity.certificate_pem,
            &identity.ca_pem,
            &identity.server,
        ),
    )?;
    Ok(())
}
