//! [`Layout`]: a zip file whose entries are stored, and where each of them is before it is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

use updraft_task::Context;

const LOCAL_LEN: u64 = 30;
const ENTRY_LEN: usize = 46;
const BUFFER: usize = 1 << 20;
/// From here on sizes do not fit.
const IN_ZIP64: u64 = 0xffff_ffff;
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// 2009-01-01, the first second: the time of all entries that release tools write.
const DATE: u16 = (29 << 9) | (1 << 5) | 1;

/// Content that is to be written.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// The first bytes of a file.
    File(File, u64),
}

/// An entry that is to be written.
#[derive(Debug)]
pub(super) struct NewEntry {
    name: String,
    content: Content,
}

impl NewEntry {
    pub(super) fn new(name: &str, content: Content) -> Self {
        Self { name: name.to_owned(), content }
    }

    fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, size) => *size,
        }
    }

    /// Sizes that do not fit are said in what is extra.
    fn extra(&self) -> Vec<u8> {
        let size = self.size();
        if size < IN_ZIP64 {
            return Vec::new();
        }
        [&[1, 0, 16, 0][..], &size.to_le_bytes(), &size.to_le_bytes()].concat()
    }

    /// What both headers of it have.
    fn about(&self, crc: u32) -> Vec<u8> {
        let size = u32::try_from(self.size()).unwrap_or(u32::MAX).to_le_bytes();
        let version = if self.size() < IN_ZIP64 { VERSION } else { VERSION_ZIP64 };
        let (name, extra) = (short(self.name.len()), short(self.extra().len()));
        [
            // Version, flags, method (stored) and time.
            &version.to_le_bytes()[..],
            &[0; 6],
            &DATE.to_le_bytes(),
            &crc.to_le_bytes(),
            &size,
            &size,
            &name,
            &extra,
        ]
        .concat()
    }
}

#[derive(Debug)]
pub(super) struct Layout(Vec<NewEntry>);

impl Layout {
    pub(super) fn new(entries: Vec<NewEntry>) -> Self {
        Self(entries)
    }

    /// Gives an entry other content.
    pub(super) fn set(&mut self, name: &str, bytes: &[u8]) {
        for entry in self.0.iter_mut().filter(|entry| entry.name == name) {
            entry.content = Content::Bytes(bytes.to_vec());
        }
    }

    /// Where the content of an entry will be, and how many bytes it has.
    pub(super) fn place(&self, name: &str) -> Option<(u64, u64)> {
        let mut at = 0;
        for entry in &self.0 {
            at += LOCAL_LEN + (entry.name.len() + entry.extra().len()) as u64;
            if entry.name == name {
                return Some((at, entry.size()));
            }
            at += entry.size();
        }
        None
    }

    /// Writes all of it, with an empty comment.
    pub(super) fn write(&self, context: &Context, out: &mut File) -> io::Result<()> {
        let (mut at, mut directory) = (0_u64, Vec::new());
        for entry in &self.0 {
            let crc = crc(context, &entry.content)?;
            let about = entry.about(crc);
            let (name, extra) = (entry.name.as_bytes(), entry.extra());
            let head = [b"PK\x03\x04", &about[..], name, &extra].concat();
            out.write_all(&head)?;
            pieces(context, &entry.content, &mut |piece| out.write_all(piece))?;
            directory.extend(entry_of(entry, &about, at));
            at += head.len() as u64 + entry.size();
        }
        out.write_all(&directory)?;
        out.write_all(&end(self.0.len(), directory.len() as u64, at))
    }
}

