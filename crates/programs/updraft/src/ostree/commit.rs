//! `ostree commit`: trees become a commit.

mod about;
mod labels;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Metadata, Refspec, RepoMode};
use updraft_repo::Repo;
use updraft_repo::commit::{
    self, Bindings, CommitOptions, CommitOutcome, Parent, PathnameFilter, TreeSource,
};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::lists;
use super::number;
use super::repository::Location;
use super::signing::SigningOptions;
pub(super) use about::default_time;
use about::key_value;

/// Commit a new revision.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// The ref to move to the new commit.
    #[arg(long, short = 'b', value_name = "BRANCH")]
    branch: Option<String>,
    /// Begin a history: no parent, and no ref where no branch is named.
    #[arg(long)]
    orphan: bool,
    /// The parent's checksum, or `none`; by default what the branch names.
    #[arg(long, value_name = "COMMIT")]
    parent: Option<String>,
    /// One line about the commit.
    #[arg(long, short = 's', value_name = "TEXT")]
    subject: Option<String>,
    /// More about the commit.
    #[arg(long, short = 'm', value_name = "TEXT")]
    body: Option<String>,
    /// Read the body from this file.
    #[arg(long, short = 'F', value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Write subject and body in an editor.
    #[arg(long, short = 'e')]
    editor: bool,
    /// Do not write into the commit which refs may name it.
    #[arg(long)]
    no_bindings: bool,
    /// One more ref that may name it.
    #[arg(long, value_name = "BRANCH")]
    bind_ref: Vec<String>,
    /// Begin with this commit's tree; nothing below changes it.
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Overlay dir=PATH, tar=FILE (- is stdin) or ref=COMMIT; in the order given.
    #[arg(long, value_name = "TREE")]
    tree: Vec<String>,
    /// Add a text to the metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata_string: Vec<String>,
    /// Add a value in GVariant text format to the metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
    /// Take this key over from the parent's metadata.
    #[arg(long, value_name = "KEY")]
    keep_metadata: Vec<String>,
    /// Add a text to the metadata kept beside the commit.
    #[arg(long, value_name = "KEY=VALUE")]
    add_detached_metadata_string: Vec<String>,
    /// Give everything to this user.
    #[arg(long, value_name = "UID", value_parser = number::int, allow_negative_numbers = true)]
    owner_uid: Option<i32>,
    /// Give everything to this group.
    #[arg(long, value_name = "GID", value_parser = number::int, allow_negative_numbers = true)]
    owner_gid: Option<i32>,
    /// Owner root, modes within 0755, no extended attributes.
    #[arg(long)]
    canonical_permissions: bool,
    /// The tree has a kernel and can be booted.
    #[arg(long)]
    bootable: bool,
    /// Nobody may write to executables.
    #[arg(long)]
    mode_ro_executables: bool,
    /// Leave extended attributes out.
    #[arg(long)]
    no_xattrs: bool,
    /// Label everything by the SELinux policy of the system whose root is here.
    #[arg(long, value_name = "PATH")]
    selinux_policy: Option<PathBuf>,
    /// Label everything by the SELinux policy in the first tree.
    #[arg(long, short = 'P')]
    selinux_policy_from_base: bool,
    /// Accepted for compatibility: how labels are computed has not changed.
    #[arg(long, value_name = "N")]
    selinux_labeling_epoch: Option<u32>,
    /// Take hard links into the repository for what they are there.
    #[arg(long, short = 'I')]
    devino_canonical: bool,
    /// Expect hard links into the repository.
    #[arg(long)]
    link_checkout_speedup: bool,
    /// Make directories that a tar stream does not mention.
    #[arg(long)]
    tar_autocreate_parents: bool,
    /// Change the names in tar streams: what matches REGEX becomes REPLACEMENT.
    #[arg(long, value_name = "REGEX,REPLACEMENT")]
    tar_pathname_filter: Option<String>,
    /// Do nothing when the tree is that of the parent.
    #[arg(long)]
    skip_if_unchanged: bool,
    /// A file with changes of modes.
    #[arg(long, value_name = "FILE")]
    statoverride: Option<PathBuf>,
    /// A file with paths to leave out, one a line.
    #[arg(long, value_name = "FILE")]
    skip_list: Option<PathBuf>,
    /// Delete committed directories once they are stored.
    #[arg(long)]
    consume: bool,
    /// Print what was written, as KEY: VALUE.
    #[arg(long)]
    table_output: bool,
    /// Record the sizes of all objects in the commit.
    #[arg(long)]
    generate_sizes: bool,
    /// Record the digest of the tree's composefs image in the commit.
    #[arg(long)]
    generate_composefs_metadata: bool,
    /// Whether to wait until the data is on the disk.
    #[arg(long, value_name = "POLICY")]
    fsync: Option<String>,
    /// The same as --fsync=false.
    #[arg(long, hide = true)]
    disable_fsync: bool,
    #[command(flatten)]
    signing: SigningOptions,
    /// Sign with the secret keys in this file.
    #[arg(long, value_name = "FILE")]
    sign_from_file: Vec<PathBuf>,
    /// The time of the commit; by default now, or `SOURCE_DATE_EPOCH`.
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    /// The directory to commit when there is no --tree; by default the working directory.
    path: Option<PathBuf>,
}

