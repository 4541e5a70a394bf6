//! cpio streams of the new ASCII format, turned into tar streams on the way.
//!
//! Format: `070701` (or `070702`, with sums) and 13 numbers of 8 hexadecimal digits, the name, the
//! content, each padded to 4 bytes; an entry `TRAILER!!!` ends it (cpio(5), "New ASCII Format").
//! Of files with several names only the last entry has the content, so the names before it wait.

use std::collections::BTreeMap;
use std::io::{self, Read};

use ::tar::{EntryType, Header};
use updraft_ostree::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

use super::BLOCK;

/// How such streams begin.
pub(super) const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];
const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";
/// The longest name or target.
const MAX_NAME: u64 = 4096;
/// Bytes of names that may wait for the content of their files.
const MAX_WAITING: usize = 16 << 20;

/// A tar stream made of a cpio stream.
pub(super) struct Cpio<R> {
    input: R,
    /// Headers that are to be read next, and how far they were.
    ready: Vec<u8>,
    at: usize,
    /// Bytes of content that are passed on after them.
    body: u64,
    /// Bytes that pad the content there.
    skip: u64,
    /// Bytes that pad it here.
    pad: usize,
    /// Names of files whose content has not come, by device and inode.
    waiting: BTreeMap<(u64, u64), Vec<Member>>,
    waiting_bytes: usize,
    ended: bool,
}

struct Member {
    name: Vec<u8>,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: u64,
    size: u64,
    file: (u64, u64),
    links: u64,
}

