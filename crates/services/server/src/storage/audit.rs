//! The audit log: append-only and chained by hashes.
//!
//! An operator's request runs inside [`acting`]. [`Database::write`](super::Database::write) asks,
//! after the work and before the commit, whether somebody is acting and something was changed, and
//! then appends an entry in the same transaction. So what an operator changes and its entry are
//! committed together, and no handler can forget it. What the server does by itself, and what
//! devices do, is in the events and not here.

use std::cell::RefCell;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use updraft_api::{AuditEntry, AuditOutcome, AuditQuery, Page};
use updraft_tuf::{Dialect, canonical};

use super::values::{self, page};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// The most events of one transaction that its entry repeats.
const MAX_DETAILS: usize = 20;
/// The most bytes of each of them.
const MAX_DETAIL: usize = 500;

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub struct Origin {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who, such as `user:anna`.
    pub actor: String,
    /// By what the actor was recognised.
    pub credential: String,
    /// From where.
    pub address: Option<String>,
    /// To what it is done: method and path, or the command.
    pub object: String,
    /// Ties the entries of one request together.
    pub request_id: String,
}

thread_local! {
    static ACTING: RefCell<Option<Origin>> = const { RefCell::new(None) };
}

/// Does some work on behalf of somebody: what it writes on this thread is logged.
pub fn acting<T>(origin: Option<Origin>, work: impl FnOnce() -> T) -> T {
    /// Puts back who was acting before, also when the work panics.
    struct Before(Option<Origin>);
    impl Drop for Before {
        fn drop(&mut self) {
            ACTING.set(self.0.take());
        }
    }
    let _before = Before(ACTING.replace(origin));
    work()
}

/// Where the database was before some work, when somebody is acting.
#[derive(Debug)]
pub(super) struct Mark {
    changes: u64,
    event: i64,
}

/// Remembers where the database is now.
pub(super) fn mark(tx: &Transaction<'_>) -> Result<Option<Mark>> {
    if ACTING.with_borrow(Option::is_none) {
        return Ok(None);
    }
    let event = tx
        .query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))
        .map_err(Error::database("look at the events"))?;
    Ok(Some(Mark { changes: tx.total_changes(), event }))
}

/// Appends what was changed since the mark.
pub(super) fn record(tx: &Transaction<'_>, action: &str, mark: Option<Mark>) -> Result<()> {
    let Some(mark) = mark.filter(|mark| tx.total_changes() > mark.changes) else { return Ok(()) };
    let Some(origin) = ACTING.with_borrow(Clone::clone) else { return Ok(()) };
    let details = details(tx, mark.event)?;
    append(tx, &origin, action, (AuditOutcome::Done, details))
}

/// What the events say that were appended since this one.
fn details(tx: &Transaction<'_>, since: i64) -> Result<Vec<String>> {
    let failed = |error| Error::database("look at the events")(error);
    let mut statement = tx
        .prepare_cached("SELECT message FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")
        .map_err(failed)?;
    let rows = statement
        .query_map(params![since, values::stored(MAX_DETAILS as u64 + 1)], |row| row.get(0))
        .map_err(failed)?;
    let mut details: Vec<String> = rows.collect::<Result<_, _>>().map_err(failed)?;
    if details.len() > MAX_DETAILS {
        details.truncate(MAX_DETAILS);
        details.push("and more, see the events".to_owned());
    }
    for detail in &mut details {
        let end = (0..=MAX_DETAIL.min(detail.len())).rev().find(|at| detail.is_char_boundary(*at));
        detail.truncate(end.unwrap_or(0));
    }
    Ok(details)
}

/// Appends an entry.
pub fn append(
    tx: &Transaction<'_>,
    origin: &Origin,
    action: &str,
    (outcome, details): (AuditOutcome, Vec<String>),
) -> Result<()> {
    let last = last(tx)?;
    let entry = AuditEntry {
        number: last.number.saturating_add(1),
        at: origin.at,
        actor: origin.actor.clone(),
        credential: origin.credential.clone(),
        address: origin.address.clone(),
        action: action.to_owned(),
        object: origin.object.clone(),
        outcome,
        details,
        request_id: origin.request_id.clone(),
        previous: last.hash,
        hash: String::new(),
    };
    let text = text_of(&entry)?;
    tx.prepare_cached("INSERT INTO audit (number, entry, hash, at) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![
                values::stored(entry.number),
                text,
                Sha256::digest(text.as_bytes()).as_slice(),
                values::millis(entry.at)
            ])
        })
        .map(drop)
        .map_err(Error::database("append to the audit log"))
}

/// What is hashed: the entry without its hash, as canonical JSON.
fn text_of(entry: &AuditEntry) -> Result<String> {
    let failed = |reason: String| Error::Internal { action: "write an audit entry", reason };
    let mut value = serde_json::to_value(entry).map_err(|error| failed(error.to_string()))?;
    if let Some(members) = value.as_object_mut() {
        members.remove("hash");
    }
    let bytes =
        canonical::encode(Dialect::Uptane, &value).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// The last entry's number and hash: who keeps them elsewhere can show that nothing up to there
/// was changed or removed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The number; 0 when there is no entry.
    pub number: u64,
    /// The hash in hexadecimal digits; that of no entry is 64 zeros.
    pub hash: String,
}

