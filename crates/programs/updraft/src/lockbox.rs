//! `updraft lockbox …`: media with updates for devices without a network.
//!
//! ```text
//! DIR/metadata/director/    N.root.json offline-snapshot.json NAME.json
//! DIR/metadata/image-repo/  N.root.json snapshot.json targets.json delegations/ROLE.json
//! DIR/ostree/               the commits     DIR/images/SHA256    the files
//! DIR/receipts/DEVICE/N.json                what devices report back
//! ```

mod create;
mod receive;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_terminal::{Failure, Result, Terminal};

/// The most that one file of metadata may have, in bytes.
const METADATA_LIMIT: u64 = 32 << 20;

/// Make media with updates for devices without a network, and take their receipts back.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    /// Show what a medium holds and until when it is valid; nothing is verified.
    Show {
        /// The medium's folder.
        dir: PathBuf,
    },
    /// Send the receipts on a medium to the server, which checks their signatures.
    Receive {
        /// The medium's folder.
        dir: PathBuf,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Create(create) => create.run(terminal),
            Command::Show { dir } => show::run(dir, terminal),
            Command::Receive { dir } => receive::run(dir, terminal),
        }
    }
}

/// A file of JSON in a folder of the medium. `None`: there is none.
fn read(folder: &Path, name: &str) -> Result<Option<Value>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let Some(bytes) = Dir::open(folder)?.try_read(name, METADATA_LIMIT)? else { return Ok(None) };
    parse(&bytes, &folder.join(name).display().to_string()).map(Some)
}

fn parse(bytes: &[u8], what: &str) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(Kind::Invalid, format!("failed to read {what}: {error}")))
}

/// The targets that a file of metadata lists.
fn targets(file: &Value) -> impl Iterator<Item = (&String, &Value)> {
    file.pointer("/signed/targets").and_then(Value::as_object).into_iter().flatten()
}

/// The SHA-256 of a target, which names a file or a commit.
fn sha256<'a>(name: &str, target: &'a Value) -> Result<&'a str> {
    let sha256 = target.pointer("/hashes/sha256").and_then(Value::as_str);
    sha256
        .filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(|| Failure::new(Kind::Invalid, format!("the target {name} has no SHA-256")))
}