impl<R: Read> Cpio<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            ready: Vec::new(),
            at: 0,
            body: 0,
            skip: 0,
            pad: 0,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            ended: false,
        }
    }

    /// Prepares what comes after the content of the last member.
    fn advance(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.at = 0;
        self.ready.resize(std::mem::take(&mut self.pad), 0);
        self.pass_over(self.skip)?;
        self.skip = 0;
        let member = self.member()?;
        if member.name == TRAILER {
            for names in std::mem::take(&mut self.waiting).into_values() {
                // No content came: the file is empty.
                if let Some((last, others)) = names.split_last() {
                    self.file(last, others);
                }
            }
            self.ready.resize(self.ready.len() + 2 * BLOCK, 0);
            self.ended = true;
            return Ok(());
        }
        let padding = (4 - member.size % 4) % 4;
        match member.mode & S_IFMT {
            S_IFREG if member.links > 1 && member.size == 0 => {
                self.waiting_bytes += member.name.len() + size_of::<Member>();
                if self.waiting_bytes > MAX_WAITING {
                    return Err(invalid("too many names wait for the content of their files"));
                }
                self.waiting.entry(member.file).or_default().push(member);
            }
            S_IFREG => {
                let others = self.waiting.remove(&member.file).unwrap_or_default();
                self.file(&member, &others);
                self.body = member.size;
                self.skip = padding;
                let block = BLOCK as u64;
                self.pad = usize::try_from((block - member.size % block) % block).unwrap_or(0);
            }
            S_IFLNK => {
                let target = self.bytes(member.size)?;
                self.pass_over(padding)?;
                self.entry(&member, EntryType::Symlink, &target);
            }
            S_IFDIR => self.entry(&member, EntryType::Directory, &[]),
            // What cannot be stored is refused by who stores it.
            _ => self.entry(&member, EntryType::Fifo, &[]),
        }
        Ok(())
    }

    /// A file with all its names. The links come first, so that its content can follow.
    fn file(&mut self, member: &Member, others: &[Member]) {
        for other in others {
            self.entry(other, EntryType::Link, &member.name);
        }
        self.entry(member, EntryType::Regular, &[]);
    }

    /// The header of a tar member, after those that bring long names.
    fn entry(&mut self, member: &Member, kind: EntryType, target: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(member.mode & !S_IFMT);
        header.set_uid(member.uid);
        header.set_gid(member.gid);
        header.set_mtime(member.mtime);
        header.set_size(if kind == EntryType::Regular { member.size } else { 0 });
        self.place(&mut header, EntryType::GNULongName, &member.name);
        self.place(&mut header, EntryType::GNULongLink, target);
        header.set_cksum();
        self.ready.extend_from_slice(header.as_bytes());
    }

    /// Puts a name or target into the header, and before it what is too long for the field.
    fn place(&mut self, header: &mut Header, long: EntryType, text: &[u8]) {
        let old = header.as_old_mut();
        let is_name = long == EntryType::GNULongName;
        let field: &mut [u8] = if is_name { &mut old.name } else { &mut old.linkname };
        if text.len() <= field.len() {
            field[..text.len()].copy_from_slice(text);
            return;
        }
        let mut before = Header::new_gnu();
        let name = b"././@LongLink";
        before.as_old_mut().name[..name.len()].copy_from_slice(name);
        before.set_entry_type(long);
        before.set_size(text.len() as u64 + 1);
        before.set_cksum();
        self.ready.extend_from_slice(before.as_bytes());
        self.ready.extend_from_slice(text);
        let end = (self.ready.len() + 1).next_multiple_of(BLOCK);
        self.ready.resize(end, 0);
    }

    fn member(&mut self) -> io::Result<Member> {
        let mut header = [0; HEADER];
        self.input.read_exact(&mut header)?;
        if !MAGIC.iter().any(|magic| header.starts_with(magic)) {
            return Err(invalid("a member of the cpio stream does not begin as one"));
        }
        let mut numbers = [0_u64; 13];
        for (number, digits) in numbers.iter_mut().zip(header[6..].chunks_exact(8)) {
            let digits = std::str::from_utf8(digits).ok();
            let value = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            *number = value.ok_or_else(|| invalid("a number in the cpio stream is none"))?;
        }
        let [inode, mode, uid, gid, links, mtime, size, major, minor, _, _, length, _] = numbers;
        if length == 0 || length > MAX_NAME {
            return Err(invalid("a name in the cpio stream is empty or too long"));
        }
        let mut name = self.bytes(length)?;
        self.pass_over((4 - (HEADER as u64 + length) % 4) % 4)?;
        name.pop();
        let mode = u32::try_from(mode).unwrap_or(0);
        let file = (major << 32 | minor, inode);
        Ok(Member { name, mode, uid, gid, mtime, size, file, links })
    }

    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if length > MAX_NAME {
            return Err(invalid("a target in the cpio stream is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn pass_over(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(length), &mut io::sink())?;
        if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl<R: Read> Read for Cpio<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.ready.get(self.at..).unwrap_or_default();
            if !ready.is_empty() {
                let length = ready.len().min(buffer.len());
                buffer[..length].copy_from_slice(&ready[..length]);
                self.at += length;
                return Ok(length);
            }
            if self.body > 0 && !buffer.is_empty() {
                let wanted = usize::try_from(self.body).unwrap_or(usize::MAX).min(buffer.len());
                let read = self.input.read(&mut buffer[..wanted])?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.body -= read as u64;
                return Ok(read);
            }
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            self.advance()?;
        }
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Read as _;

    use ::tar::EntryType::{Directory, Link, Regular, Symlink};

    use super::Cpio;

    fn length(bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len()).unwrap()
    }

    fn member(name: &str, mode: u32, inode: u32, links: u32, body: &[u8]) -> Vec<u8> {
        let numbers = [inode, mode, 1, 2, links, 3, length(body), 0, 1, 0, 0];
        let mut text = "070701".to_owned();
        for number in numbers.into_iter().chain([length(name.as_bytes()) + 1, 0]) {
            write!(text, "{number:08x}").unwrap();
        }
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn members_become_those_of_tar() {
        let long = "d/".repeat(80) + "x";
        let stream = [
            member(".", 0o040_755, 1, 2, b""),
            member("one", 0o100_600, 2, 2, b""),
            member(&long, 0o100_600, 2, 2, b"content"),
            member("link", 0o120_777, 3, 1, b"one"),
            member("empty", 0o100_600, 4, 2, b""),
            member("TRAILER!!!", 0, 0, 1, b""),
        ];
        let mut archive = ::tar::Archive::new(Cpio::new(std::io::Cursor::new(stream.concat())));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            let mut body = String::new();
            entry.read_to_string(&mut body).unwrap();
            let header = entry.header();
            found.push((name, header.entry_type(), target, body, header.mode().unwrap()));
        }
        let expected = [
            (".".to_owned(), Directory, Vec::new(), String::new(), 0o755),
            ("one".to_owned(), Link, long.clone().into_bytes(), String::new(), 0o600),
            (long, Regular, Vec::new(), "content".to_owned(), 0o600),
            ("link".to_owned(), Symlink, b"one".to_vec(), String::new(), 0o777),
            ("empty".to_owned(), Regular, Vec::new(), String::new(), 0o600),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn cut_streams_are_errors() {
        let whole = [member("a", 0o100_600, 2, 1, b"content"), member("TRAILER!!!", 0, 0, 1, b"")];
        let whole = whole.concat();
        for end in 0..whole.len() - 1 {
            let mut read = Vec::new();
            assert!(Cpio::new(&whole[..end]).read_to_end(&mut read).is_err(), "{end}");
        }
    }
}