#[derive(Serialize)]
struct Committed {
    commit: String,
    parent: Option<String>,
    branch: Option<String>,
    changed: bool,
    metadata_total: u64,
    metadata_written: u64,
    content_total: u64,
    content_written: u64,
    content_cache_hits: u64,
    content_bytes_written: u64,
}

impl Commit {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        if self.branch.is_none() && !self.orphan {
            let message = "A branch must be specified with --branch, or use --orphan";
            return Err(Failure::new(Kind::Invalid, message));
        }
        self.check_canonical()?;
        self.check_labels()?;
        let options = self.options(&repo)?;
        let sources = self.sources(&repo)?;
        let outcome = commit::commit(&terminal.context, &repo, &sources, &options)
            .inspect_err(|error| tell_unmatched(error, terminal))?;
        if self.consume {
            // The commit is durable: what is left of a half-deleted source is a copy.
            for source in &sources {
                if let TreeSource::Directory(path) = source {
                    consume(path)?;
                }
            }
        }
        self.report(&outcome, terminal)
    }

    fn report(&self, outcome: &CommitOutcome, terminal: &Terminal) -> Result {
        let stats = &outcome.stats;
        let committed = Committed {
            commit: outcome.checksum.to_string(),
            parent: outcome.parent.map(|parent| parent.to_string()),
            branch: self.branch.clone(),
            changed: outcome.changed,
            metadata_total: stats.metadata_total,
            metadata_written: stats.metadata_written,
            content_total: stats.content_total,
            content_written: stats.content_written,
            content_cache_hits: stats.cache_hits,
            content_bytes_written: stats.content_bytes_written,
        };
        terminal.show(&committed, |committed| {
            if !self.table_output {
                return terminal.line(&committed.commit);
            }
            terminal.line(format!("Commit: {}", committed.commit))?;
            terminal.line(format!("Metadata Total: {}", committed.metadata_total))?;
            terminal.line(format!("Metadata Written: {}", committed.metadata_written))?;
            terminal.line(format!("Content Total: {}", committed.content_total))?;
            terminal.line(format!("Content Written: {}", committed.content_written))?;
            terminal.line(format!("Content Cache Hits: {}", committed.content_cache_hits))?;
            terminal.line(format!("Content Bytes Written: {}", committed.content_bytes_written))
        })
    }

    fn options(&self, repo: &Repo) -> Result<CommitOptions> {
        let branch: Option<Refspec> = self.branch.as_deref().map(str::parse).transpose()?;
        let parent = self.parent()?;
        let bindings = if self.no_bindings {
            Bindings::None
        } else {
            Bindings::BranchAnd(self.bind_ref.clone())
        };
        let mut detached_metadata = Metadata::new();
        for option in &self.add_detached_metadata_string {
            let (key, value) = key_value(option)?;
            detached_metadata.insert(key, Value::String(value.to_owned()));
        }
        let (subject, body) = self.message()?;
        Ok(CommitOptions {
            metadata: self.metadata(repo, parent, branch.as_ref())?,
            branch,
            parent,
            subject,
            body,
            timestamp: self.time()?,
            detached_metadata,
            bindings,
            bootable: self.bootable,
            base: self.base.as_deref().map(|base| repo.resolve(base)).transpose()?,
            owner_uid: owner(self.owner_uid),
            owner_gid: owner(self.owner_gid),
            canonical_permissions: self.canonical_permissions,
            mode_ro_executables: self.mode_ro_executables,
            no_xattrs: self.no_xattrs,
            selinux_policy: self.policy(repo)?,
            statoverride: list(self.statoverride.as_deref(), lists::statoverride)?,
            skip_list: list(self.skip_list.as_deref(), lists::skip_list)?,
            link_checkout_speedup: self.link_checkout_speedup,
            devino_canonical: self.devino_canonical,
            adopt: self.consume,
            tar_autocreate_parents: self.tar_autocreate_parents,
            tar_pathname_filter: self.pathname_filter()?,
            skip_if_unchanged: self.skip_if_unchanged,
            // As with the peer, other modes have no sizes to tell.
            generate_sizes: self.generate_sizes && repo.mode() == RepoMode::Archive,
            generate_composefs: self.generate_composefs_metadata,
            signers: self.signing.signers(&self.sign_from_file)?,
            fsync: fsync(self.fsync.as_deref(), self.disable_fsync)?,
        })
    }
}

