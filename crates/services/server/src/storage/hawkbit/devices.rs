//! Devices that are told actions, whatever they speak.

use jiff::Timestamp;
use updraft_hawkbit::ddi::AutoConfirm;
use updraft_hawkbit::management::{Stamp, UpdateStatus};

use super::super::values;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, Value, params, params_from_iter,
};

/// The columns and tables that a condition of a list may use, too.
const FROM: &str = "FROM action_devices t JOIN devices d ON d.id = t.device";
const SELECT: &str = "SELECT t.*, d.last_seen, d.revoked_at, d.protocol,
    (SELECT y.name FROM target_types y WHERE y.id = t.target_type) AS type_name";

/// What a device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// hawkBit's Direct Device Integration API.
    Ddi,
    /// Mender's device API.
    Mender,
}

/// A device as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionDevice {
    /// Who and when.
    pub stamp: Stamp,
    /// Its id.
    pub id: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// With what it shows who it is.
    pub security_token: String,
    /// From where it called, or where it is, as an address.
    pub address: Option<String>,
    /// Where it belongs.
    pub group: Option<String>,
    /// The type it is of, with its name. None: it takes sets of every type.
    pub target_type: Option<(i64, String)>,
    /// How it stands.
    pub status: UpdateStatus,
    /// Whether it is asked for its attributes.
    pub request_attributes: bool,
    /// The set it was told last.
    pub assigned: Option<i64>,
    /// The set it installed last.
    pub installed: Option<i64>,
    /// When.
    pub installed_at: Option<Timestamp>,
    /// Who agreed to everything, if somebody did.
    pub auto_confirm: Option<AutoConfirm>,
    /// When it last called, as far as that is written.
    pub last_seen: Option<Timestamp>,
    /// Whether it is refused.
    pub revoked: bool,
}

/// One device.
pub fn get(connection: &Connection, id: &str) -> Result<Option<ActionDevice>> {
    connection
        .prepare_cached(&format!("{SELECT} {FROM} WHERE t.device = ?1"))
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read a device"))
}

/// One device, or that there is none.
pub fn require(connection: &Connection, id: &str) -> Result<ActionDevice> {
    get(connection, id)?.ok_or_else(|| Error::not_found("target", id))
}

/// With what a device shows who it is.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Its id.
    pub id: String,
    /// Its own token.
    pub security_token: String,
    /// Whether it is refused.
    pub revoked: bool,
}

