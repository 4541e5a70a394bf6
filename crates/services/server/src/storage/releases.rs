//! Releases and their targets.

use jiff::Timestamp;
use updraft_api::{NewRelease, Page, Release, ReleaseSet, ReleaseTarget};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// Adds a release.
pub fn insert(tx: &Transaction<'_>, release: &NewRelease, now: Timestamp) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO releases (name, notes, created_at, requires) VALUES (?1, ?2, ?3, ?4)",
        params![release.name, release.notes, values::millis(now), release.requires],
    );
    match inserted {
        Ok(_) => {}
        Err(error) if error.is_duplicate() => {
            return Err(Error::Conflict {
                code: "release_exists",
                action: format!("make the release {}", release.name),
                reason: "there is one of this name, and releases do not change".to_owned(),
            });
        }
        Err(error) => return Err(Error::database("add a release")(error)),
    }
    for (position, target) in release.targets.iter().enumerate() {
        tx.execute(
            "INSERT INTO release_targets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                release.name,
                values::stored(position as u64),
                target.filepath,
                target.sha256,
                values::stored(target.length),
                values::word(target.format),
                target.version,
                values::json("store hardware ids", &target.hardware_ids)?,
            ],
        )
        .map_err(Error::database("add a release's target"))?;
    }
    for (position, set) in release.distribution_sets.iter().enumerate() {
        tx.execute(
            "INSERT INTO release_sets VALUES (?1, ?2, ?3, ?4)",
            params![
                release.name,
                values::stored(position as u64),
                set.id,
                values::json("store attributes", &set.attributes)?,
            ],
        )
        .map_err(Error::database("add a release's distribution set"))?;
    }
    Ok(())
}

/// One release.
pub fn get(connection: &Connection, name: &str) -> Result<Option<Release>> {
    let head = connection
        .prepare_cached("SELECT * FROM releases WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], read_head).optional())
        .map_err(Error::database("read a release"))?;
    let Some(mut release) = head else { return Ok(None) };
    release.targets = targets(connection, name)?;
    release.distribution_sets = sets(connection, name)?;
    Ok(Some(release))
}

/// One release, or that there is none.
pub fn require(connection: &Connection, name: &str) -> Result<Release> {
    get(connection, name)?.ok_or_else(|| Error::not_found("release", name))
}

/// The releases after `after`, by name.
pub fn list(connection: &Connection, after: &str, limit: u32) -> Result<Page<Release>> {
    let failed = |error| Error::database("list releases")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM releases WHERE name > ?1 ORDER BY name LIMIT ?2")
        .map_err(failed)?;
    let rows =
        statement.query_map(params![after, i64::from(limit) + 1], read_head).map_err(failed)?;
    let mut items: Vec<Release> = rows.collect::<Result<_, _>>().map_err(failed)?;
    for release in &mut items {
        release.targets = targets(connection, &release.name)?;
        release.distribution_sets = sets(connection, &release.name)?;
    }
    Ok(page(items, limit, |release: &Release| release.name.clone()))
}

/// The newest release that has this target, and its version.
pub fn of_image(
    connection: &Connection,
    filepath: &str,
    sha256: &str,
) -> Result<Option<(String, String)>> {
    connection
        .prepare_cached(
            "SELECT t.release, t.version FROM release_targets t
             JOIN releases r ON r.name = t.release
             WHERE t.sha256 = ?2 AND t.filepath = ?1 ORDER BY r.created_at DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([filepath, sha256], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(Error::database("find an image's release"))
}

/// Whether a distribution set is one of a release that was made after this time.
pub fn is_of_newer(connection: &Connection, set: i64, than: Timestamp) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM release_sets s JOIN releases r ON r.name = s.release
                 WHERE s.set_id = ?1 AND r.created_at > ?2)",
        )
        .and_then(|mut statement| {
            statement.query_row(params![set, values::millis(than)], |row| row.get(0))
        })
        .map_err(Error::database("find a distribution set's releases"))
}

fn targets(connection: &Connection, release: &str) -> Result<Vec<ReleaseTarget>> {
    let failed = |error| Error::database("read a release's targets")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM release_targets WHERE release = ?1 ORDER BY position")
        .map_err(failed)?;
    let mut rows = statement.query([release]).map_err(failed)?;
    let mut targets = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        targets.push(read_target(&row)?);
    }
    Ok(targets)
}

fn sets(connection: &Connection, release: &str) -> Result<Vec<ReleaseSet>> {
    let failed = |error| Error::database("read a release's distribution sets")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM release_sets WHERE release = ?1 ORDER BY position")
        .map_err(failed)?;
    let mut rows = statement.query([release]).map_err(failed)?;
    let mut sets = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let attributes: String = row.get("attributes").map_err(failed)?;
        sets.push(ReleaseSet {
            id: row.get("set_id").map_err(failed)?,
            attributes: values::from_json("attributes", &attributes)?,
        });
    }
    Ok(sets)
}

fn read_head(row: &Row<'_>) -> sql::Result<Release> {
    Ok(Release {
        name: row.get("name")?,
        notes: row.get("notes")?,
        created_at: values::required_time(row, "created_at")?,
        targets: Vec::new(),
        distribution_sets: Vec::new(),
        requires: row.get("requires")?,
        payloads: Vec::new(),
    })
}

fn read_target(row: &Row<'_>) -> Result<ReleaseTarget> {
    let failed = |error| Error::database("read a release's target")(error);
    let text = |column| row.get::<_, String>(column).map_err(failed);
    Ok(ReleaseTarget {
        filepath: text("filepath")?,
        hardware_ids: values::from_json("hardware ids", &text("hardware_ids")?)?,
        format: values::from_word("target format", &text("format")?)?,
        sha256: text("sha256")?,
        length: values::count(row.get("length").map_err(failed)?),
        version: text("version")?,
    })
}
