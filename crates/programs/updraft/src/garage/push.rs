//! garage-push: a commit and all it refers to, from a repository here to a treehub.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_http::{Client, Method, Request};
use updraft_ostree::{Checksum, Refspec};
use updraft_repo::Repo;
use updraft_repo::push::{Effect, Look, PushOptions, PushStats, push_with};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::credentials::{Credentials, read_file};
use super::{Talk, say};

/// Push a commit to a treehub, as garage-push does.
#[derive(Debug, Args)]
pub(super) struct Push {
    #[command(flatten)]
    talk: Talk,
    /// The OSTree repository.
    #[arg(long, short = 'C', value_name = "PATH")]
    repo: PathBuf,
    /// The ref to push, or a commit.
    #[arg(long, short, value_name = "REF")]
    r#ref: String,
    /// The credentials: an archive, or the treehub.json in it.
    #[arg(long, short = 'j', value_name = "FILE")]
    credentials: PathBuf,
    /// PEM certificates of the authorities to trust, in place of others.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// A description of the sources of the commit, in JSON or as a manifest of repo, to be sent
    /// with it.
    #[arg(long, value_name = "FILE")]
    repo_manifest: Option<PathBuf>,
    /// The most requests at a time.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Ask what is missing there, and send nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Look at every object, also below those that are there.
    #[arg(long, short = 'w')]
    walk_tree: bool,
    /// Accepted for scripts. The server verifies every object, whoever else does.
    #[arg(long)]
    disable_integrity_checks: bool,
}

impl Push {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let repo = Repo::open(&self.repo)?;
        let (commit, name) = self.resolve(&repo)?;
        let credentials = Credentials::read(&self.credentials)?;
        let client = credentials.client(self.cacert.as_deref(), "garage-push")?;
        let base = credentials.ostree_server()?;
        let options = PushOptions {
            jobs: self.jobs.into(),
            look: if self.walk_tree { Look::Everywhere } else { Look::BelowAbsent },
            effect: if self.dry_run { Effect::None } else { Effect::Send },
        };
        let stats =
            push_with(&terminal.context, &repo, &client, &base, &commit, name.as_deref(), options)
                .with_context(|| format!("failed to push {commit}"))?;
        self.tell(terminal, stats);
        if name.is_none() && !self.dry_run {
            say(terminal, &self.talk, format!("{commit} is a commit: no ref was moved"));
        }
        match &self.repo_manifest {
            Some(_) if self.dry_run => Ok(()),
            Some(path) => send_manifest(&client, &base, &commit, &manifest(path)?)
                .context("failed to send the manifest of the sources"),
            None => Ok(()),
        }
    }

    /// The commit, and the ref that names it if it was given by one.
    fn resolve(&self, repo: &Repo) -> Result<(Checksum, Option<String>)> {
        let name = &self.r#ref;
        if let Ok(refspec) = name.parse::<Refspec>()
            && let Some(commit) = repo.read_ref(&refspec)?
        {
            return Ok((commit, Some(name.clone())));
        }
        let commit: Checksum = name.parse().map_err(|_| {
            let message = format!("`{}` has no ref or commit `{name}`", self.repo.display());
            Failure::new(Kind::NotFound, message)
        })?;
        Ok((commit, None))
    }

    fn tell(&self, terminal: &Terminal, stats: PushStats) {
        let PushStats { objects_sent, objects_present, bytes_sent } = stats;
        let text = if self.dry_run {
            format!("dry run: {objects_sent} object(s) would be sent, {objects_present} are there")
        } else {
            format!(
                "sent {objects_sent} object(s), {bytes_sent} bytes; {objects_present} were there"
            )
        };
        say(terminal, &self.talk, text);
    }
}

/// The manifest as JSON: what is XML is put into an object, for servers that take nothing else.
fn manifest(path: &std::path::Path) -> Result<Vec<u8>> {
    let bytes = read_file(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
        return Ok(bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(serde_json::json!({ "manifest": text }).to_string().into_bytes())
}

fn send_manifest(client: &Client, base: &str, commit: &Checksum, body: &[u8]) -> Result {
    let request = Request::new(Method::Put, format!("{base}/manifests/{commit}"))
        .header("Content-Type", "application/json")
        .body(body.to_vec());
    client.send(request)?.error_for_status()?;
    Ok(())
}