/// The credentials of those of some devices that there are and that speak this.
pub fn credentials(
    connection: &Connection,
    ids: &[&str],
    protocol: Protocol,
) -> Result<Vec<Credentials>> {
    let failed = |error| Error::database("read devices' credentials")(error);
    let mut statement = connection
        .prepare_cached(connection.either(
            "SELECT t.device, t.security_token, d.revoked_at
             FROM json_each(?1) j JOIN action_devices t ON t.device = j.value
             JOIN devices d ON d.id = t.device WHERE d.protocol = ?2",
            // One at a time, however many it believes that there are.
            "SELECT t.device, t.security_token, d.revoked_at
             FROM json_array_elements_text(CAST(CAST(?1 AS TEXT) AS json)) j
             CROSS JOIN LATERAL
                 (SELECT * FROM action_devices WHERE device = j.value LIMIT 1) t
             CROSS JOIN LATERAL
                 (SELECT * FROM devices WHERE id = t.device AND protocol = ?2 LIMIT 1) d",
        ))
        .map_err(failed)?;
    let wanted = values::json("read devices' credentials", &ids)?;
    let rows = statement
        .query_map(params![wanted, values::word(protocol)], |row| {
            Ok(Credentials {
                id: row.get("device")?,
                security_token: row.get("security_token")?,
                revoked: row.get::<_, Option<i64>>("revoked_at")?.is_some(),
            })
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// A page of devices, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<ActionDevice>, u64)> {
    let failed = |error| Error::database("list devices")(error);
    let conditions = listing.conditions("");
    let parameters = || params_from_iter(listing.parameters.iter());
    let total = connection
        .query_row(&format!("SELECT count(*) {FROM}{conditions}"), parameters(), |row| row.get(0))
        .map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("{SELECT} {FROM}{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// Whether a device meets a condition.
pub fn meets(connection: &Connection, id: &str, listing: &Listing) -> Result<bool> {
    let conditions = listing.conditions("");
    let mut parameters = listing.parameters.clone();
    parameters.push(crate::storage::sql::Value::Text(id.to_owned()));
    let number = parameters.len();
    connection
        .query_row(
            &format!(
                "SELECT count(*) FROM (SELECT t.device {FROM}{conditions}) chosen
                 WHERE device = ?{number}"
            ),
            params_from_iter(parameters),
            |row| row.get::<_, i64>(0),
        )
        .map(|count| count > 0)
        .map_err(Error::database("compare a device with a query"))
}

/// The groups that devices are in, by name.
pub fn groups(connection: &Connection) -> Result<Vec<String>> {
    let failed = |error| Error::database("list target groups")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT DISTINCT group_path FROM action_devices
             WHERE group_path IS NOT NULL ORDER BY group_path",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Puts the devices for which a condition holds in a group, or in none.
pub fn put_in_group(
    tx: &Transaction<'_>,
    listing: &Listing,
    group: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    let conditions = listing.conditions("");
    let mut parameters = listing.parameters.clone();
    let first = parameters.len();
    parameters.extend([
        group.map_or(Value::Null, |group| Value::Text(group.to_owned())),
        Value::Text(by.actor.to_owned()),
        Value::Integer(by.millis()),
    ]);
    tx.execute(
        &format!(
            "UPDATE action_devices SET group_path = ?{}, modified_by = ?{}, modified_at = ?{}
             WHERE device IN (SELECT t.device {FROM}{conditions})",
            first + 1,
            first + 2,
            first + 3
        ),
        params_from_iter(parameters),
    )
    .map_err(Error::database("put targets in a group"))?;
    Ok(())
}

/// What a new device is to be like.
#[derive(Debug, Clone)]
pub struct DeviceValues {
    /// Its id.
    pub id: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// With what it shows who it is.
    pub security_token: String,
    /// Where it is.
    pub address: Option<String>,
    /// Where it belongs.
    pub group: Option<String>,
    /// The type it is of.
    pub target_type: Option<i64>,
    /// How it stands.
    pub status: UpdateStatus,
}

/// Adds a device.
pub fn insert(tx: &Transaction<'_>, new: &DeviceValues, by: By<'_>) -> Result<()> {
    let exists = |error: sql::Error| {
        if error.is_duplicate() {
            return Error::Conflict {
                code: "device_already_registered",
                action: format!("register device {}", new.id),
                reason: "there is a device of this id".to_owned(),
            };
        }
        Error::database("add a device")(error)
    };
    tx.execute(
        "INSERT INTO devices (id, certificate, registered_at, protocol) VALUES (?1, ?2, ?3, ?4)",
        params![new.id, [0_u8; 32].as_slice(), by.millis(), values::word(new.protocol)],
    )
    .map_err(exists)?;
    tx.execute(
        "INSERT INTO action_devices (device, name, description, security_token, address, group_path,
             update_status, request_attributes, created_by, created_at, modified_by, modified_at,
             target_type)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?8, ?9, ?10)",
        params![
            new.id,
            new.name,
            new.description,
            new.security_token,
            new.address,
            new.group,
            values::word(new.status),
            by.actor,
            by.millis(),
            new.target_type
        ],
    )
    .map_err(exists)?;
    Ok(())
}

/// Stores all of a device that operators and devices may change; `by` when it was an operator.
pub fn update(tx: &Transaction<'_>, device: &ActionDevice, by: Option<By<'_>>) -> Result<()> {
    let auto_confirm = device
        .auto_confirm
        .as_ref()
        .map(|auto| values::json("store who confirms", auto))
        .transpose()?;
    tx.prepare_cached(
        "UPDATE action_devices SET name = ?2, description = ?3, security_token = ?4, address = ?5,
             group_path = ?6, update_status = ?7, request_attributes = ?8, assigned_set = ?9,
             installed_set = ?10, installed_at = ?11, auto_confirm = ?12, target_type = ?13,
             modified_by = coalesce(?14, modified_by), modified_at = coalesce(?15, modified_at)
         WHERE device = ?1",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            device.id,
            device.name,
            device.description,
            device.security_token,
            device.address,
            device.group,
            values::word(device.status),
            device.request_attributes,
            device.assigned,
            device.installed,
            device.installed_at.map(values::millis),
            auto_confirm,
            device.target_type.as_ref().map(|(id, _)| *id),
            by.map(|by| by.actor),
            by.map(|by| by.millis()),
        ])
    })
    .map_err(Error::database("change a device"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<ActionDevice> {
    let status: String = row.get("update_status")?;
    let auto_confirm: Option<String> = row.get("auto_confirm")?;
    Ok(ActionDevice {
        stamp: stamp(row)?,
        id: row.get("device")?,
        protocol: match row.get::<_, String>("protocol")?.as_str() {
            "mender" => Protocol::Mender,
            _ => Protocol::Ddi,
        },
        name: row.get("name")?,
        description: row.get("description")?,
        security_token: row.get("security_token")?,
        address: row.get("address")?,
        group: row.get("group_path")?,
        target_type: Option::zip(row.get("target_type")?, row.get("type_name")?),
        status: values::from_word("update status", &status).unwrap_or(UpdateStatus::Unknown),
        request_attributes: row.get("request_attributes")?,
        assigned: row.get("assigned_set")?,
        installed: row.get("installed_set")?,
        installed_at: values::optional_time(row, "installed_at")?,
        auto_confirm: auto_confirm.and_then(|text| serde_json::from_str(&text).ok()),
        last_seen: values::optional_time(row, "last_seen")?,
        revoked: row.get::<_, Option<i64>>("revoked_at")?.is_some(),
    })
}
