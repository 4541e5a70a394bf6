//! Ten thousand devices, written into a stopped server's database: to give each its certificate by
//! the interface would take longer than all that is tested.

use std::path::Path;

use anyhow::Result;
use harness::HARDWARE;
use rusqlite::{Connection, params};

/// How many devices.
const DEVICES: u32 = 10_000;

/// Devices `truck-00000` and on: half run the first image, a third the second, and the others have
/// reported nothing. Every hundredth is revoked; they were last seen one minute after the other.
pub(crate) fn seed(data: &Path, commits: &[&str; 2]) -> Result<()> {
    let mut database = Connection::open(data.join("updraft.db"))?;
    let transaction = database.transaction()?;
    let targets: Vec<(String, String)> = {
        let mut statement =
            transaction.prepare("SELECT filepath, sha256 FROM release_targets ORDER BY release")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    assert_eq!(targets.iter().map(|(_, commit)| commit.as_str()).collect::<Vec<_>>(), commits);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    for number in 0..DEVICES {
        let id = format!("truck-{number:05}");
        let (serial, seen) = (format!("{id}-ecu"), now - i64::from(number) * 60_000);
        let revoked = (number % 100 == 99).then_some(now);
        transaction.execute(
            "INSERT INTO devices (id, certificate, registered_at, revoked_at, last_seen,
                 primary_serial) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id, number.to_be_bytes().repeat(8), now, revoked, seen, serial],
        )?;
        let runs = match number % 6 {
            0..=2 => targets.first(),
            3 | 4 => targets.get(1),
            _ => None,
        };
        transaction.execute(
            "INSERT INTO components (serial, device, hardware_id, key, key_id, filepath, sha256,
                 length) VALUES (?1, ?2, ?3, '{}', ?4, ?5, ?6, 0)",
            params![
                serial,
                id,
                HARDWARE,
                format!("{number:064x}"),
                runs.map(|(filepath, _)| filepath),
                runs.map(|(_, commit)| commit)
            ],
        )?;
    }
    transaction.commit()?;
    Ok(())
}
