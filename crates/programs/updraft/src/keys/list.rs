//! `updraft keys ls` and `show`.

use serde::Serialize;
use updraft_error::Kind;
use updraft_publish::StoredKey;
use updraft_terminal::{Failure, Result, Table, Terminal};
use updraft_tuf::{Envelope, KeyId, Payload as _, Root};

use crate::signing::{DIALECT, KeyFolder};
use crate::text;

/// Largest root, in bytes.
const ROOT_LIMIT: usize = 64 * 1024;

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
    let root = trusted_root(folder)?;
    let keys = folder.store.list()?;
    let rows: Vec<Row> = keys.iter().map(|key| row(key, root.as_ref())).collect();
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
    let row = row(&find(folder, key)?, trusted_root(folder)?.as_ref());
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

fn row(key: &StoredKey, root: Option<&Root>) -> Row {
    Row {
        keyid: key.key_id.as_str().to_owned(),
        keytype: key.public.key_type().wire_name(DIALECT),
        roles: root.map(|root| roles(root, &key.key_id)).unwrap_or_default(),
        path: key.path.display().to_string(),
        public: key.public.public_text(),
    }
}

fn roles(root: &Root, key: &KeyId) -> Vec<String> {
    let signs = root.roles.iter().filter(|(_, keys)| keys.key_ids.contains(key));
    signs.map(|(name, _)| name.clone()).collect()
}

fn trusted_root(folder: &KeyFolder) -> Result<Option<Root>> {
    let Some(bytes) = folder.trusted_root()? else { return Ok(None) };
    let envelope = Envelope::parse(DIALECT, &bytes, ROOT_LIMIT)?;
    let root = Root::from_value(DIALECT, envelope.signed);
    root.map(Some).map_err(|reason| {
        Failure::new(Kind::Invalid, format!("the trusted root of this folder is damaged: {reason}"))
    })
}
