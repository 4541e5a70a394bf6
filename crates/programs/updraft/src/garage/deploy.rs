//! garage-deploy: a commit from one treehub to another, and into the targets there.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::push::{PushOptions, push_with};
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::check::{require_commit, require_target};
use super::credentials::Credentials;
use super::sign::{NewTarget, TufRepo};
use super::{Talk, say};

/// Members that must be there to sign targets.
const NEEDED: [&str; 4] = ["root.json", "targets.pub", "targets.sec", "tufrepo.url"];

/// Copy a commit from one treehub to another and sign it into the targets there, as garage-deploy
/// does.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Deploy {
    #[command(flatten)]
    talk: Talk,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The commit.
    #[arg(long, value_name = "COMMIT")]
    commit: Checksum,
    /// The name of the image.
    #[arg(long)]
    name: String,
    /// Credentials of the treehub that has the commit.
    #[arg(long, short = 'f', value_name = "FILE")]
    fetch_credentials: PathBuf,
    /// Credentials of the servers that are to have it.
    #[arg(long, short = 'p', value_name = "FILE")]
    push_credentials: PathBuf,
    /// The hardware that it is for; commas separate.
    #[arg(long, short = 'h', value_name = "IDS", value_delimiter = ',', required = true)]
    hardwareids: Vec<String>,
    /// PEM certificates of the authorities to trust, in place of others.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The most requests at a time.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Check arguments and credentials, and copy nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Accepted for scripts. Every object is verified, whoever else does.
    #[arg(long)]
    disable_integrity_checks: bool,
}

impl Deploy {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let from = Credentials::read(&self.fetch_credentials)?;
        let to = Credentials::read(&self.push_credentials)?;
        let source = from.client(self.cacert.as_deref(), "garage-deploy")?;
        let target = to.client(self.cacert.as_deref(), "garage-deploy")?;
        require_commit(&source, &from.ostree_server()?, &self.commit)?;
        if self.dry_run {
            say(terminal, &self.talk, "dry run: nothing was copied or signed");
            return Ok(());
        }
        if let Some(missing) = NEEDED.into_iter().find(|name| to.member(name).is_none()) {
            let message = format!("the push credentials have no member {missing}");
            return Err(Failure::new(Kind::NotFound, message)
                .hint("`updraft-server credentials --operator NAME --with-targets-key`"));
        }
        let folder = tempfile::tempdir()?;
        let repo =
            Repo::init(folder.path().join("repo"), RepoMode::Archive, &InitOptions::default())?;
        super::check::fetch_all(terminal, &repo, &source, &from.ostree_server()?, &self.commit)?;
        say(terminal, &self.talk, format!("fetched {}", self.commit));
        let options = PushOptions { jobs: self.jobs.into(), ..PushOptions::default() };
        let base = to.ostree_server()?;
        push_with(&terminal.context, &repo, &target, &base, &self.commit, None, options)
            .with_context(|| format!("failed to push {}", self.commit))?;
        say(terminal, &self.talk, format!("pushed {}", self.commit));
        self.sign(folder.path())?;
        require_target(&target, &to.repository_server()?, &self.commit)?;
        say(terminal, &self.talk, format!("{} is signed as {}", self.commit, self.name));
        Ok(())
    }

    fn sign(&self, folder: &std::path::Path) -> Result {
        let local = folder.join("tuf/aktualizr");
        let repo = TufRepo::init(&local, &self.push_credentials, None, false)?;
        repo.pull_targets()?;
        let commit = self.commit.to_string();
        repo.add_target(&NewTarget {
            name: self.name.clone(),
            version: commit.clone(),
            sha256: commit,
            length: 0,
            format: "OSTREE".to_owned(),
            hardware_ids: self.hardwareids.clone(),
            url: None,
            custom: None,
            uploaded: false,
        })?;
        repo.sign_targets(&["targets".to_owned()], None, None)?;
        repo.push_targets()
    }
}
