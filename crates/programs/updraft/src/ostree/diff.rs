//! `ostree diff`: what changed between two commits, or between a commit and a directory.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::{Checksum, DirEntry, ObjectName};
use updraft_repo::{Repo, traverse};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::checksum::{Attributes, of_path};
use super::commit::owner;
use super::number;
use super::repository::Location;
use super::size::format_size;

/// Compare two commits, or a commit and a directory.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Print how many objects they have in common.
    #[arg(long)]
    stats: bool,
    /// Print what changed, also with --stats.
    #[arg(long)]
    fs_diff: bool,
    /// Ignore extended attributes of local files.
    #[arg(long)]
    no_xattrs: bool,
    /// Take this user as the owner of local files.
    #[arg(long, value_name = "UID", value_parser = number::int, allow_negative_numbers = true)]
    owner_uid: Option<i32>,
    /// Take this group as that of local files.
    #[arg(long, value_name = "GID", value_parser = number::int, allow_negative_numbers = true)]
    owner_gid: Option<i32>,
    /// A commit, or a directory whose path begins with `/` or `./`.
    #[arg(value_name = "REV")]
    from: String,
    /// The same; by default the commit is compared with its parent.
    #[arg(value_name = "TARGET")]
    to: Option<String>,
}

/// What changed, by path.
#[derive(Debug, Default, Serialize)]
struct Changes {
    modified: Vec<String>,
    removed: Vec<String>,
    added: Vec<String>,
}

/// One directory on either side.
enum Folder {
    Committed(DirEntry),
    Local(PathBuf),
}

/// What is in a directory.
struct Child {
    name: String,
    /// Of the file, or of the directory's metadata.
    checksum: Checksum,
    folder: Option<Folder>,
}

impl Diff {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let (from, to) = match self.to.clone() {
            Some(to) => (self.from.clone(), to),
            None => (format!("{}^", self.from), self.from.clone()),
        };
        let mut shown = serde_json::Map::new();
        if self.fs_diff || !self.stats {
            let (uid, gid) = (owner(self.owner_uid), owner(self.owner_gid));
            let attributes = Attributes { no_xattrs: self.no_xattrs, uid, gid };
            let differ = Differ { repo: &repo, terminal, attributes };
            let mut changes = Changes::default();
            let (a, b) = (side(&repo, &from)?, side(&repo, &to)?);
            let prefix =
                |folder: &Folder| if matches!(folder, Folder::Local(_)) { "" } else { "/" };
            differ.compare((prefix(&a), &a), (prefix(&b), &b), &mut changes)?;
            if terminal.wants_json() {
                shown.insert("changes".into(), serde_json::json!(changes));
            } else {
                print(&changes, terminal)?;
            }
        }
        if self.stats {
            let stats = stats(&repo, &from, &to, terminal)?;
            if terminal.wants_json() {
                shown.insert("stats".into(), serde_json::json!(stats));
            } else {
                terminal.line(format!("[A] Object Count: {}", stats.from_objects))?;
                terminal.line(format!("[B] Object Count: {}", stats.to_objects))?;
                terminal.line(format!("Common Object Count: {}", stats.common_objects))?;
                let size = format_size(stats.common_bytes);
                terminal.line(format!("Common Object Size: {size}"))?;
            }
        }
        if terminal.wants_json() { terminal.json(&shown) } else { Ok(()) }
    }
}

fn side(repo: &Repo, argument: &str) -> Result<Folder> {
    if argument.starts_with('/') || argument.starts_with("./") {
        return Ok(Folder::Local(PathBuf::from(argument)));
    }
    let commit = repo.load_commit(&repo.resolve(argument)?)?.0;
    Ok(Folder::Committed(traverse::root(&commit)))
}

fn print(changes: &Changes, terminal: &Terminal) -> Result {
    let lists = [("M", &changes.modified), ("D", &changes.removed), ("A", &changes.added)];
    for (letter, paths) in lists {
        paths.iter().try_for_each(|path| terminal.line(format!("{letter}    {path}")))?;
    }
    Ok(())
}

struct Differ<'a> {
    repo: &'a Repo,
    terminal: &'a Terminal,
    attributes: Attributes,
}

