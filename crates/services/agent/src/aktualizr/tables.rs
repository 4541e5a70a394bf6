//! aktualizr's `sql.db`, read table by table, whatever its version (`config/sql/schema.sql` and the
//! migrations beside it, versions 0 to 26).
//!
//! | since | what changed of what is read |
//! | --- | --- |
//! | 3, 4 | `installed_versions` has `is_current`, `length` |
//! | 6 | `meta` has a row for each file instead of a column |
//! | 13, 20, 21 | `installed_versions` has `sha256` instead of `hash`, and `ecu_serial`, `correlation_id`, `is_pending`; `was_installed`; `custom_meta` |
//! | 16, 18 | `device_installation_result`, with `correlation_id` |
//! | 22 | `ecu_report_counter` |
//! | 23 | `ecu_serials` is called `ecus`; `secondary_ecus` has what is known of each secondary |
//!
//! Columns are looked for by name, so that versions need not be told apart.

use std::path::Path;

use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use updraft_tuf::{Repository, RoleName};

use crate::store::Update;
use crate::{Error, Result};

/// The newest version that is known.
const NEWEST: i64 = 26;
/// Rows of one table that are read at most, and bytes of one value.
const ROWS: u32 = 10_000;
const VALUE_LIMIT: usize = 32 << 20;

/// Everything that is of use.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(super) device_id: Option<String>,
    pub(super) is_registered: bool,
    pub(super) ecus: Vec<EcuRow>,
    pub(super) private_key: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) installed: Vec<InstalledRow>,
    pub(super) events: Vec<String>,
    pub(super) device_result: Option<DeviceResult>,
    pub(super) ecu_results: Vec<EcuResult>,
    pub(super) secondaries: Vec<SecondaryRow>,
    /// Serial and hardware id of ECUs that were removed (`true`) or never registered.
    pub(super) misconfigured: Vec<(String, String, bool)>,
    meta: Vec<MetaRow>,
    counters: Vec<(String, u64)>,
}

#[derive(Debug)]
pub(super) struct EcuRow {
    pub(super) serial: String,
    pub(super) hardware_id: String,
    pub(super) is_primary: bool,
}

/// What is known of a secondary besides its serial and hardware id.
#[derive(Debug)]
pub(super) struct SecondaryRow {
    pub(super) serial: String,
    pub(super) key_type: String,
    pub(super) key: String,
    /// Of one behind a network: JSON with `ip` and `port`.
    pub(super) extra: String,
    /// Its last signed report.
    pub(super) manifest: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct InstalledRow {
    /// Empty in versions that knew one ECU only.
    pub(super) ecu: String,
    pub(super) update: Update,
    /// What its metadata said besides; an object, or null.
    pub(super) custom: Value,
    pub(super) is_current: bool,
    /// It waits for a reboot.
    pub(super) is_pending: bool,
    pub(super) was_installed: bool,
}

#[derive(Debug)]
pub(super) struct InstallationResult {
    pub(super) success: bool,
    pub(super) code: String,
    pub(super) description: String,
}

#[derive(Debug)]
pub(super) struct DeviceResult {
    pub(super) correlation_id: String,
    pub(super) result: InstallationResult,
}

#[derive(Debug)]
pub(super) struct EcuResult {
    pub(super) ecu: String,
    pub(super) result: InstallationResult,
}

#[derive(Debug)]
struct MetaRow {
    repository: Repository,
    role: RoleName,
    bytes: Vec<u8>,
}

impl Tables {
    /// Reads the database. `None`: there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
            Ok(_) => {}
        }
        let failed = |source| Error::State { operation: "read", path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        let version = version(&connection).map_err(failed)?;
        let Some(version) = version else { return Ok(None) };
        if version > NEWEST {
            let (found, known) = (version, NEWEST);
            return Err(Error::StateTooNew { path: path.to_owned(), found, known });
        }
        let mut tables = Self::default();
        tables.fill(&connection).map_err(failed)?;
        Ok(Some(tables))
    }

    /// The roots of a repository, in the order of their versions.
    pub(super) fn roots(&self, repository: Repository) -> Vec<(u64, Vec<u8>)> {
        let rows = self.meta.iter().filter(|row| row.repository == repository);
        let mut roots: Vec<_> = rows
            .filter(|row| row.role == RoleName::Root)
            .filter_map(|row| Some((version_of(&row.bytes)?, row.bytes.clone())))
            .collect();
        roots.sort();
        roots.dedup_by_key(|(version, _)| *version);
        roots
    }

