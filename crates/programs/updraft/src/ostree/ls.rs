//! `ostree ls`, `ostree cat`.

use std::io::{self, Write as _};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::{Checksum, Commit, DirEntry};
use updraft_repo::Repo;
use updraft_repo::traverse::{self, Node};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::repository::Location;
use super::tree;
use super::variant;

/// List what is in a commit.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// List directories themselves, not what is in them.
    #[arg(long, short = 'd')]
    dironly: bool,
    /// List directories below, too.
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Print checksums; of a directory, those of its names and of its metadata.
    #[arg(long, short = 'C')]
    checksum: bool,
    /// Print extended attributes.
    #[arg(long, short = 'X')]
    xattrs: bool,
    /// Print only names, each ended by a NUL.
    #[arg(long)]
    nul_filenames_only: bool,
    /// The commit.
    commit: String,
    /// Where to begin; by default its root.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// One line of the list.
#[derive(Serialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    checksum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_checksum: Option<String>,
    xattrs: String,
}

struct Lister<'a> {
    options: &'a Ls,
    repo: &'a Repo,
    terminal: &'a Terminal,
    entries: Vec<Entry>,
}

impl Ls {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let commit = repo.load_commit(&repo.resolve(&self.commit)?)?.0;
        let root = ["/".to_owned()];
        let paths = if self.paths.is_empty() { &root[..] } else { &self.paths[..] };
        let mut lister = Lister { options: self, repo: &repo, terminal, entries: Vec::new() };
        for given in paths {
            let (path, node) = find(&repo, &commit, given)
                .with_context(|| format!("Inspecting path '{given}'"))?;
            match node {
                Node::File(checksum) => lister.file(&path, &checksum)?,
                Node::Directory(entry) => {
                    let depth = match (self.dironly, self.recursive) {
                        (true, _) => 0,
                        (_, true) => usize::MAX,
                        _ => 1,
                    };
                    lister.directory(&path, &entry, depth)?;
                }
            }
        }
        if terminal.wants_json() { terminal.json(&lister.entries) } else { Ok(()) }
    }
}

/// What is at a path, which is told as well, with its first slash.
fn find(repo: &Repo, commit: &Commit, given: &str) -> Result<(String, Node)> {
    let path = match tree::exact(given) {
        Ok(path) => path,
        Err(told) => {
            // A file has no parts; nor has what is not there.
            let before = told.rsplit_once('/').map_or("", |(before, _)| before);
            let before = traverse::lookup(repo, traverse::root(commit), before)?;
            return Err(match before {
                Node::File(_) => Failure::new(Kind::Invalid, "Not a directory"),
                Node::Directory(_) => {
                    let message = format!("No such file or directory: {told}");
                    Failure::new(Kind::NotFound, message)
                }
            });
        }
    };
    let node = traverse::lookup(repo, traverse::root(commit), &path)?;
    Ok((path, node))
}

impl Lister<'_> {
    fn directory(&mut self, path: &str, entry: &DirEntry, depth: usize) -> Result {
        self.terminal.context.check()?;
        let meta = self.repo.load_dirmeta(&entry.dirmeta)?;
        self.entry(Entry {
            path: path.to_owned(),
            kind: "directory",
            mode: format!("{:05o}", meta.permissions()),
            uid: meta.uid,
            gid: meta.gid,
            size: 0,
            target: None,
            checksum: entry.dirtree.to_string(),
            metadata_checksum: Some(entry.dirmeta.to_string()),
            xattrs: variant::xattrs(&meta.xattrs).to_string(),
        })?;
        let Some(below) = depth.checked_sub(1) else { return Ok(()) };
        let tree = self.repo.load_dirtree(&entry.dirtree)?;
        for (name, checksum) in &tree.files {
            self.file(&tree::join(path, name.as_str()), checksum)?;
        }
        for (name, entry) in &tree.dirs {
            self.directory(&tree::join(path, name.as_str()), entry, below)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, checksum: &Checksum) -> Result {
        let file = self.repo.open_file(checksum)?;
        let header = file.header;
        self.entry(Entry {
            path: path.to_owned(),
            kind: if header.is_symlink() { "symlink" } else { "file" },
            mode: format!("{:05o}", header.permissions()),
            uid: header.uid,
            gid: header.gid,
            size: file.size,
            xattrs: variant::xattrs(&header.xattrs).to_string(),
            target: header.symlink_target,
            checksum: checksum.to_string(),
            metadata_checksum: None,
        })
    }

    fn entry(&mut self, entry: Entry) -> Result {
        if self.terminal.wants_json() {
            self.entries.push(entry);
            return Ok(());
        }
        if self.options.nul_filenames_only {
            return self.terminal.bytes(format!("{}\0", entry.path).as_bytes());
        }
        self.terminal.line(self.options.text(&entry))
    }
}

impl Ls {
    fn text(&self, entry: &Entry) -> String {
        let kind = match entry.kind {
            "directory" => "d",
            "symlink" => "l",
            _ => "-",
        };
        let mut parts = vec![
            format!("{kind}{}", entry.mode),
            entry.uid.to_string(),
            entry.gid.to_string(),
            format!("{:6}", entry.size),
        ];
        if self.checksum {
            parts.push(entry.checksum.clone());
            parts.extend(entry.metadata_checksum.clone());
        }
        if self.xattrs {
            parts.push(format!("{{ {} }}", entry.xattrs));
        }
        parts.push(entry.path.clone());
        parts.extend(entry.target.as_ref().map(|target| format!("-> {target}")));
        parts.join(" ")
    }
}

/// Print the content of files of a commit.
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// The commit.
    commit: String,
    /// The files.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
}

impl Cat {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let commit = repo.load_commit(&repo.resolve(&self.commit)?)?.0;
        let mut stdout = io::stdout().lock();
        for path in &self.paths {
            terminal.context.check()?;
            let Node::File(checksum) = find_following(&repo, &commit, path)? else {
                return Err(Failure::new(Kind::Invalid, "Can't open directory"));
            };
            let mut file = repo.open_file(&checksum)?;
            io::copy(&mut file.reader, &mut stdout)?;
        }
        stdout.flush()?;
        Ok(())
    }
}

/// The most symbolic links that are followed for one path, as on Linux.
const MAX_LINKS: usize = 40;

/// As [`traverse::lookup`], but when the path itself is a symbolic link, goes where it points.
fn find_following(repo: &Repo, commit: &Commit, path: &str) -> Result<Node> {
    let (mut path, mut node) = find(repo, commit, path)?;
    for _ in 0..MAX_LINKS {
        let Node::File(checksum) = node else { return Ok(node) };
        let Some(target) = repo.open_file(&checksum)?.header.symlink_target else {
            return Ok(node);
        };
        path = resolve_link(&path, &target);
        node = traverse::lookup(repo, traverse::root(commit), &path)?;
    }
    Err(Failure::new(Kind::Invalid, format!("Too many levels of symbolic links: {path}")))
}

/// Where the link at `path` points, as a path from the root without `..`.
fn resolve_link(path: &str, target: &str) -> String {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let whole =
        if target.starts_with('/') { target.to_owned() } else { format!("{parent}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolve_link;

    #[test]
    fn links_stay_inside_the_commit() {
        assert_eq!(resolve_link("/usr/bin/sh", "dash"), "/usr/bin/dash");
        assert_eq!(resolve_link("/usr/bin/sh", "../lib/./x"), "/usr/lib/x");
        assert_eq!(resolve_link("/sh", "../../../etc/passwd"), "/etc/passwd");
        assert_eq!(resolve_link("/a/b", "/c//d"), "/c/d");
    }
}
