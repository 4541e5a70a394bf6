//! `updraft-server key`: the metadata keys in the data folder.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use updraft_server_service::setup::{KEY_ROLES, add_token_key, list_keys, lock, remove_key};
use updraft_server_service::{Config, Fleet};
use updraft_terminal::{Result, Table, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

/// List metadata keys, and let roles sign with keys in tokens (PKCS#11).
///
/// The server must be stopped for all but `ls`. For a role of the Director: `add-token`, `rm` the key in
/// its file, then `apply`. For root: `add-token`, `apply`, `rm`, `apply`. For snapshot and timestamp of
/// the Image repository: `add-token`, start the server, `updraft keys rotate snapshot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys of all roles.
    Ls {
        #[command(flatten)]
        data: DataFolder,
    },
    /// Let a role sign with a key in a token, beside the keys that it has.
    AddToken {
        /// The role, such as director/targets.
        #[arg(long, value_name = "ROLE", value_parser = KEY_ROLES)]
        role: String,
        /// The key: `pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE` (RFC 7512).
        uri: String,
        /// The program that loads the token's module; without it, the one beside this program, or
        /// in PATH.
        #[arg(long, value_name = "PROGRAM", default_value = "updraftd-keys")]
        helper: PathBuf,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Forget a key of a role; one in a token stays there.
    Rm {
        /// The role.
        #[arg(long, value_name = "ROLE", value_parser = KEY_ROLES)]
        role: String,
        /// The key's id.
        key: String,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Sign a root of the Director that names the keys that are here now.
    Apply {
        #[command(flatten)]
        data: DataFolder,
    },
}

#[derive(Serialize)]
struct Listed {
    role: &'static str,
    keyid: String,
    keytype: String,
    token: bool,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.action {
            Action::Ls { data } => list(data, terminal),
            Action::AddToken { role, uri, helper, data } => {
                let layout = data.layout()?;
                let _lock = lock(&layout).map_err(failure)?;
                let helper = beside(helper);
                let key = add_token_key(&layout, role, uri, &helper).map_err(failure)?;
                let value = serde_json::json!({ "keyid": key.key_id.as_str() });
                terminal.show(&value, |_| terminal.line(&key.key_id))
            }
            Action::Rm { role, key, data } => {
                let layout = data.layout()?;
                let _lock = lock(&layout).map_err(failure)?;
                remove_key(&layout, role, key).map_err(failure)
            }
            Action::Apply { data } => {
                let layout = data.layout()?;
                let _lock = lock(&layout).map_err(failure)?;
                let config = Config::load(&layout.config()).map_err(failure)?;
                let fleet = Fleet::open(layout, config, system::environment()).map_err(failure)?;
                let version = fleet.name_director_keys().map_err(failure)?;
                terminal.show(&serde_json::json!({ "version": version }), |_| match version {
                    Some(version) => terminal.line(format!("signed root version {version}")),
                    None => terminal.line("the root names these keys already"),
                })
            }
        }
    }
}

fn list(data: &DataFolder, terminal: &Terminal) -> Result {
    let layout = data.layout()?;
    let mut listed = Vec::new();
    for role in KEY_ROLES {
        for key in list_keys(&layout, role).map_err(failure)? {
            let token = key.path.extension().is_some_and(|extension| extension == "p11");
            let keytype = format!("{:?}", key.public.key_type());
            listed.push(Listed { role, keyid: key.key_id.to_string(), keytype, token });
        }
    }
    terminal.show(&listed, |listed| {
        let mut table = Table::new(["role", "key", "type", "where"]);
        for key in listed {
            let place = if key.token { "token" } else { "file" };
            table.row([key.role.to_owned(), key.keyid.clone(), key.keytype.clone(), place.into()]);
        }
        terminal.table(&table)
    })
}

/// The helper that came with this program is the one that fits.
fn beside(helper: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(helper)));
    beside.filter(|path| path.exists()).unwrap_or_else(|| helper.to_owned())
}
