//! `ostree static-delta`: deltas between commits, made, listed, shown and applied.

mod generate;
mod keys;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use updraft_error::Kind;
use updraft_ostree::delta::{DeltaName, SignedDelta};
use updraft_repo::Repo;
use updraft_repo::delta::{self, ApplyOptions};
use updraft_terminal::{Failure, Result, Terminal};

use super::repository::Location;
use super::signing;
use keys::Keys;

/// Make, list and apply static deltas.
#[derive(Debug, Args)]
pub(crate) struct StaticDelta {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List static delta files.
    List,
    /// Dump information on a delta.
    Show {
        /// Its name, or its file or folder.
        #[arg(value_name = "DELTA")]
        name: Option<String>,
    },
    /// Remove a delta.
    Delete {
        /// Its name.
        #[arg(value_name = "DELTA")]
        name: Option<String>,
    },
    /// Generate static delta files.
    Generate(generate::Generate),
    /// Apply static delta file.
    ApplyOffline(ApplyOffline),
    /// Verify static delta signatures.
    Verify(Verify),
    /// List static delta indexes.
    Indexes,
    /// Regenerate static delta indexes.
    Reindex {
        /// Only the index of deltas to this commit.
        #[arg(long, value_name = "REV")]
        to: Option<String>,
    },
}

#[derive(Debug, Args)]
struct ApplyOffline {
    /// The file of the superblock, or the folder that it is in.
    path: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Args)]
struct Verify {
    /// The name of the delta, or its file or folder.
    #[arg(value_name = "STATIC-DELTA")]
    delta: Option<String>,
    #[command(flatten)]
    keys: Keys,
}

impl StaticDelta {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        match &self.command {
            Command::List => list(&repo, terminal),
            Command::Show { name } => show::show(&repo, &given(name.as_ref(), "DELTA")?, terminal),
            Command::Delete { name } => delete(&repo, &given(name.as_ref(), "DELTA")?),
            Command::Generate(generate) => generate.run(&repo, terminal),
            Command::ApplyOffline(apply) => apply.run(&repo, terminal),
            Command::Verify(verify) => verify.run(&repo, terminal),
            Command::Indexes => indexes(&repo, terminal),
            Command::Reindex { to } => {
                let to = to.as_deref().map(|to| repo.resolve(to)).transpose()?;
                Ok(delta::reindex(&terminal.context, &repo, to.as_ref())?)
            }
        }
    }
}

fn given(argument: Option<&String>, what: &str) -> Result<String> {
    let missing = || Failure::new(Kind::Invalid, format!("{what} must be specified"));
    argument.cloned().ok_or_else(missing)
}

/// The delta of this name.
fn named(name: &str) -> Result<DeltaName> {
    let invalid = |_| Failure::new(Kind::Invalid, format!("Invalid rev {name}"));
    name.parse().map_err(invalid)
}

/// A path when it looks like one, else the name of a delta of the repository.
fn place(text: &str) -> Result<delta::Location> {
    if text.contains('/') || Path::new(text).exists() {
        return Ok(delta::Location::Path(PathBuf::from(text)));
    }
    Ok(delta::Location::Repository(named(text)?))
}

fn list(repo: &Repo, terminal: &Terminal) -> Result {
    let names: Vec<String> = delta::list(repo)?.iter().map(ToString::to_string).collect();
    terminal.show(&names, |names| {
        if names.is_empty() {
            return terminal.line("(No static deltas)");
        }
        names.iter().try_for_each(|name| terminal.line(name))
    })
}

fn indexes(repo: &Repo, terminal: &Terminal) -> Result {
    let targets = delta::list_indexes(repo)?;
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    terminal.show(&targets, |targets| {
        if targets.is_empty() {
            return terminal.line("(No static deltas indexes)");
        }
        targets.iter().try_for_each(|target| terminal.line(target))
    })
}

fn delete(repo: &Repo, text: &str) -> Result {
    if delta::delete(repo, &named(text)?)? {
        return Ok(());
    }
    Err(Failure::new(Kind::NotFound, format!("Can't find delta {text}"))
        .hint("`static-delta list` shows the deltas"))
}

impl ApplyOffline {
    fn run(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let missing = || Failure::new(Kind::Invalid, "PATH must be specified");
        let path = self.path.clone().ok_or_else(missing)?;
        let location = delta::Location::Path(path);
        let demanded = repo.config().key_file().get_bool("core", "sign-verify-deltas")?;
        let keys = if self.keys.are_given() {
            Some(self.keys.load()?)
        } else if demanded.unwrap_or(false) {
            // Whatever the delta is: one without signatures proves no more than one with them.
            let message = "Key is mandatory to check delta signature";
            return Err(Failure::new(Kind::Rejected, message)
                .hint("give the signer's public key, or set core.sign-verify-deltas=false"));
        } else {
            None
        };
        let verify = |signed: Option<&SignedDelta>| match &keys {
            Some(keys) => Ok(keys::verify(keys, signed).map(drop).map_err(Box::new)?),
            None => Ok(()),
        };
        let options = ApplyOptions { verify: Some(&verify) };
        let applied = delta::apply_offline(&terminal.context, repo, &location, &options);
        let applied = applied.map_err(signing::repo_failure)?;
        if terminal.wants_json() {
            return terminal.json(&serde_json::json!({
                "commit": applied.commit.to_string(),
                "parts": applied.parts,
                "metadata": applied.metadata,
                "content": applied.content,
            }));
        }
        Ok(())
    }
}

impl Verify {
    fn run(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let text = given(self.delta.as_ref(), "DELTA")?;
        let keys = match self.keys.load() {
            Err(error) if !self.keys.is_known_type() => {
                terminal.line("Sign-type not supported")?;
                return Err(error);
            }
            keys => keys?,
        };
        let opened = place(&text).and_then(|place| Ok(delta::Delta::open(repo, &place)?));
        let checked = opened
            .and_then(|delta| keys::verify(&keys, delta.signed.as_ref()).map_err(signing::failure));
        if terminal.wants_json() {
            let success = checked.as_ref().ok().map(|success| success.0.as_str());
            let verified = serde_json::json!({ "verified": success.is_some(), "by": success });
            terminal.json(&verified)?;
        } else {
            let verdict = if checked.is_ok() { "OK" } else { "fails" };
            terminal.line(format!("Verification {verdict}"))?;
        }
        checked.map(drop)
    }
}
