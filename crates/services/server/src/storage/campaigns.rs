//! Campaigns, the updates that they are about, and what devices answered.

use jiff::Timestamp;

use super::rollouts::members::{MemberRecord, read_member};
use super::values;
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// What campaigns are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignUpdate {
    /// Its id, a UUID.
    pub id: String,
    /// The multi-target update.
    pub source: String,
    /// Its name, for people.
    pub name: String,
    /// What it does, for people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignRecord {
    /// Its id, a UUID.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// The update that it is about.
    pub update: String,
    /// A JSON array of groups.
    pub groups: String,
    /// Whether somebody at each device is asked.
    pub approval_needed: bool,
    /// A JSON array of what is told about it.
    pub metadata: String,
    /// `prepared`, `launched` or `cancelled`.
    pub status: String,
    /// How many devices it was launched to.
    pub processed: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Adds an update.
pub fn insert_update(tx: &Transaction<'_>, update: &CampaignUpdate) -> Result<()> {
    let CampaignUpdate { id, source, name, description, created_at } = update;
    tx.execute(
        "INSERT INTO campaign_updates VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, source, name, description, values::millis(*created_at)],
    )
    .map_err(Error::database("add an update"))?;
    Ok(())
}

/// One update, or that there is none.
pub fn require_update(connection: &Connection, id: &str) -> Result<CampaignUpdate> {
    connection
        .query_row("SELECT * FROM campaign_updates WHERE id = ?1", [id], read_update)
        .optional()
        .map_err(Error::database("read an update"))?
        .ok_or_else(|| Error::not_found("update", id))
}

/// All updates, the newest first.
pub fn updates(connection: &Connection) -> Result<Vec<CampaignUpdate>> {
    let failed = |error| Error::database("list updates")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM campaign_updates ORDER BY created_at DESC, id")
        .map_err(failed)?;
    let rows = statement.query_map([], read_update).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Adds a campaign, or stores it anew.
pub fn put(tx: &Transaction<'_>, campaign: &CampaignRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO campaigns VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET name = ?2, metadata = ?6, status = ?7, processed = ?8,
             updated_at = ?10",
        params![
            campaign.id,
            campaign.name,
            campaign.update,
            campaign.groups,
            campaign.approval_needed,
            campaign.metadata,
            campaign.status,
            values::stored(campaign.processed),
            values::millis(campaign.created_at),
            values::millis(campaign.updated_at),
        ],
    )
    .map_err(Error::database("store a campaign"))?;
    Ok(())
}

/// One campaign, or that there is none.
pub fn require(connection: &Connection, id: &str) -> Result<CampaignRecord> {
    connection
        .query_row("SELECT * FROM campaigns WHERE id = ?1", [id], read)
        .optional()
        .map_err(Error::database("read a campaign"))?
        .ok_or_else(|| Error::not_found("campaign", id))
}

/// All campaigns, the newest first.
pub fn list(connection: &Connection) -> Result<Vec<CampaignRecord>> {
    let failed = |error| Error::database("list campaigns")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM campaigns ORDER BY created_at DESC, id")
        .map_err(failed)?;
    let rows = statement.query_map([], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The launched campaigns that a device is to be asked about.
pub fn open_questions(connection: &Connection, device: &str) -> Result<Vec<CampaignRecord>> {
    let failed = |error| Error::database("list a device's campaigns")(error);
    let groups =
        connection.either("json_each(c.groups)", "json_array_elements_text(c.groups::json)");
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT c.* FROM campaigns c
             WHERE c.status = 'launched' AND c.approval_needed = 1
               AND NOT EXISTS (SELECT 1 FROM campaign_answers a
                               WHERE a.campaign = c.id AND a.device = ?1)
               AND EXISTS (SELECT 1 FROM {groups} g
                           JOIN group_devices m ON m.group_name = g.value WHERE m.device = ?1)
             ORDER BY c.created_at, c.id"
        ))
        .map_err(failed)?;
    let rows = statement.query_map([device], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Notes what was answered on a device.
pub fn answer(tx: &Transaction<'_>, campaign: &str, device: &str, answer: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO campaign_answers VALUES (?1, ?2, ?3)
             ON CONFLICT (campaign, device) DO UPDATE SET answer = excluded.answer",
        [campaign, device, answer],
    )
    .map_err(Error::database("note an answer to a campaign"))?;
    Ok(())
}

/// How many devices with this correlation are in which state.
pub fn states(connection: &Connection, correlation: &str) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::database("count a campaign's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT state, count(*) FROM rollout_devices WHERE correlation = ?1 GROUP BY state",
        )
        .map_err(failed)?;
    let rows = statement
        .query_map([correlation], |row| Ok((row.get(0)?, values::count(row.get(1)?))))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// What devices were told with this correlation, by device; of several times the last.
pub fn members(connection: &Connection, correlation: &str) -> Result<Vec<MemberRecord>> {
    let failed = |error| Error::database("list a campaign's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT * FROM rollout_devices WHERE correlation = ?1 ORDER BY device, assigned_at",
        )
        .map_err(failed)?;
    let mut rows = statement.query([correlation]).map_err(failed)?;
    let mut found: Vec<MemberRecord> = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let member = read_member(&row)?;
        found.pop_if(|last| last.device == member.device);
        found.push(member);
    }
    Ok(found)
}

/// What was answered at the devices that were asked: device, answer.
pub fn answers(connection: &Connection, campaign: &str) -> Result<Vec<(String, String)>> {
    let failed = |error| Error::database("list the answers to a campaign")(error);
    let mut statement = connection
        .prepare_cached("SELECT device, answer FROM campaign_answers WHERE campaign = ?1")
        .map_err(failed)?;
    let rows =
        statement.query_map([campaign], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The devices that were told something with this correlation and have not ended.
pub fn unfinished(connection: &Connection, correlation: &str) -> Result<Vec<String>> {
    let failed = |error| Error::database("list a campaign's devices")(error);
    let mut statement = connection
        .prepare_cached(
            "SELECT device FROM rollout_devices
             WHERE correlation = ?1 AND state IN ('assigned', 'started', 'rolling_back') ORDER BY device",
        )
        .map_err(failed)?;
    let rows = statement.query_map([correlation], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

fn read_update(row: &Row<'_>) -> sql::Result<CampaignUpdate> {
    Ok(CampaignUpdate {
        id: row.get("id")?,
        source: row.get("source")?,
        name: row.get("name")?,
        description: row.get("description")?,
        created_at: values::required_time(row, "created_at")?,
    })
}

fn read(row: &Row<'_>) -> sql::Result<CampaignRecord> {
    Ok(CampaignRecord {
        id: row.get("id")?,
        name: row.get("name")?,
        update: row.get("update_id")?,
        groups: row.get("groups")?,
        approval_needed: row.get("approval_needed")?,
        metadata: row.get("metadata")?,
        status: row.get("status")?,
        processed: values::count(row.get("processed")?),
        created_at: values::required_time(row, "created_at")?,
        updated_at: values::required_time(row, "updated_at")?,
    })
}
