//! `ostree show`, `ostree log`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::gvariant::{Type, Value};
use updraft_ostree::{Checksum, Commit, Metadata, ObjectName, ObjectType, RemoteName};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::repository::Location;
use super::{signing, sizes, time, variant};

/// Print an object.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Print the commits related to this one.
    #[arg(long)]
    print_related: bool,
    /// Read OBJECT, a file, as this GVariant type.
    #[arg(long, value_name = "TYPE")]
    print_variant_type: Option<String>,
    /// Print the value of this key of the commit's metadata.
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Print bytes in hexadecimal digits.
    #[arg(long)]
    print_hex: bool,
    /// Print the value of this key of the metadata kept beside the commit.
    #[arg(long, value_name = "KEY")]
    print_detached_metadata_key: Option<String>,
    /// List the keys of the commit's metadata.
    #[arg(long)]
    list_metadata_keys: bool,
    /// List the keys of the metadata kept beside the commit.
    #[arg(long)]
    list_detached_metadata_keys: bool,
    /// Print the sizes recorded in the commit.
    #[arg(long)]
    print_sizes: bool,
    /// Print the object as GVariant text.
    #[arg(long)]
    raw: bool,
    /// Leave numbers as they are stored (big-endian).
    #[arg(long, short = 'B')]
    no_byteswap: bool,
    /// Look for keys in the keyrings of this folder, too.
    #[arg(long, value_name = "HOMEDIR")]
    gpg_homedir: Option<PathBuf>,
    /// Look for keys in those of this remote.
    #[arg(long, value_name = "REMOTE")]
    gpg_verify_remote: Option<String>,
    /// A revision, or the checksum of any object.
    object: String,
}

impl Show {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        if let Some(of) = &self.print_variant_type {
            return self.print_file(of, terminal);
        }
        let repo = location.open()?;
        let object = match self.object.parse::<Checksum>() {
            // What is asked for is of commits alone.
            Ok(checksum) if self.is_about_commits() => {
                ObjectName::new(checksum, ObjectType::Commit)
            }
            Ok(checksum) => find(&repo, checksum)?,
            Err(_) => ObjectName::new(repo.resolve(&self.object)?, ObjectType::Commit),
        };
        match object.object_type {
            ObjectType::Commit => self.commit(&repo, &object.checksum, terminal),
            ObjectType::File => file(&repo, &object.checksum, terminal),
            _ => self.metadata(&repo, &object, terminal),
        }
    }

    fn is_about_commits(&self) -> bool {
        self.print_related
            || self.print_sizes
            || self.list_metadata_keys
            || self.list_detached_metadata_keys
            || self.print_metadata_key.is_some()
            || self.print_detached_metadata_key.is_some()
    }

    fn commit(&self, repo: &Repo, checksum: &Checksum, terminal: &Terminal) -> Result {
        // Of two the peer answers this one.
        if let Some(key) = &self.print_detached_metadata_key {
            let detached = detached(repo, checksum)?;
            let value = detached.get(key).ok_or_else(|| missing_key(key))?;
            return self.value(value, terminal);
        }
        if self.list_detached_metadata_keys {
            return list_keys(&detached(repo, checksum)?, terminal);
        }
        let commit = repo.load_commit(checksum)?.0;
        if let Some(key) = &self.print_metadata_key {
            let value = commit.metadata.get(key);
            return self.value(value.ok_or_else(|| missing_key(key))?, terminal);
        }
        if self.list_metadata_keys {
            return list_keys(&commit.metadata, terminal);
        }
        if self.print_sizes {
            return sizes::print(repo, &commit, terminal);
        }
        if self.print_related {
            let mut related = commit.related.iter();
            return related.try_for_each(|(name, sum)| terminal.line(format!("{name} {sum}")));
        }
        if terminal.wants_json() {
            return terminal.json(&Entry::new(checksum, &commit));
        }
        if self.raw && !self.no_byteswap {
            terminal.line(format!("commit {checksum}"))?;
            return terminal.line(self.swapped(variant::commit(&commit)));
        }
        if self.no_byteswap {
            // As by the peer: the text as well, without its first line.
            terminal.line(format!("commit {checksum}"))?;
            terminal.line(variant::commit(&commit))?;
            return print_about(&commit, terminal);
        }
        print_commit(checksum, &commit, terminal)?;
        let remote = self.gpg_verify_remote.as_deref().map(RemoteName::new).transpose()?;
        let home = self.gpg_homedir.as_deref();
        signing::print_gpg(repo, checksum, remote.as_ref(), home, terminal)
    }

    fn value(&self, value: &Value, terminal: &Terminal) -> Result {
        let Value::Bytes(bytes) = value else {
            return terminal.line(self.swapped(value.clone()));
        };
        if !self.print_hex {
            return terminal.line(self.swapped(value.clone()));
        }
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        terminal.line(digits.concat())
    }

    fn metadata(&self, repo: &Repo, object: &ObjectName, terminal: &Terminal) -> Result {
        if !terminal.wants_json() {
            terminal.line(format!("{} {}", object.object_type, object.checksum))?;
        }
        let value = match object.object_type {
            ObjectType::DirTree => variant::dirtree(&repo.load_dirtree(&object.checksum)?),
            ObjectType::DirMeta => variant::dirmeta(&repo.load_dirmeta(&object.checksum)?),
            _ => return Ok(()),
        };
        match (terminal.wants_json(), self.raw || self.no_byteswap) {
            (true, _) => terminal.json(&serde_json::json!({
                "checksum": object.checksum.to_string(),
                "type": object.object_type.as_str(),
                "variant": self.swapped(value).to_string(),
            })),
            (false, true) => terminal.line(self.swapped(value)),
            (false, false) => Ok(()),
        }
    }

    fn print_file(&self, of: &str, terminal: &Terminal) -> Result {
        let path = PathBuf::from(&self.object);
        let data =
            std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let value = Value::decode(&Type::parse(of)?, &data)?;
        terminal.line(self.swapped(value))
    }

    fn swapped(&self, value: Value) -> Value {
        if self.no_byteswap { value } else { variant::byteswap(value) }
    }
}