    /// The other files of a repository. Uptane's verification judges each before it is used.
    pub(super) fn files(&self, repository: Repository) -> Vec<(RoleName, Vec<u8>)> {
        let rows = self.meta.iter().filter(|row| row.repository == repository);
        let others = rows.filter(|row| row.role != RoleName::Root);
        others.map(|row| (row.role.clone(), row.bytes.clone())).collect()
    }

    /// The last report counter of an ECU.
    pub(super) fn report_counter(&self, serial: &str) -> u64 {
        self.counters.iter().find(|(ecu, _)| ecu == serial).map_or(0, |(_, counter)| *counter)
    }

    fn fill(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let db = Database { connection };
        for row in db.rows("device_info", "")? {
            self.device_id = row.text("device_id").filter(|id| !id.is_empty());
            self.is_registered = row.number("is_registered") == 1;
        }
        let ecus = if db.has("ecus")? { "ecus" } else { "ecu_serials" };
        for row in db.rows(ecus, "ORDER BY rowid")? {
            if let (Some(serial), Some(hardware_id)) = (row.text("serial"), row.text("hardware_id"))
            {
                let is_primary = row.number("is_primary") == 1;
                self.ecus.push(EcuRow { serial, hardware_id, is_primary });
            }
        }
        for row in db.rows("primary_keys", "")? {
            self.private_key = row.text("private");
        }
        for row in db.rows("tls_creds", "")? {
            self.ca = row.text("ca_cert");
            self.certificate = row.text("client_cert");
            self.key = row.text("client_pkey");
        }
        for row in db.rows("installed_versions", "ORDER BY rowid")? {
            self.installed.extend(installed(&row));
        }
        for row in db.rows("report_events", "ORDER BY rowid")? {
            let json = row.text("json_string");
            self.events.extend(json.filter(|it| serde_json::from_str::<Value>(it).is_ok()));
        }
        for row in db.rows("ecu_report_counter", "")? {
            let counter = u64::try_from(row.number("counter")).unwrap_or(0);
            self.counters.extend(row.text("ecu_serial").map(|ecu| (ecu, counter)));
        }
        for row in db.rows("device_installation_result", "")? {
            let correlation_id = row.text("correlation_id").unwrap_or_default();
            self.device_result = Some(DeviceResult { correlation_id, result: result(&row) });
        }
        for row in db.rows("ecu_installation_results", "")? {
            let ecu = row.text("ecu_serial").unwrap_or_default();
            self.ecu_results.push(EcuResult { ecu, result: result(&row) });
        }
        for row in db.rows("secondary_ecus", "")? {
            let Some(serial) = row.text("serial") else { continue };
            let text = |name: &str| row.text(name).unwrap_or_default();
            self.secondaries.push(SecondaryRow {
                serial,
                key_type: text("public_key_type"),
                key: text("public_key"),
                extra: text("extra"),
                manifest: row.bytes("manifest").filter(|bytes| !bytes.is_empty()),
            });
        }
        for row in db.rows("misconfigured_ecus", "ORDER BY rowid")? {
            if let (Some(serial), Some(hardware)) = (row.text("serial"), row.text("hardware_id")) {
                self.misconfigured.push((serial, hardware, row.number("state") == 0));
            }
        }
        self.fill_metadata(&db)
    }

    fn fill_metadata(&mut self, db: &Database<'_>) -> rusqlite::Result<()> {
        let repositories = [(0, Repository::Image), (1, Repository::Director)];
        let roles = [
            (0, RoleName::Root),
            (1, RoleName::Snapshot),
            (2, RoleName::Targets),
            (3, RoleName::Timestamp),
        ];
        for row in db.rows("meta", "")? {
            self.meta.extend(before_version_6(&row));
            let repository = repositories.iter().find(|(number, _)| *number == row.number("repo"));
            let role = roles.iter().find(|(number, _)| *number == row.number("meta_type"));
            let (Some((_, repository)), Some((_, role)), Some(bytes)) =
                (repository, role, row.bytes("meta"))
            else {
                continue;
            };
            self.meta.push(MetaRow { repository: *repository, role: role.clone(), bytes });
        }
        for row in db.rows("delegations", "")? {
            let (Some(bytes), Some(name)) = (row.bytes("meta"), row.text("role_name")) else {
                continue;
            };
            let role = RoleName::Delegated(name);
            // A name that our store could not read again would make all of it unreadable.
            if RoleName::of_file_name(&role.file_name()).as_ref() == Some(&role) {
                self.meta.push(MetaRow { repository: Repository::Image, role, bytes });
            }
        }
        Ok(())
    }
}