/// Reads a file when it is named.
fn list<T: Default>(path: Option<&Path>, read: impl Fn(&Path) -> Result<T>) -> Result<T> {
    path.map_or_else(|| Ok(T::default()), read)
}

impl Commit {
    fn check_canonical(&self) -> Result {
        if !self.canonical_permissions {
            return Ok(());
        }
        for (option, value) in [("uid", self.owner_uid), ("gid", self.owner_gid)] {
            if value.is_some_and(|id| id > 0) {
                let message = format!(
                    "Cannot specify both --canonical-permissions and non-zero --owner-{option}"
                );
                return Err(Failure::new(Kind::Invalid, message));
            }
        }
        Ok(())
    }

    fn parent(&self) -> Result<Parent> {
        match self.parent.as_deref() {
            None if !self.orphan => Ok(Parent::Branch),
            None | Some("none") => Ok(Parent::None),
            Some(checksum) => checksum.parse().map(Parent::Commit).map_err(|_| {
                Failure::new(Kind::Invalid, format!("Invalid rev {checksum}"))
                    .hint("--parent takes a whole checksum, or `none`")
            }),
        }
    }

    fn sources(&self, repo: &Repo) -> Result<Vec<TreeSource>> {
        let mut sources = Vec::new();
        for tree in &self.tree {
            let (kind, value) = tree.split_once('=').ok_or_else(|| {
                let message = format!("Missing type in tree specification '{tree}'");
                Failure::new(Kind::Invalid, message)
            })?;
            sources.push(match kind {
                "dir" => folder(value.into())?,
                "tar" => archive(value)?,
                "ref" => TreeSource::Commit(repo.resolve(value)?),
                _ => {
                    let message = format!("Invalid tree type specification '{kind}'");
                    return Err(Failure::new(Kind::Invalid, message)
                        .hint("a tree is dir=PATH, tar=FILE or ref=COMMIT"));
                }
            });
        }
        if self.tree.is_empty() {
            let path = self.path.clone().unwrap_or_else(|| PathBuf::from("."));
            sources.push(folder(path)?);
        }
        Ok(sources)
    }

    fn pathname_filter(&self) -> Result<Option<PathnameFilter>> {
        let Some(text) = &self.tar_pathname_filter else { return Ok(None) };
        let (pattern, replacement) = text
            .split_once(',')
            .ok_or_else(|| Failure::new(Kind::Invalid, "Missing ',' in --tar-pathname-filter"))?;
        Ok(Some(PathnameFilter::new(pattern, replacement)?))
    }
}

/// An owner that was given; a number below 0 leaves it as it is, as with the peer.
pub(super) fn owner(id: Option<i32>) -> Option<u32> {
    id.and_then(|id| id.try_into().ok())
}

/// The folder of `--tree=dir=PATH`.
fn folder(path: PathBuf) -> Result<TreeSource> {
    if path.is_dir() {
        return Ok(TreeSource::Directory(path));
    }
    let reason = if path.exists() { "Not a directory" } else { "No such file or directory" };
    Err(Failure::new(Kind::NotFound, format!("opendir({}): {reason}", path.display())))
}

/// The tar stream of `--tree=tar=FILE`; `-` is stdin.
fn archive(path: &str) -> Result<TreeSource> {
    if path == "-" {
        return Ok(TreeSource::tar(io::stdin()));
    }
    Ok(TreeSource::tar(File::open(path).with_context(|| format!("failed to open {path}"))?))
}

/// Names the paths of a list that nothing matched.
fn tell_unmatched(error: &updraft_repo::Error, terminal: &Terminal) {
    if let updraft_repo::Error::Unmatched { list, paths } = error {
        for path in paths {
            terminal.say(format!("Unmatched {list} path: {path}"));
        }
    }
}

/// The value of `--fsync`, in the words that the peer takes.
pub(super) fn fsync(policy: Option<&str>, disabled: bool) -> Result<Option<bool>> {
    if disabled {
        return Ok(Some(false));
    }
    let Some(given) = policy else { return Ok(None) };
    match given.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(Some(true)),
        "0" | "false" | "no" | "none" => Ok(Some(false)),
        _ => Err(Failure::new(Kind::Invalid, format!("Invalid boolean argument '{given}'"))),
    }
}

/// Deletes what was committed; the working directory itself stays.
fn consume(path: &Path) -> Result {
    let failed = || format!("failed to delete {}", path.display());
    if path != Path::new(".") {
        return std::fs::remove_dir_all(path).with_context(failed);
    }
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let is_folder = entry.file_type().with_context(failed)?.is_dir();
        let path = entry.path();
        let done =
            if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        done.with_context(failed)?;
    }
    Ok(())
}