fn missing_key(key: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("No such metadata key '{key}'"))
}

/// The object of this name, whatever its type; a commit first.
fn find(repo: &Repo, checksum: Checksum) -> Result<ObjectName> {
    let types = [ObjectType::Commit, ObjectType::DirMeta, ObjectType::DirTree, ObjectType::File];
    for object_type in types {
        let name = ObjectName::new(checksum, object_type);
        if repo.has_object(&name)? {
            return Ok(name);
        }
    }
    Err(Failure::new(Kind::NotFound, format!("Couldn't find file object '{checksum}'")))
}

fn file(repo: &Repo, checksum: &Checksum, terminal: &Terminal) -> Result {
    let file = repo.open_file(checksum)?;
    let (header, size) = (&file.header, file.size);
    let kind = if header.is_symlink() { "symlink" } else { "regular" };
    if terminal.wants_json() {
        return terminal.json(&serde_json::json!({
            "checksum": checksum.to_string(),
            "type": "file",
            "file_type": kind,
            "size": size,
            "target": header.symlink_target,
            "mode": format!("{:06o}", header.mode),
            "uid": header.uid,
            "gid": header.gid,
            "xattrs": variant::xattrs(&header.xattrs).to_string(),
        }));
    }
    terminal.line(format!("Object: {checksum}\nType: file\nFile Type: {kind}"))?;
    match &header.symlink_target {
        Some(target) => terminal.line(format!("Target: {target}"))?,
        None => terminal.line(format!("Size: {size}"))?,
    }
    terminal.line(format!("Mode: 0{:04o}", header.mode))?;
    terminal.line(format!("Uid: {}\nGid: {}", header.uid, header.gid))?;
    terminal.line(format!("Extended Attributes: {{ {} }}", variant::xattrs(&header.xattrs)))
}

/// Print a commit and those before it.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Print commits as GVariant text.
    #[arg(long)]
    raw: bool,
    /// Where to start.
    revision: String,
}

impl Log {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        let first = repo.resolve(&self.revision)?;
        let mut entries = Vec::new();
        let mut next = Some(first);
        while let Some(checksum) = next {
            terminal.context.check()?;
            if !repo.has_object(&ObjectName::new(checksum, ObjectType::Commit))?
                && checksum != first
            {
                if !terminal.wants_json() {
                    terminal.line("<< History beyond this commit not fetched >>")?;
                }
                break;
            }
            let commit = repo.load_commit(&checksum)?.0;
            if terminal.wants_json() {
                entries.push(Entry::new(&checksum, &commit));
            } else if self.raw {
                terminal.line(format!("commit {checksum}"))?;
                terminal.line(variant::byteswap(variant::commit(&commit)))?;
            } else {
                print_commit(&checksum, &commit, terminal)?;
            }
            next = commit.parent;
        }
        if terminal.wants_json() { terminal.json(&entries) } else { Ok(()) }
    }
}

/// A commit in JSON.
#[derive(Serialize)]
struct Entry {
    commit: String,
    parent: Option<String>,
    content_checksum: String,
    timestamp: u64,
    date: String,
    version: Option<String>,
    subject: String,
    body: String,
    metadata: serde_json::Map<String, serde_json::Value>,
}

impl Entry {
    fn new(checksum: &Checksum, commit: &Commit) -> Self {
        Self {
            commit: checksum.to_string(),
            parent: commit.parent.map(|parent| parent.to_string()),
            content_checksum: commit.content_checksum().to_string(),
            timestamp: commit.timestamp,
            date: time::format_utc(commit.timestamp),
            version: commit.version().map(str::to_owned),
            subject: commit.subject.clone(),
            body: commit.body.clone(),
            metadata: variant::metadata_json(&commit.metadata),
        }
    }
}

/// What is kept beside the commit.
fn detached(repo: &Repo, commit: &Checksum) -> Result<Metadata> {
    repo.read_commit_meta(commit)?.ok_or_else(|| {
        let message = format!("No detached metadata for commit {commit}");
        Failure::new(Kind::NotFound, message)
    })
}

fn list_keys(metadata: &Metadata, terminal: &Terminal) -> Result {
    let mut keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    terminal.show(&keys, |keys| keys.iter().try_for_each(|key| terminal.line(key)))
}

fn print_commit(checksum: &Checksum, commit: &Commit, terminal: &Terminal) -> Result {
    terminal.line(format!("commit {checksum}"))?;
    print_about(commit, terminal)
}

fn print_about(commit: &Commit, terminal: &Terminal) -> Result {
    if let Some(parent) = commit.parent {
        terminal.line(format!("Parent:  {parent}"))?;
    }
    terminal.line(format!("ContentChecksum:  {}", commit.content_checksum()))?;
    terminal.line(format!("Date:  {}", time::format_utc(commit.timestamp)))?;
    if let Some(version) = commit.version() {
        terminal.line(format!("Version: {version}"))?;
    }
    if commit.subject.is_empty() {
        terminal.line("(no subject)")?;
    } else {
        terminal.line("")?;
        indented(&commit.subject, terminal)?;
    }
    if !commit.body.is_empty() {
        terminal.line("")?;
        indented(&commit.body, terminal)?;
    }
    terminal.line("")
}

fn indented(text: &str, terminal: &Terminal) -> Result {
    text.lines().try_for_each(|line| terminal.line(format!("    {line}")))
}
