//! `ostree rev-parse`, `ostree reset`.

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::{ObjectType, Refspec};
use updraft_terminal::{Failure, Result, Terminal};

use super::program::Usage;
use super::repository::Location;

/// Print the commit that a revision names.
#[derive(Debug, Args)]
pub(crate) struct RevParse {
    /// Print the only commit of a repository that has exactly one.
    #[arg(long, short = 'S')]
    single: bool,
    /// A ref, REMOTE:REF, a checksum or the beginning of one; `^` after it means its parent.
    #[arg(value_name = "REV", required_unless_present = "single")]
    revisions: Vec<String>,
}

#[derive(Serialize)]
struct Resolved {
    revision: String,
    commit: String,
}

impl RevParse {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let mut resolved = Vec::new();
        if self.single && !self.revisions.is_empty() {
            return Err(Usage::failure("Cannot specify arguments with --single"));
        }
        if self.single {
            let mut commits =
                repo.list_objects()?.into_iter().filter(|o| o.object_type == ObjectType::Commit);
            let commit = match (commits.next(), commits.next()) {
                (Some(only), None) => only.checksum.to_string(),
                (None, _) => return Err(Failure::new(Kind::NotFound, "No commit objects found")),
                _ => return Err(Failure::new(Kind::Conflict, "Multiple commit objects found")),
            };
            resolved.push(Resolved { revision: commit.clone(), commit });
        }
        for revision in &self.revisions {
            let commit = repo.resolve(revision);
            match commit {
                Ok(commit) => resolved
                    .push(Resolved { revision: revision.clone(), commit: commit.to_string() }),
                Err(error) => {
                    // What was found before the bad one is printed, as by the peer.
                    print(&resolved, terminal)?;
                    return Err(error.into());
                }
            }
        }
        print(&resolved, terminal)
    }
}

fn print(resolved: &Vec<Resolved>, terminal: &Terminal) -> Result {
    terminal.show(resolved, |all| all.iter().try_for_each(|one| terminal.line(&one.commit)))
}

/// Reset a ref to an earlier commit.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// The ref.
    #[arg(value_name = "REF")]
    name: String,
    /// The commit it shall name.
    commit: String,
}

impl Reset {
    pub(crate) fn run(&self, location: &Location) -> Result {
        let repo = location.open()?;
        if self.name.is_empty() {
            return Err(Failure::new(Kind::Invalid, "Invalid ref ''"));
        }
        let name: Refspec = self.name.parse()?;
        if repo.read_ref(&name)?.is_none() {
            return Err(Failure::new(Kind::NotFound, format!("Invalid ref '{}'", self.name)));
        }
        let commit = repo.resolve(&self.commit)?;
        repo.set_ref(&name, Some(&commit))?;
        Ok(())
    }
}
