//! `ostree export`: a commit's tree as a tar stream.
//!
//! GNU tar members in the order of the tree, all with the time of the commit: the same commit
//! always gives the same bytes. Extended attributes go into pax headers (`SCHILY.xattr.NAME`).

mod blocks;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use clap::Args;
use tar::{Builder, EntryType, Header};
use updraft_error::Kind;
use updraft_ostree::{Checksum, DirEntry, Xattrs};
use updraft_repo::Repo;
use updraft_repo::traverse::{self, Node};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use blocks::Blocks;

use super::repository::Location;
use super::tree;

/// How many bytes of a name a header has room for.
const NAME_SIZE: usize = 100;

/// Write a commit as a tar stream.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Leave extended attributes out.
    #[arg(long)]
    no_xattrs: bool,
    /// Only this directory.
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    /// Put this before every name; a folder ends in `/`.
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Write to this file instead of stdout.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// The commit.
    commit: String,
}

struct Writer<'a, W: Write> {
    repo: &'a Repo,
    terminal: &'a Terminal,
    archive: Builder<Blocks<W>>,
    time: u64,
    prefix: &'a str,
    no_xattrs: bool,
}

impl Export {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        match &self.output {
            None => {
                let out = BufWriter::new(io::stdout().lock());
                Ok(self.write(&repo, terminal, out)?.finish(true).map(drop)?)
            }
            Some(path) => {
                let failed = || format!("failed to write {}", path.display());
                let file = File::create(path).with_context(failed)?;
                let file = self.write(&repo, terminal, BufWriter::new(file))?;
                let file = file.finish(false).with_context(failed)?;
                let file = file.into_inner().map_err(io::IntoInnerError::into_error);
                file.and_then(|file| file.sync_all()).with_context(failed)
            }
        }
    }

    fn write<W: Write>(&self, repo: &Repo, terminal: &Terminal, out: W) -> Result<Blocks<W>> {
        let commit = repo.load_commit(&repo.resolve(&self.commit)?)?.0;
        let subpath = self.subpath.as_deref().unwrap_or("/");
        let Node::Directory(entry) = traverse::lookup(repo, traverse::root(&commit), subpath)?
        else {
            return Err(Failure::new(Kind::Invalid, format!("Not a directory: {subpath}")));
        };
        let mut archive = Builder::new(Blocks::new(out));
        archive.mode(tar::HeaderMode::Complete);
        let time = commit.timestamp;
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let no_xattrs = self.no_xattrs;
        let mut writer = Writer { repo, terminal, archive, time, prefix, no_xattrs };
        writer.directory("", &entry)?;
        Ok(writer.archive.into_inner()?)
    }
}

/// Puts a name and a link's target into a header, as much as there is room for.
fn put_names(header: &mut Header, name: &str, target: Option<&str>) {
    if let Some(header) = header.as_gnu_mut() {
        for (field, text) in
            [(&mut header.name, name), (&mut header.linkname, target.unwrap_or_default())]
        {
            for (to, from) in field.iter_mut().zip(text.bytes()) {
                *to = from;
            }
        }
    }
    header.set_cksum();
}

impl<W: Write> Writer<'_, W> {
    fn directory(&mut self, path: &str, entry: &DirEntry) -> Result {
        self.terminal.context.check()?;
        let meta = self.repo.load_dirmeta(&entry.dirmeta)?;
        self.attributes(&meta.xattrs)?;
        let mut header =
            self.header(EntryType::Directory, (meta.uid, meta.gid), meta.permissions());
        let name = match self.named(path) {
            name if name.is_empty() => "./".to_owned(),
            name => format!("{}/", name.trim_end_matches('/')),
        };
        header.set_size(0);
        self.member(header, &name, None, io::empty())?;
        let tree = self.repo.load_dirtree(&entry.dirtree)?;
        let below =
            |name: &str| if path.is_empty() { name.to_owned() } else { tree::join(path, name) };
        for (name, checksum) in &tree.files {
            self.file(&below(name.as_str()), checksum)?;
        }
        for (name, entry) in &tree.dirs {
            self.directory(&below(name.as_str()), entry)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, checksum: &Checksum) -> Result {
        let file = self.repo.open_file(checksum)?;
        let meta = &file.header;
        self.attributes(&meta.xattrs)?;
        let kind = if meta.is_symlink() { EntryType::Symlink } else { EntryType::Regular };
        let mut header = self.header(kind, (meta.uid, meta.gid), meta.permissions());
        let name = self.named(path);
        if let Some(target) = &meta.symlink_target {
            header.set_size(0);
            return self.member(header, &name, Some(target.as_str()), io::empty());
        }
        header.set_size(file.size);
        self.member(header, &name, None, file.reader)
    }

    /// Writes a member. Names are put into headers by hand: they are the peer's to the byte, also
    /// with a prefix that says more than a path below the archive's root.
    fn member(
        &mut self,
        mut header: Header,
        name: &str,
        target: Option<&str>,
        data: impl Read,
    ) -> Result {
        if let Some(long) = target.filter(|target| target.len() > NAME_SIZE) {
            self.long(EntryType::GNULongLink, long, target)?;
        }
        if name.len() > NAME_SIZE {
            self.long(EntryType::GNULongName, name, target)?;
        }
        put_names(&mut header, name, target);
        Ok(self.archive.append(&header, data)?)
    }

    /// Writes a name that has no room in the header of its member, which comes next.
    fn long(&mut self, kind: EntryType, text: &str, target: Option<&str>) -> Result {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0);
        header.set_mtime(0);
        header.set_username("root")?;
        header.set_groupname("wheel")?;
        let data = [text.as_bytes(), b"\0"].concat();
        header.set_size(data.len() as u64);
        put_names(&mut header, "././@LongLink", target);
        Ok(self.archive.append(&header, &data[..])?)
    }

    /// The member's name. As by the peer the prefix is put before it as it is: `usr/` and `usr-`
    /// do different things.
    fn named(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn header(&self, kind: EntryType, (uid, gid): (u32, u32), permissions: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mode(permissions);
        header.set_mtime(self.time);
        header
    }

    /// Writes the extended attributes of the next member.
    fn attributes(&mut self, xattrs: &Xattrs) -> Result {
        if self.no_xattrs || xattrs.is_empty() {
            return Ok(());
        }
        let mut records = Vec::new();
        for (name, value) in xattrs.iter() {
            let name = std::str::from_utf8(name).map_err(|_| {
                Failure::new(Kind::Unsupported, "Invalid UTF-8 in the name of an attribute")
            })?;
            records.push((format!("SCHILY.xattr.{name}"), value));
        }
        let records = records.iter().map(|(name, value)| (name.as_str(), *value));
        self.archive.append_pax_extensions(records)?;
        Ok(())
    }
}