/// One row had all files, each in a column of its own.
fn before_version_6(row: &Values) -> impl Iterator<Item = MetaRow> {
    let columns = [
        ("image_root", Repository::Image, RoleName::Root),
        ("image_snapshot", Repository::Image, RoleName::Snapshot),
        ("image_targets", Repository::Image, RoleName::Targets),
        ("image_timestamp", Repository::Image, RoleName::Timestamp),
        ("director_root", Repository::Director, RoleName::Root),
        ("director_targets", Repository::Director, RoleName::Targets),
    ];
    columns.into_iter().filter_map(|(column, repository, role)| {
        let bytes = row.bytes(column).filter(|bytes| !bytes.is_empty())?;
        Some(MetaRow { repository, role, bytes })
    })
}

fn installed(row: &Values) -> Option<InstalledRow> {
    let sha256 = row.text("sha256").or_else(|| row.text("hash"))?.to_ascii_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let custom: Value = row
        .text("custom_meta")
        .and_then(|text| serde_json::from_str(&text).ok())
        .filter(Value::is_object)
        .unwrap_or_default();
    let release_counter = custom.get("releaseCounter").and_then(Value::as_u64);
    let was_installed = !row.has("was_installed") || row.number("was_installed") == 1;
    Some(InstalledRow {
        ecu: row.text("ecu_serial").unwrap_or_default(),
        update: Update {
            filepath: row.text("name")?,
            sha256,
            length: u64::try_from(row.number("length")).unwrap_or(0),
            release_counter,
            correlation_id: row.text("correlation_id").unwrap_or_default(),
        },
        custom,
        is_current: row.number("is_current") == 1,
        is_pending: row.number("is_pending") == 1,
        was_installed,
    })
}

fn result(row: &Values) -> InstallationResult {
    InstallationResult {
        success: row.number("success") == 1,
        code: row.text("result_code").unwrap_or_default(),
        description: row.text("description").unwrap_or_default(),
    }
}

fn version_of(bytes: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    value.pointer("/signed/version")?.as_u64()
}

/// `None`: it is a database, and not one of aktualizr's.
fn version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let database = Database { connection };
    let rows = database.rows("version", "")?;
    Ok(rows.first().filter(|row| row.has("version")).map(|row| row.number("version")))
}

struct Database<'a> {
    connection: &'a Connection,
}

impl Database<'_> {
    fn has(&self, table: &str) -> rusqlite::Result<bool> {
        let query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        self.connection.query_row(query, [table], |row| Ok(row.get::<_, i64>(0)? > 0))
    }

    /// All rows of one of our tables' names; none when there is no such table.
    fn rows(&self, table: &'static str, order: &'static str) -> rusqlite::Result<Vec<Values>> {
        if !self.has(table)? {
            return Ok(Vec::new());
        }
        let query = format!("SELECT * FROM \"{table}\" {order} LIMIT {ROWS}");
        let mut statement = self.connection.prepare(&query)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| Values::of(&names, row))?;
        rows.collect()
    }
}

/// One row, by the names of its columns.
struct Values(Vec<(String, SqlValue)>);

impl Values {
    fn of(names: &[String], row: &Row<'_>) -> rusqlite::Result<Self> {
        let value = |index| -> rusqlite::Result<SqlValue> {
            Ok(match row.get_ref(index)? {
                ValueRef::Integer(number) => SqlValue::Integer(number),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) if bytes.len() <= VALUE_LIMIT => {
                    SqlValue::Blob(bytes.to_vec())
                }
                // Nothing of this size or kind is of use.
                _ => SqlValue::Null,
            })
        };
        let values =
            names.iter().enumerate().map(|(index, name)| Ok((name.clone(), value(index)?)));
        values.collect::<rusqlite::Result<_>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<&SqlValue> {
        self.0.iter().find(|(column, _)| column == name).map(|(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        match self.get(name)? {
            SqlValue::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        String::from_utf8(self.bytes(name)?).ok()
    }

    fn number(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(SqlValue::Integer(number)) => *number,
            _ => 0,
        }
    }
}
