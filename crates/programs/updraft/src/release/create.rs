//! `updraft release create`: push commits, sign targets, publish, register.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use updraft_api::{NewRelease, Release, ReleaseTarget, TargetFormat, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_ostree::Checksum;
use updraft_publish::{Draft, Error as PublishError, ImageRepository};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::target;
use crate::server::Server;
use crate::signing::{self, KeyFolder};
use crate::text;

/// Push commits to the server, add them to the signed targets, and register the release.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The release's name: 1 to 64 of A-Z a-z 0-9 . _ -
    name: String,
    /// The OSTree repository that holds the commits.
    #[arg(long, value_name = "PATH")]
    repo: PathBuf,
    /// Which commit is for which hardware: `HARDWARE=REV`, where REV is a branch or a commit.
    /// Repeat for more.
    #[arg(long = "target", value_name = "HARDWARE=REV", required = true, value_parser = assignment)]
    targets: Vec<(String, String)>,
    /// The version, for people; without it the release's name.
    #[arg(long, value_name = "VERSION")]
    release_version: Option<String>,
    /// What changed, for people.
    #[arg(long, default_value = "")]
    notes: String,
    /// The release that devices must have run before this one; rollouts bring them there first.
    #[arg(long, value_name = "RELEASE", conflicts_with = "sign_request")]
    requires: Option<String>,
    /// List the targets in this delegated role, which `updraft keys delegate` made.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// For how many days the targets are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    expires_days: u16,
    /// Push, but publish nothing: write the targets as a sign request.
    #[arg(long, value_name = "FILE")]
    sign_request: Option<PathBuf>,
}

impl Create {
    pub(super) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        let repo = Repo::open(&self.repo)?;
        let server = Server::connect()?;
        let release = self.release(&repo)?;
        let repository = super::repository(folder, &server, self.role.as_deref())?;
        self.check(&release, &repository)?;
        self.push(&repo, &release, &server, terminal)?;
        let mut draft = signing::in_its_forms(&server, self.draft(&release, &repository)?)?;
        folder.sign(&mut draft)?;
        if signing::finish(&draft, self.sign_request.as_deref(), terminal)?.is_none() {
            return Ok(());
        }
        signing::publish(&server, &draft)?;
        let release: Release = server
            .send(Method::Post, paths::RELEASES, &release)
            .with_context(|| format!("failed to register release `{}`", self.name))?;
        terminal.show(&release, |release| {
            terminal.line(format!("released {}", release.name))?;
            for target in &release.targets {
                let hardware = target.hardware_ids.join(", ");
                terminal.line(format!("  {hardware}: {}", text::short(&target.sha256)))?;
            }
            Ok(())
        })
    }

    fn release(&self, repo: &Repo) -> Result<NewRelease> {
        let version = self.release_version.clone().unwrap_or_else(|| self.name.clone());
        let mut targets: Vec<ReleaseTarget> = Vec::new();
        for (hardware, rev) in &self.targets {
            if targets.iter().any(|target| target.hardware_ids.contains(hardware)) {
                let message = format!("the hardware `{hardware}` is given twice");
                return Err(Failure::new(Kind::Invalid, message));
            }
            let commit = repo.resolve(rev)?;
            targets.push(ReleaseTarget {
                filepath: format!("{}-{hardware}", self.name),
                hardware_ids: vec![hardware.clone()],
                format: TargetFormat::Ostree,
                sha256: commit.to_string(),
                length: 0,
                version: version.clone(),
            });
        }
        Ok(NewRelease {
            name: self.name.clone(),
            notes: self.notes.clone(),
            targets,
            requires: self.requires.clone(),
            ..NewRelease::default()
        })
    }

    fn push(
        &self,
        repo: &Repo,
        release: &NewRelease,
        server: &Server,
        terminal: &Terminal,
    ) -> Result {
        for ((_, rev), target) in self.targets.iter().zip(&release.targets) {
            let commit: Checksum = target.sha256.parse()?;
            // A checksum given by hand is no branch.
            let branch = (!target.sha256.starts_with(rev.as_str())).then_some(rev.as_str());
            terminal.say(format!("pushing {}", text::short(&target.sha256)));
            let base = server.url(paths::TREEHUB);
            let context = &terminal.context;
            updraft_repo::push::push(context, repo, server.client(), &base, &commit, branch)
                .with_context(|| format!("failed to push {}", text::short(&target.sha256)))?;
        }
        Ok(())
    }

    /// Sees to it that devices would find these targets, and no older ones under their names.
    fn check(&self, release: &NewRelease, repository: &ImageRepository) -> Result {
        for target in &release.targets {
            let path = &target.filepath;
            if let Some(role) = &self.role {
                repository.check_reach(role, path).map_err(explain)?;
            }
            let signed = repository.find_target(path).map(|(_, signed)| signed);
            if signed.is_some_and(|signed| signed.hashes.sha256() != Some(&target.sha256)) {
                let message = format!("the target `{path}` exists with another commit");
                return Err(Failure::new(Kind::Conflict, message)
                    .hint("a release never changes; give the new one another name"));
            }
        }
        Ok(())
    }

    fn draft(&self, release: &NewRelease, repository: &ImageRepository) -> Result<Draft> {
        let now = Timestamp::now();
        let changes = release
            .targets
            .iter()
            .map(|target| format!("adds {} = commit {}", target.filepath, target.sha256));
        let expires = signing::in_days(self.expires_days)?;
        super::draft(repository, self.role.as_deref(), expires, changes.collect(), |targets| {
            for new in &release.targets {
                let signed = target::to_signed(release, new, now);
                targets.targets.insert(new.filepath.clone(), signed);
            }
        })
    }
}

/// Adds the way out.
fn explain(error: PublishError) -> Failure {
    let hint = match &error {
        PublishError::OutOfReach { .. } => {
            "name the release or its hardware so that NAME-HARDWARE fits, or change the patterns \
             with `updraft keys delegate`"
        }
        PublishError::Hidden { .. } => "list the target in that role, or give it another name",
        _ => "make the role with `updraft keys delegate`",
    };
    Failure::from(error).hint(hint)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((hardware, rev)) if !hardware.is_empty() && !rev.is_empty() => {
            Ok((hardware.to_owned(), rev.to_owned()))
        }
        _ => Err("write HARDWARE=REV, such as qemu-x86-64=debian/12".into()),
    }
}