impl Checkpoint {
    fn start() -> Self {
        Self { number: 0, hash: "0".repeat(64) }
    }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl std::str::FromStr for Checkpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parsed = text.split_once(':').and_then(|(number, hash)| {
            let digits = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = number.parse().ok().filter(|_| digits)?;
            Some(Self { number, hash: hash.to_ascii_lowercase() })
        });
        parsed.ok_or("a checkpoint is NUMBER:HASH, as `audit verify` prints it")
    }
}

fn last(connection: &Connection) -> Result<Checkpoint> {
    let last = connection
        .query_row("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", [], checkpoint)
        .optional()
        .map_err(Error::database("read the audit log"))?;
    Ok(last.unwrap_or_else(Checkpoint::start))
}

fn checkpoint(row: &Row<'_>) -> sql::Result<Checkpoint> {
    let hash: Vec<u8> = row.get("hash")?;
    Ok(Checkpoint { number: values::count(row.get("number")?), hash: hex::encode(hash) })
}

/// The entries that are wanted, in the order that is wanted.
pub fn list(
    connection: &Connection,
    query: &AuditQuery,
    (after, limit): (u64, u32),
) -> Result<Page<AuditEntry>> {
    let failed = |error| Error::database("list the audit log")(error);
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT number, entry, hash FROM audit
             WHERE {} AND (CAST(?2 AS TEXT) IS NULL OR actor = ?2) AND (CAST(?3 AS TEXT) IS NULL OR action = ?3)
               AND (CAST(?4 AS TEXT) IS NULL OR {}(object, ?4) > 0)
               AND (CAST(?5 AS BIGINT) IS NULL OR at >= ?5) AND (CAST(?6 AS BIGINT) IS NULL OR at < ?6)
             ORDER BY number {} LIMIT ?7",
            values::beyond(query.order, "number"),
            connection.either("instr", "strpos"),
            values::direction(query.order)
        ))
        .map_err(failed)?;
    let rows = statement
        .query_map(
            params![
                values::stored(after),
                query.actor,
                query.action,
                query.object,
                query.since.map(values::millis),
                query.until.map(values::millis),
                i64::from(limit) + 1
            ],
            |row| Ok((row.get::<_, String>("entry")?, checkpoint(row)?)),
        )
        .map_err(failed)?;
    let items = rows
        .map(|row| {
            let (text, Checkpoint { hash, .. }) = row.map_err(failed)?;
            let mut entry: AuditEntry = values::from_json("an audit entry", &text)?;
            entry.hash = hash;
            Ok(entry)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(page(items, limit, |entry| entry.number.to_string()))
}

/// Looks whether the chain is whole, and goes through the entry that was pinned elsewhere.
///
/// Gives the last entry's number and hash, or which entry is the first that is wrong and how.
pub fn verify(
    connection: &Connection,
    pinned: Option<&Checkpoint>,
) -> Result<std::result::Result<Checkpoint, String>> {
    let failed = |error| Error::database("read the audit log")(error);
    let mut statement = connection
        .prepare_cached("SELECT number, entry, hash, at FROM audit ORDER BY number")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut last = Checkpoint::start();
    while let Some(row) = rows.next().map_err(failed)? {
        let here = checkpoint(&row).map_err(failed)?;
        let text: String = row.get("entry").map_err(failed)?;
        let at: i64 = row.get("at").map_err(failed)?;
        if let Err(trouble) = follows(&last, &here, (&text, at)) {
            return Ok(Err(trouble));
        }
        if let Some(pinned) = pinned.filter(|pinned| pinned.number == here.number)
            && pinned.hash != here.hash
        {
            return Ok(Err(format!("entry {} is not the one that was pinned", here.number)));
        }
        last = here;
    }
    match pinned {
        Some(pinned) if pinned.number > last.number => Ok(Err(format!(
            "entries {} to {} were removed: the log ends before the one that was pinned",
            last.number.saturating_add(1),
            pinned.number
        ))),
        _ => Ok(Ok(last)),
    }
}

/// Whether an entry is what its hash says and comes after the last one.
fn follows(last: &Checkpoint, here: &Checkpoint, (text, at): (&str, i64)) -> Result<(), String> {
    let number = here.number;
    let expected = last.number.saturating_add(1);
    if number != expected {
        return Err(format!("entry {expected} was removed"));
    }
    let changed = || format!("entry {number} was changed");
    if hex::encode(Sha256::digest(text.as_bytes())) != here.hash {
        return Err(changed());
    }
    let entry: AuditEntry = serde_json::from_str(text).map_err(|_| changed())?;
    if entry.number != number || values::millis(entry.at) != at {
        return Err(changed());
    }
    if entry.previous != last.hash {
        return Err(format!(
            "entry {number} does not follow the one before: that was changed, or one of them was \
             inserted"
        ));
    }
    Ok(())
}