impl Differ<'_> {
    /// Compares two directories, each with its path as it is printed, ended by a slash.
    fn compare(
        &self,
        (path_a, a): (&str, &Folder),
        (path_b, b): (&str, &Folder),
        changes: &mut Changes,
    ) -> Result {
        if let (Folder::Committed(a), Folder::Committed(b)) = (a, b)
            && a.dirtree == b.dirtree
        {
            return Ok(());
        }
        self.terminal.context.check()?;
        let (children_a, children_b) = (self.children(a)?, self.children(b)?);
        for child in &children_a {
            let path = format!("{path_a}{}", child.name);
            let Some(other) = children_b.iter().find(|other| other.name == child.name) else {
                changes.removed.push(path);
                continue;
            };
            let same_kind = child.folder.is_some() == other.folder.is_some();
            if !same_kind || child.checksum != other.checksum {
                changes.modified.push(path.clone());
            }
            if let (Some(a), Some(b)) = (&child.folder, &other.folder) {
                let below_b = format!("{path_b}{}/", other.name);
                self.compare((&format!("{path}/"), a), (&below_b, b), changes)?;
            }
        }
        let known: HashSet<&str> = children_a.iter().map(|child| child.name.as_str()).collect();
        for child in children_b.iter().filter(|child| !known.contains(child.name.as_str())) {
            self.add(path_b, child, changes)?;
        }
        Ok(())
    }

    fn add(&self, parent: &str, child: &Child, changes: &mut Changes) -> Result {
        let path = format!("{parent}{}", child.name);
        changes.added.push(path.clone());
        if let Some(folder) = &child.folder {
            let below = format!("{path}/");
            self.children(folder)?.iter().try_for_each(|child| self.add(&below, child, changes))?;
        }
        Ok(())
    }

    /// What is in a directory: files, then directories, each sorted by name.
    fn children(&self, folder: &Folder) -> Result<Vec<Child>> {
        match folder {
            Folder::Committed(entry) => self.committed_children(entry),
            Folder::Local(path) => self.local_children(path),
        }
    }

    fn committed_children(&self, entry: &DirEntry) -> Result<Vec<Child>> {
        let tree = self.repo.load_dirtree(&entry.dirtree)?;
        let files = tree.files.iter().map(|(name, checksum)| Child {
            name: name.as_str().to_owned(),
            checksum: *checksum,
            folder: None,
        });
        let folders = tree.dirs.iter().map(|(name, entry)| Child {
            name: name.as_str().to_owned(),
            checksum: entry.dirmeta,
            folder: Some(Folder::Committed(*entry)),
        });
        Ok(files.chain(folders).collect())
    }

    fn local_children(&self, path: &Path) -> Result<Vec<Child>> {
        let failed = || format!("failed to look at {}", path.display());
        let mut children = Vec::new();
        for entry in fs::read_dir(path).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                let message = format!("Invalid UTF-8 in filename {}", name.display());
                Failure::new(Kind::Unsupported, message)
            })?;
            let is_folder = entry.file_type().with_context(failed)?.is_dir();
            children.push(Child {
                checksum: of_path(&entry.path(), self.attributes)?,
                folder: is_folder.then(|| Folder::Local(entry.path())),
                name,
            });
        }
        children.sort_by(|a, b| (a.folder.is_some(), &a.name).cmp(&(b.folder.is_some(), &b.name)));
        Ok(children)
    }
}

#[derive(Serialize)]
struct Stats {
    from_objects: usize,
    to_objects: usize,
    common_objects: usize,
    common_bytes: u64,
}

fn stats(repo: &Repo, from: &str, to: &str, terminal: &Terminal) -> Result<Stats> {
    let reachable = |revision: &str| -> Result<HashSet<ObjectName>> {
        let commit = repo.resolve(revision)?;
        let mut objects = HashSet::new();
        traverse::reachable(&terminal.context, repo, &commit, &mut objects)?;
        Ok(objects)
    };
    let (a, b) = (reachable(from)?, reachable(to)?);
    let mut common_bytes = 0_u64;
    for object in a.intersection(&b) {
        common_bytes = common_bytes.saturating_add(repo.stored_size(object)?);
    }
    let common_objects = a.intersection(&b).count();
    Ok(Stats { from_objects: a.len(), to_objects: b.len(), common_objects, common_bytes })
}
