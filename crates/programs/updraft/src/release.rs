//! `updraft release …`: what devices may run, named and signed.

mod create;
mod encrypt;
mod import;
mod payload;
mod register;
mod target;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use updraft_api::{Release, paths};
use updraft_publish::{Draft, ImageRepository};
use updraft_terminal::{Result, ResultExt as _, Table, Terminal};
use updraft_tuf::Targets;

pub(crate) use encrypt::encrypt_file;

use crate::keys::SignRequest;
use crate::server::Server;
use crate::signing::{self, KeyFolder, KeysOption};
use crate::text;

/// Build, sign and publish releases.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    keys: KeysOption,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    Register(register::Register),
    Encrypt(encrypt::Encrypt),
    /// Sign a request; the same as `updraft keys sign`.
    Sign(SignRequest),
    /// Publish a signed request: check it, send it, and register the releases it names.
    #[command(visible_alias = "publish")]
    Import {
        /// The signed requests.
        #[arg(required = true)]
        requests: Vec<PathBuf>,
        /// A file that is a target in them, such as a payload: uploaded when the targets are
        /// published. Repeat for more.
        #[arg(long = "file", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The files of these releases go to devices encrypted only, by `updraft encrypted-image`: the
        /// server need not have them.
        #[arg(long)]
        encrypted: bool,
    },
    /// Sign the same targets again with a later expiry.
    Renew {
        /// Sign those of this delegated role in place of the top-level ones.
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
        /// For how many days the targets are valid.
        #[arg(long, value_name = "DAYS", default_value_t = 365)]
        expires_days: u16,
        /// Publish nothing: write the targets as a sign request.
        #[arg(long, value_name = "FILE")]
        sign_request: Option<PathBuf>,
    },
    /// List releases.
    Ls,
    /// Show a release and its targets.
    Show {
        /// The release.
        release: String,
    },
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Create(create) => create.run(&self.keys.open()?, terminal),
            Command::Register(register) => register.run(terminal),
            Command::Encrypt(encrypt) => encrypt.run(terminal),
            Command::Sign(sign) => sign.run(&self.keys.open()?, terminal),
            Command::Import { requests, files, encrypted } => {
                import::run(requests, files, *encrypted, terminal)
            }
            Command::Renew { role, expires_days, sign_request } => {
                let folder = self.keys.open()?;
                let server = Server::connect()?;
                let repository = repository(&folder, &server, role.as_deref())?;
                let changes = vec!["the same targets, valid for longer".to_owned()];
                let expires = signing::in_days(*expires_days)?;
                let draft = draft(&repository, role.as_deref(), expires, changes, |_| {})?;
                let mut draft = signing::in_its_forms(&server, draft)?;
                folder.sign(&mut draft)?;
                match signing::finish(&draft, sign_request.as_deref(), terminal)? {
                    Some(_) => signing::publish(&server, &draft)?.show(terminal),
                    None => Ok(()),
                }
            }
            Command::Ls => {
                let releases: Vec<Release> = Server::connect()?.list(paths::RELEASES)?;
                terminal.show(&releases, |releases| terminal.table(&table(releases)))
            }
            Command::Show { release } => {
                let release: Release = Server::connect()?.get(&paths::release(release))?;
                terminal.show(&release, |release| show(terminal, release))
            }
        }
    }
}

/// The server's repository; with all delegated targets when one of those roles is meant.
fn repository(folder: &KeyFolder, server: &Server, role: Option<&str>) -> Result<ImageRepository> {
    match role {
        Some(_) => folder.repository_with_delegations(server),
        None => folder.repository(server),
    }
}

/// New targets of a delegated role, or without `role` the top-level ones.
fn draft(
    repository: &ImageRepository,
    role: Option<&str>,
    expires: Timestamp,
    changes: Vec<String>,
    edit: impl FnOnce(&mut Targets),
) -> Result<Draft> {
    match role {
        Some(name) => repository
            .draft_delegated(name, expires, changes, edit)
            .hint("make the role with `updraft keys delegate`"),
        None => Ok(repository.draft_targets(expires, changes, edit)),
    }
}

fn table(releases: &[Release]) -> Table {
    let mut table = Table::new(["release", "created", "hardware", "version", "commit", "notes"]);
    for release in releases {
        for target in &release.targets {
            table.row([
                release.name.clone(),
                text::time(release.created_at),
                target.hardware_ids.join(","),
                target.version.clone(),
                text::short(&target.sha256),
                release.notes.clone(),
            ]);
        }
    }
    table
}

fn show(terminal: &Terminal, release: &Release) -> Result {
    terminal.line(format!("release  {}", release.name))?;
    terminal.line(format!("created  {}", text::time(release.created_at)))?;
    if !release.notes.is_empty() {
        terminal.line(format!("notes    {}", release.notes))?;
    }
    for target in &release.targets {
        terminal.line(format!("target   {}", target.filepath))?;
        terminal.line(format!("  for      {}", target.hardware_ids.join(", ")))?;
        terminal.line(format!("  version  {}", target.version))?;
        terminal.line(format!("  sha256   {}", target.sha256))?;
        for payload in release.payloads.iter().filter(|one| one.target == target.filepath) {
            let names = payload.partitions.iter().map(|one| one.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            terminal.line(format!("  payload  {}, {} bytes", names, payload.size))?;
            for delta in &payload.deltas {
                terminal.line(format!("  delta    {}, {} bytes", delta.target, delta.size))?;
            }
        }
    }
    for set in &release.distribution_sets {
        terminal.line(format!("set      {}", set.id))?;
        for (key, value) in &set.attributes {
            terminal.line(format!("  for      {key} {value}"))?;
        }
    }
    if let Some(required) = &release.requires {
        terminal.line(format!("after    {required}"))?;
    }
    Ok(())
}
