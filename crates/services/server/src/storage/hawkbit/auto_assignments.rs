//! Sets that devices are told by themselves, because they meet a query. Each is a row of the filters: a
//! filter has at most one, and one that was made by itself has a filter that nobody else sees.

use updraft_hawkbit::management::{ActionKind, AutoState, Stamp};

use super::super::values;
use super::filters::exists;
use super::{By, Listing, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{
    self, Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter,
};

/// What devices are told by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuto {
    /// The set.
    pub set: i64,
    /// How.
    pub kind: ActionKind,
    /// The greater goes first.
    pub weight: Option<i64>,
    /// Whether somebody at the device has to agree.
    pub confirmation: Option<bool>,
    /// When it begins by itself, in milliseconds since 1970 (UTC); none: at once.
    pub start_at: Option<i64>,
    /// Where it stands at first.
    pub state: AutoState,
}

/// One as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoRecord {
    /// Who and when, of the filter.
    pub stamp: Stamp,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// RSQL.
    pub query: String,
    /// What devices are told, and where it stands now.
    pub auto: NewAuto,
    /// Who said so.
    pub by: String,
    /// Who agreed, or did not, and what they said.
    pub decision: (Option<String>, Option<String>),
}

/// One, or that there is none.
pub fn require(connection: &Connection, id: i64) -> Result<AutoRecord> {
    connection
        .prepare_cached("SELECT * FROM target_filters WHERE id = ?1 AND auto_set IS NOT NULL")
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .map_err(Error::database("read an automatic assignment"))?
        .ok_or_else(|| Error::not_found("automatic assignment", id.to_string()))
}

/// A page of them, and how many there are.
pub fn list(connection: &Connection, listing: &Listing) -> Result<(Vec<AutoRecord>, u64)> {
    let failed = |error| Error::database("list automatic assignments")(error);
    let conditions = listing.conditions("f.auto_set IS NOT NULL");
    let parameters = || params_from_iter(listing.parameters.iter());
    let count = format!("SELECT count(*) FROM target_filters f{conditions}");
    let total = connection.query_row(&count, parameters(), |row| row.get(0)).map_err(failed)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM target_filters f{conditions}{}", listing.page()))
        .map_err(failed)?;
    let rows = statement.query_map(parameters(), read).map_err(failed)?;
    Ok((rows.collect::<Result<_, _>>().map_err(failed)?, values::count(total)))
}

/// Makes a filter that goes with its assignment; gives its number.
pub fn insert_filter(tx: &Transaction<'_>, name: &str, query: &str, by: By<'_>) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO target_filters
             (name, query, auto_made, created_by, created_at, modified_by, modified_at)
         VALUES (?1, ?2, 1, ?3, ?4, ?3, ?4)",
        params![name, query, by.actor, by.millis()],
    );
    inserted.map_err(|error| exists(name, error))
}

/// Has devices told a set by themselves that meet a filter. What was decided before is forgotten.
pub fn put(tx: &Transaction<'_>, id: i64, auto: &NewAuto, by: By<'_>) -> Result<()> {
    tx.execute(
        "UPDATE target_filters SET auto_set = ?2, auto_kind = ?3, auto_weight = ?4,
             auto_confirmation = ?5, auto_start_at = ?6, auto_state = ?7, auto_by = ?8,
             auto_decided_by = NULL, auto_remark = NULL, modified_by = ?8, modified_at = ?9
         WHERE id = ?1",
        params![
            id,
            auto.set,
            values::word(auto.kind),
            auto.weight,
            auto.confirmation,
            auto.start_at,
            values::word(auto.state),
            by.actor,
            by.millis()
        ],
    )
    .map_err(Error::database("change an automatic assignment"))?;
    Ok(())
}

/// Devices are told no more; a filter that was made for it goes, too.
pub fn remove(tx: &Transaction<'_>, id: i64, by: By<'_>) -> Result<()> {
    let failed = |error| Error::database("remove an automatic assignment")(error);
    tx.execute("DELETE FROM target_filters WHERE id = ?1 AND auto_made = 1", [id])
        .map_err(failed)?;
    tx.execute(
        "UPDATE target_filters SET auto_set = NULL, auto_state = NULL, auto_kind = NULL,
             auto_weight = NULL, auto_confirmation = NULL, auto_start_at = NULL,
             auto_decided_by = NULL, auto_remark = NULL, modified_by = ?2, modified_at = ?3
         WHERE id = ?1",
        params![id, by.actor, by.millis()],
    )
    .map_err(failed)?;
    Ok(())
}

/// Changes name and description, where given.
pub fn change(
    tx: &Transaction<'_>,
    id: i64,
    name: Option<&str>,
    description: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE target_filters SET name = coalesce(?2, name),
             description = coalesce(?3, description), modified_by = ?4, modified_at = ?5
         WHERE id = ?1",
        params![id, name, description, by.actor, by.millis()],
    );
    changed.map(drop).map_err(|error| exists(name.unwrap_or_default(), error))
}

/// It stands somewhere else now.
pub fn set_state(tx: &Transaction<'_>, id: i64, state: AutoState, by: By<'_>) -> Result<()> {
    tx.execute(
        "UPDATE target_filters SET auto_state = ?2, modified_by = ?3, modified_at = ?4
         WHERE id = ?1",
        params![id, values::word(state), by.actor, by.millis()],
    )
    .map_err(Error::database("change an automatic assignment"))?;
    Ok(())
}

/// It is another thing since somebody changed it: what was decided holds no more.
pub fn renew(tx: &Transaction<'_>, id: i64, state: AutoState, by: By<'_>) -> Result<()> {
    set_state(tx, id, state, by)?;
    tx.execute(
        "UPDATE target_filters SET auto_by = ?2, auto_decided_by = NULL, auto_remark = NULL
         WHERE id = ?1",
        params![id, by.actor],
    )
    .map_err(Error::database("change an automatic assignment"))?;
    Ok(())
}

/// Somebody agreed, or did not.
pub fn set_decision(
    tx: &Transaction<'_>,
    id: i64,
    state: AutoState,
    remark: Option<&str>,
    by: By<'_>,
) -> Result<()> {
    set_state(tx, id, state, by)?;
    tx.execute(
        "UPDATE target_filters SET auto_decided_by = ?2, auto_remark = ?3 WHERE id = ?1",
        params![id, by.actor, remark],
    )
    .map_err(Error::database("decide on an automatic assignment"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<AutoRecord> {
    let kind: Option<String> = row.get("auto_kind")?;
    let state: Option<String> = row.get("auto_state")?;
    Ok(AutoRecord {
        stamp: stamp(row)?,
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        query: row.get("query")?,
        auto: NewAuto {
            set: row.get("auto_set")?,
            kind: kind
                .and_then(|kind| values::from_word("action type", &kind).ok())
                .unwrap_or_default(),
            weight: row.get("auto_weight")?,
            confirmation: row.get("auto_confirmation")?,
            start_at: row.get("auto_start_at")?,
            // What cannot be read tells nobody anything.
            state: state
                .and_then(|state| values::from_word("state", &state).ok())
                .unwrap_or(AutoState::Paused),
        },
        by: row.get::<_, Option<String>>("auto_by")?.unwrap_or_default(),
        decision: (row.get("auto_decided_by")?, row.get("auto_remark")?),
    })
}