/// An entry of the directory.
fn entry_of(entry: &NewEntry, about: &[u8], at: u64) -> Vec<u8> {
    let mut extra = entry.extra();
    if at >= IN_ZIP64 {
        // The offset follows the sizes, where these are there.
        if extra.is_empty() {
            extra = vec![1, 0, 0, 0];
        }
        extra.extend(at.to_le_bytes());
        if let Some(length) = extra.get_mut(2) {
            *length += 8;
        }
    }
    let offset = u32::try_from(at).unwrap_or(u32::MAX);
    let about = about.get(..about.len() - 2).unwrap_or_default();
    // Made by a program as its reader has to be; no comment, disk, attributes.
    let version = about.get(..2).unwrap_or_default();
    let bytes = [
        b"PK\x01\x02",
        version,
        about,
        &short(extra.len()),
        &[0; 10],
        &offset.to_le_bytes(),
        entry.name.as_bytes(),
        &extra,
    ]
    .concat();
    debug_assert_eq!(bytes.len(), ENTRY_LEN + entry.name.len() + extra.len());
    bytes
}

/// The end of a directory, in both forms when it needs the long one.
fn end(count: usize, length: u64, at: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if at >= IN_ZIP64 {
        let count = (count as u64).to_le_bytes();
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([VERSION_ZIP64.to_le_bytes(), VERSION_ZIP64.to_le_bytes()].concat());
        bytes.extend([0; 8]);
        bytes.extend([count, count, length.to_le_bytes(), at.to_le_bytes()].concat());
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((at + length).to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
    }
    let (count, length) = (short(count), u32::try_from(length).unwrap_or(u32::MAX));
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend([length.to_le_bytes(), at.to_le_bytes()].concat());
    bytes.extend([0; 2]);
    bytes
}

/// Names and extra fields are short: we chose them.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

fn crc(context: &Context, content: &Content) -> io::Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    pieces(context, content, &mut |piece| {
        crc.update(piece);
        Ok(())
    })?;
    Ok(crc.finalize())
}

fn pieces(
    context: &Context,
    content: &Content,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (file, size) = match content {
        Content::Bytes(bytes) => return sink(bytes),
        Content::File(file, size) => (file, *size),
    };
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < size {
        context.check().map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        let most = usize::try_from(size - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        sink(piece)?;
        at += most as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    use updraft_task::Context;

    use super::{Content, Layout, NewEntry};

    #[test]
    fn files_over_4_gib_are_where_python_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        let big =
            std::fs::File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        // Nearly all of it is a hole, and it is written as one, too: few blocks of the disk.
        let size = (4 << 30) + 5;
        big.set_len(size).unwrap();
        big.write_all_at(b"end", size - 3).unwrap();
        let layout = Layout::new(vec![
            NewEntry::new("big", Content::File(big, size)),
            NewEntry::new("small", Content::Bytes(b"small".to_vec())),
        ]);
        let (at, _) = layout.place("small").unwrap();
        let directory = layout.0.iter().map(|entry| {
            let at = if entry.name == "big" { 0 } else { at - 35 };
            super::entry_of(entry, &entry.about(0x1234), at)
        });
        let directory = directory.collect::<Vec<_>>().concat();
        let zip = folder.path().join("zip");
        let out = std::fs::File::options().create_new(true).write(true).open(&zip).unwrap();
        let start = at + 5;
        out.write_all_at(b"small", at).unwrap();
        out.write_all_at(&directory, start).unwrap();
        let end = super::end(2, directory.len() as u64, start);
        out.write_all_at(&end, start + directory.len() as u64).unwrap();
        let script = "import sys, zipfile\n\
                      for i in zipfile.ZipFile(sys.argv[1]).infolist():\n\
                      \x20print(i.filename, i.file_size, i.compress_size, i.header_offset)\n";
        let mut python = Command::new("python3");
        let output = python.args(["-c", script]).arg(&zip).output().unwrap();
        let wanted = format!("big {size} {size} 0\nsmall 5 5 {}\n", at - 35);
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
        let small = Layout::new(vec![NewEntry::new("s", Content::Bytes(b"x".to_vec()))]);
        let path = folder.path().join("small.zip");
        let mut out = std::fs::File::create_new(&path).unwrap();
        small.write(&Context::silent(), &mut out).unwrap();
        let mut python = Command::new("python3");
        assert!(python.args(["-m", "zipfile", "-t"]).arg(&path).status().unwrap().success());
    }
}
