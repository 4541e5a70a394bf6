//! garage-check: is a commit in a treehub, and do the signed targets list it?

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use updraft_error::Kind;
use updraft_http::{Client, Method, Request};
use updraft_ostree::{Checksum, ObjectName, ObjectType, RepoMode};
use updraft_repo::push::{Effect, Look, PushOptions, push_with};
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::credentials::Credentials;
use super::{Talk, say};

/// Largest targets that are read, in bytes.
const MAX_TARGETS: u64 = 64 << 20;

/// Check that a commit is in a treehub and in the signed targets, as garage-check does.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    talk: Talk,
    /// The commit.
    #[arg(long, short, value_name = "COMMIT")]
    r#ref: Checksum,
    /// The credentials: an archive with tufrepo.url.
    #[arg(long, short = 'j', value_name = "FILE")]
    credentials: PathBuf,
    /// PEM certificates of the authorities to trust, in place of others.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The most requests at a time.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Look for every object of the commit.
    #[arg(long, short = 'w')]
    walk_tree: bool,
    /// Keep what is fetched while walking in this folder.
    #[arg(long, short, value_name = "FOLDER")]
    tree_dir: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let credentials = Credentials::read(&self.credentials)?;
        let client = credentials.client(self.cacert.as_deref(), "garage-check")?;
        let treehub = credentials.ostree_server()?;
        let commit = &self.r#ref;
        require_commit(&client, &treehub, commit)?;
        say(terminal, &self.talk, format!("commit {commit} is in the treehub"));
        if self.walk_tree {
            self.walk(&client, &treehub, terminal)?;
        }
        require_target(&client, &credentials.repository_server()?, commit)?;
        say(terminal, &self.talk, format!("commit {commit} is in targets.json"));
        Ok(())
    }

    /// Fetches the directories of the commit and asks for all that they name.
    fn walk(&self, client: &Client, treehub: &str, terminal: &Terminal) -> Result {
        let temporary;
        let folder: &Path = if let Some(folder) = &self.tree_dir {
            folder
        } else {
            temporary = tempfile::tempdir()?;
            temporary.path()
        };
        let repo = match Repo::open(folder) {
            Ok(repo) => repo,
            Err(_) => Repo::init(folder, RepoMode::Archive, &InitOptions::default())?,
        };
        fetch_trees(terminal, &repo, client, treehub, &self.r#ref)?;
        let options =
            PushOptions { jobs: self.jobs.into(), look: Look::Everywhere, effect: Effect::None };
        let stats =
            push_with(&terminal.context, &repo, client, treehub, &self.r#ref, None, options)
                .context("failed to walk the tree")?;
        if stats.objects_sent > 0 {
            let message = format!("{} object(s) of the commit are missing", stats.objects_sent);
            return Err(Failure::new(Kind::NotFound, message));
        }
        say(terminal, &self.talk, format!("all {} objects are there", stats.objects_present));
        Ok(())
    }
}

/// Sees to it that the commit is there.
pub(super) fn require_commit(client: &Client, treehub: &str, commit: &Checksum) -> Result {
    let object = ObjectName::new(*commit, ObjectType::Commit);
    let url = format!("{treehub}/objects/{}", object.loose_path(RepoMode::Archive));
    let answer = client.send(Request::new(Method::Head, url))?;
    if answer.status == 404 {
        let message = format!("commit {commit} is not in the treehub");
        return Err(Failure::new(Kind::NotFound, message).hint("push it with garage-push"));
    }
    answer.error_for_status()?;
    Ok(())
}

/// Sees to it that targets which have not expired list the commit.
pub(super) fn require_target(client: &Client, repository: &str, commit: &Checksum) -> Result {
    let url = format!("{repository}/api/v1/user_repo/targets.json");
    let targets: Value = client
        .get(&url)
        .and_then(|answer| answer.json(MAX_TARGETS))
        .context("failed to read the signed targets")?;
    let signed = &targets["signed"];
    let expires = signed["expires"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if expires.is_none_or(|expires| expires <= Timestamp::now()) {
        return Err(Failure::new(Kind::Rejected, "targets.json has expired"));
    }
    let commit = commit.to_string();
    let listed = signed["targets"].as_object().is_some_and(|targets| {
        targets.values().any(|target| target["hashes"]["sha256"] == commit.as_str())
    });
    if listed {
        return Ok(());
    }
    let message = format!("commit {commit} is not in targets.json");
    Err(Failure::new(Kind::NotFound, message).hint("add it with garage-sign targets add"))
}

/// Fetches the commit with its directories, without files.
fn fetch_trees(
    terminal: &Terminal,
    repo: &Repo,
    client: &Client,
    treehub: &str,
    commit: &Checksum,
) -> Result {
    let mut waiting = vec![ObjectName::new(*commit, ObjectType::Commit)];
    while let Some(object) = waiting.pop() {
        terminal.context.check()?;
        if !repo.has_object(&object)? {
            let path = object.loose_path(RepoMode::Archive);
            let url = format!("{treehub}/objects/{path}");
            let bytes = client
                .get(&url)
                .and_then(|answer| answer.bytes(updraft_ostree::MAX_METADATA_SIZE as u64))
                .with_context(|| format!("failed to fetch {object}"))?;
            repo.import_archive_object(&terminal.context, &object, bytes.as_slice())?;
        }
        match object.object_type {
            ObjectType::Commit => {
                let root = repo.load_commit(&object.checksum)?.0.root_dirtree;
                waiting.push(ObjectName::new(root, ObjectType::DirTree));
            }
            ObjectType::DirTree => {
                let tree = repo.load_dirtree(&object.checksum)?;
                let dirs = tree.dirs.values();
                waiting.extend(dirs.map(|dir| ObjectName::new(dir.dirtree, ObjectType::DirTree)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fetches the commit with all that it refers to.
pub(super) fn fetch_all(
    terminal: &Terminal,
    repo: &Repo,
    client: &Client,
    treehub: &str,
    commit: &Checksum,
) -> Result {
    fetch_trees(terminal, repo, client, treehub, commit)?;
    let mut reachable = std::collections::HashSet::new();
    updraft_repo::traverse::reachable(&terminal.context, repo, commit, &mut reachable)?;
    for object in reachable {
        terminal.context.check()?;
        if repo.has_object(&object)? {
            continue;
        }
        let url = format!("{treehub}/objects/{}", object.loose_path(RepoMode::Archive));
        let answer = client
            .get(&url)
            .and_then(updraft_http::Response::error_for_status)
            .with_context(|| format!("failed to fetch {object}"))?;
        repo.import_archive_object(&terminal.context, &object, answer.body)?;
    }
    Ok(())
}
