//! `updraft keys ls` and `show`.

use serde::Serialize;
use updraft_error::Kind;
use updraft_publish::{ImageRepository, StoredKey, printable};
use updraft_terminal::{Failure, Result, Table, Terminal};
use updraft_tuf::KeyId;

use crate::signing::{DIALECT, KeyFolder};
use crate::text;

/// One key as `--json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    keyid: String,
    keytype: &'static str,
    roles: Vec<String>,
    path: String,
    public: String,
}

pub(super) fn list(folder: &KeyFolder, terminal: &Terminal) -> Result {
    let known = folder.known()?;
    let keys = folder.store.list()?;
    let rows: Vec<Row> = keys.iter().map(|key| row(key, known.as_ref())).collect();
    terminal.show(&rows, |rows| {
        let mut table = Table::new(["key", "type", "signs", "file"]);
        for row in rows {
            table.row([
                text::short(&row.keyid),
                row.keytype.to_owned(),
                row.roles.join(","),
                row.path.clone(),
            ]);
        }
        terminal.table(&table)
    })
}

pub(super) fn show(folder: &KeyFolder, key: &str, terminal: &Terminal) -> Result {
    let row = row(&find(folder, key)?, folder.known()?.as_ref());
    terminal.show(&row, |row| {
        terminal.line(format!("key     {}", row.keyid))?;
        terminal.line(format!("type    {}", row.keytype))?;
        terminal.line(format!("signs   {}", row.roles.join(", ")))?;
        terminal.line(format!("file    {}", row.path))?;
        terminal.line(format!("public  {}", row.public))
    })
}

/// The key whose id is `text` or begins with it.
pub(super) fn find(folder: &KeyFolder, text: &str) -> Result<StoredKey> {
    check_digits(text)?;
    let keys = folder.store.list()?;
    let mut fitting = keys.into_iter().filter(|key| key.key_id.as_str().starts_with(text));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Failure::new(Kind::NotFound, format!("there is no key `{text}`"))
            .hint("list them with `updraft keys ls`")),
        (Some(_), Some(_)) => {
            Err(Failure::new(Kind::Invalid, format!("several keys begin with `{text}`"))
                .hint("give more digits"))
        }
    }
}

/// A slip such as an empty variable must not name a key.
pub(super) fn check_digits(text: &str) -> Result {
    const FEWEST: usize = 4;
    if text.len() >= FEWEST {
        return Ok(());
    }
    let message = format!("`{text}` is too short to name a key: give at least {FEWEST} digits");
    Err(Failure::new(Kind::Invalid, message).hint("list them with `updraft keys ls`"))
}

/// Refuses to lose a key that the trusted root still counts on.
pub(super) fn check_unused(folder: &KeyFolder, key: &StoredKey) -> Result {
    let signs = folder.known()?.map(|known| roles(&known, &key.key_id)).unwrap_or_default();
    if signs.is_empty() {
        return Ok(());
    }
    let message = format!("the key {} still signs {}", key.key_id, signs.join(", "));
    Err(Failure::new(Kind::Conflict, message)
        .hint("take it away with `updraft keys rotate ROLE --remove KEY` first")
        .hint("for a delegated role, delegate anew without it: `updraft keys delegate`")
        .hint("--force deletes it all the same, for example after copying it elsewhere"))
}

fn row(key: &StoredKey, known: Option<&ImageRepository>) -> Row {
    Row {
        keyid: key.key_id.as_str().to_owned(),
        keytype: key.public.key_type().wire_name(DIALECT),
        roles: known.map(|known| roles(known, &key.key_id)).unwrap_or_default(),
        path: key.path.display().to_string(),
        public: key.public.public_text(),
    }
}

/// The roles that a key signs for, delegated ones last.
fn roles(known: &ImageRepository, key: &KeyId) -> Vec<String> {
    let top = known.root().roles.iter().filter(|(_, keys)| keys.key_ids.contains(key));
    let mut names: Vec<String> = top.map(|(name, _)| name.clone()).collect();
    let delegated = known.delegations().into_iter().flat_map(|all| &all.roles);
    let delegated = delegated.filter(|role| role.keys.key_ids.contains(key));
    names.extend(delegated.map(|role| printable(&role.name)));
    names
}
