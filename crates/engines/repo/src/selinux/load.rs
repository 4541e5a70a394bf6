//! Finding a policy: in a folder, or in the tree of a commit.

use std::io::Read as _;
use std::path::Path;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::{Checksum, DirEntry};

use super::{Policy, pattern};
use crate::traverse::{self, Node};
use crate::{Error, Repo, Result};

/// Where the configuration is, the administrator's first.
const PLACES: [&str; 2] = ["etc/selinux", "usr/etc/selinux"];
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The policy of the system whose root is this folder; `None` when it has none.
///
/// # Errors
/// When the folder cannot be opened, or the policy cannot be understood.
pub fn from_folder(root: &Path) -> Result<Option<Policy>> {
    let dir = Dir::open(root)?;
    load(&|path| Ok(dir.try_read(path, MAX_FILE)?))
}

/// The policy in the tree of a commit; `None` when it has none.
///
/// # Errors
/// When the commit cannot be read, or the policy cannot be understood.
pub fn from_commit(repo: &Repo, commit: &Checksum) -> Result<Option<Policy>> {
    let root = traverse::root(&repo.load_commit(commit)?.0);
    load(&|path| read(repo, root, path))
}

fn read(repo: &Repo, root: DirEntry, path: &str) -> Result<Option<Vec<u8>>> {
    let checksum = match traverse::lookup(repo, root, path) {
        Ok(Node::File(checksum)) => checksum,
        Ok(Node::Directory(_)) | Err(Error::NoSuchPath(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let file = repo.open_file(&checksum)?;
    file.reader
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(format!("read {path}"), error))?;
    Ok(Some(bytes))
}

type ReadFile<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>> + 'a;

fn load(read: &ReadFile<'_>) -> Result<Option<Policy>> {
    for place in PLACES {
        let Some(config) = text(read, &format!("{place}/config"))? else { continue };
        let Some(name) = policy_name(&config) else { return Ok(None) };
        if name.is_empty() || name.contains('/') {
            let message = format!("read the SELinux policy: {place}/config names it `{name}`");
            return Err(Error::other(Kind::Invalid, message));
        }
        let contexts = format!("{place}/{name}/contexts/files/file_contexts");
        let mut files = Vec::new();
        for suffix in ["", ".homedirs", ".local"] {
            let file = format!("{contexts}{suffix}");
            if let Some(text) = text(read, &file)? {
                files.push((file, text));
            } else if suffix.is_empty() {
                let message = format!("read the SELinux policy: there is no {file}");
                return Err(Error::other(Kind::NotFound, message));
            }
        }
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let substitutions = |suffix| {
            let text = text(read, &format!("{contexts}{suffix}"))?.unwrap_or_default();
            let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(pair);
            Ok::<_, Error>(pairs.collect())
        };
        return Ok(Some(Policy {
            name: name.to_owned(),
            specs: pattern::parse(files)?.into(),
            substitutions: [substitutions(".subs")?, substitutions(".subs_dist")?],
        }));
    }
    Ok(None)
}

fn text(read: &ReadFile<'_>, path: &str) -> Result<Option<String>> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| {
        Error::other(Kind::Invalid, format!("read the SELinux policy: {path} is no text"))
    })
}

/// `SELINUXTYPE`, unless labels are switched off.
fn policy_name(config: &str) -> Option<&str> {
    let value = |key: &str| {
        config.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
    };
    let name = value("SELINUXTYPE").map(str::trim);
    name.filter(|_| value("SELINUX").map(str::trim) != Some("disabled"))
}

fn pair(line: &str) -> Option<(String, String)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = (words.next()?, words.next()?);
    Some((from.trim_end_matches('/').to_owned(), to.trim_end_matches('/').to_owned()))
}
