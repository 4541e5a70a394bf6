//! `updraft release create`: push commits, sign targets, publish, upload payloads, register.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use updraft_api::{NewRelease, Release, ReleaseTarget, TargetFormat, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_ostree::Checksum;
use updraft_publish::{Draft, Error as PublishError, ImageRepository};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::Target;

use super::payload::PayloadSet;
use super::target;
use crate::server::Server;
use crate::signing::{self, KeyFolder};
use crate::text;

/// Push commits and payloads to the server, add them to the signed targets, and register the release.
///
/// Commits are for devices with OSTree, payloads for devices with slots; a release may have both, each for
/// its hardware. A payload is read and verified first. Devices that run just what a delta was made from
/// read that, and all others the payload, which has to be a full one.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["targets", "payloads"])))]
#[command(after_long_help = "\
Examples:
  updraft release create v2 --repo repo --target board-a=os/2
  updraft release create v2 --payload board-b=full.bin --delta board-b=from-v1.bin
  updraft release create v2 --repo repo --target board-a=os/2 --payload board-b=ota.zip")]
pub(crate) struct Create {
    /// The release's name: 1 to 64 of A-Z a-z 0-9 . _ -
    name: String,
    /// The OSTree repository that holds the commits.
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Which commit is for which hardware: `HARDWARE=REV`, where REV is a branch or a commit.
    /// Repeat for more.
    #[arg(long = "target", value_name = "HARDWARE=REV", requires = "repo", value_parser = assignment)]
    targets: Vec<(String, String)>,
    /// Which payload is for which hardware, by itself or in an OTA package. Repeat for more.
    #[arg(long = "payload", value_name = "HARDWARE=FILE", value_parser = file_for)]
    payloads: Vec<(String, PathBuf)>,
    /// A smaller payload for devices of this hardware that run what it was made from. Repeat for more.
    #[arg(long = "delta", value_name = "HARDWARE=FILE", requires = "payloads",
        value_parser = file_for)]
    deltas: Vec<(String, PathBuf)>,
    /// The version, for people; without it the release's name.
    #[arg(long, value_name = "VERSION")]
    release_version: Option<String>,
    /// What changed, for people.
    #[arg(long, default_value = "")]
    notes: String,
    /// The release that devices must have run before this one; rollouts bring them there first.
    #[arg(long, value_name = "RELEASE")]
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
        let repo = self.repo.as_deref().map(Repo::open).transpose()?;
        let payloads = PayloadSet::read(&terminal.context, &self.payloads, &self.deltas)?;
        let server = Server::connect()?;
        let release = self.release(repo.as_ref(), &payloads)?;
        let signed = signed_targets(&release, &payloads);
        let repository = super::repository(folder, &server, self.role.as_deref())?;
        self.check(&signed, &repository)?;
        if let Some(repo) = &repo {
            self.push(repo, &release, &server, terminal)?;
        }
        let mut draft = signing::in_its_forms(&server, self.draft(&signed, &repository)?)?;
        folder.sign(&mut draft)?;
        if signing::finish(&draft, self.sign_request.as_deref(), terminal)?.is_none() {
            return Ok(());
        }
        signing::publish(&server, &draft)?;
        // The server takes what the signed targets list.
        for set in &payloads {
            let filepath = self.filepath(&set.hardware);
            let deltas = set.delta_targets(&filepath);
            for (name, file) in std::iter::once((filepath, &set.full.file)).chain(deltas) {
                terminal.say(format!("uploading {}", file.name()));
                file.upload(&server, &name)?;
            }
        }
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

    fn filepath(&self, hardware: &str) -> String {
        format!("{}-{hardware}", self.name)
    }

    fn release(&self, repo: Option<&Repo>, payloads: &[PayloadSet]) -> Result<NewRelease> {
        let version = self.release_version.clone().unwrap_or_else(|| self.name.clone());
        let mut targets: Vec<ReleaseTarget> = Vec::new();
        let mut add = |hardware: &str, format, sha256: String, length| {
            if targets.iter().any(|target| target.hardware_ids.iter().any(|id| id == hardware)) {
                let message = format!("the hardware `{hardware}` is given twice");
                return Err(Failure::new(Kind::Invalid, message));
            }
            targets.push(ReleaseTarget {
                filepath: self.filepath(hardware),
                hardware_ids: vec![hardware.to_owned()],
                format,
                sha256,
                length,
                version: version.clone(),
            });
            Ok(())
        };
        for (hardware, rev) in &self.targets {
            let Some(repo) = repo else { continue };
            add(hardware, TargetFormat::Ostree, repo.resolve(rev)?.to_string(), 0)?;
        }
        for PayloadSet { hardware, full, .. } in payloads {
            add(hardware, TargetFormat::Binary, full.file.sha256.clone(), full.file.length)?;
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
    fn check(&self, targets: &[(String, Target)], repository: &ImageRepository) -> Result {
        for (path, target) in targets {
            if let Some(role) = &self.role {
                repository.check_reach(role, path).map_err(explain)?;
            }
            let signed = repository.find_target(path).map(|(_, signed)| signed);
            if signed.is_some_and(|signed| signed.hashes.sha256() != target.hashes.sha256()) {
                let message = format!("the target `{path}` exists with another content");
                return Err(Failure::new(Kind::Conflict, message)
                    .hint("a release never changes; give the new one another name"));
            }
        }
        Ok(())
    }

    fn draft(&self, new: &[(String, Target)], repository: &ImageRepository) -> Result<Draft> {
        let changes = new.iter().map(|(path, target)| {
            let sha256 = target.hashes.sha256().unwrap_or_default();
            let what = if target.length == 0 { "commit" } else { "file" };
            format!("adds {path} = {what} {sha256}")
        });
        let expires = signing::in_days(self.expires_days)?;
        super::draft(repository, self.role.as_deref(), expires, changes.collect(), |targets| {
            targets.targets.extend(new.iter().cloned());
        })
    }
}

/// All targets that are to be signed, by name: those of the release, and the files of deltas.
fn signed_targets(release: &NewRelease, payloads: &[PayloadSet]) -> Vec<(String, Target)> {
    let now = Timestamp::now();
    let mut all = Vec::new();
    for new in &release.targets {
        let set = payloads.iter().find(|set| new.hardware_ids.contains(&set.hardware));
        let described = set.map(|set| set.described(&new.filepath));
        all.push((new.filepath.clone(), target::to_signed(release, new, described.as_ref(), now)));
        for (name, file) in set.iter().flat_map(|set| set.delta_targets(&new.filepath)) {
            let signed = target::file_beside(new, &file.sha256, file.length, now);
            all.push((name, signed));
        }
    }
    all
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

fn file_for(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((hardware, path)) if !hardware.is_empty() && !path.is_empty() => {
            Ok((hardware.to_owned(), path.into()))
        }
        _ => Err("write HARDWARE=FILE, such as qemu-x86-64=payload.bin".into()),
    }
}
