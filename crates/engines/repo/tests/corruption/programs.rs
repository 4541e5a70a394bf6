//! Deltas that are right in every checksum and wrong in what they do.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use updraft_ostree::delta::{
    Control, DeltaFormat, DeltaName, Operation, PartHeader, PartTables, Superblock,
    encode_part_frame,
};
use updraft_ostree::{Checksum, ObjectName, ObjectType, Xattrs};
use updraft_repo::FileReader;

use crate::deltas::{Deltaed, apply};
use crate::ops;

/// Modes of the tables: a file, a link, a directory, a device.
const MODES: [u32; 4] = [0o100_644, 0o120_777, 0o040_755, 0o020_666];
const FILE: u64 = 0;
const LINK: u64 = 1;
const HUGE: u64 = u64::MAX;

/// A part before it is written.
#[derive(Default)]
pub(crate) struct Part {
    objects: Vec<ObjectName>,
    program: Vec<u8>,
    payload: Vec<u8>,
    /// All bytes of the part after its compression byte, instead of tables, payload and program.
    raw: Option<Vec<u8>>,
    /// What the superblock says of it.
    header: Option<fn(&mut PartHeader)>,
}

impl Part {
    /// Tables, payload, program and frame.
    fn plain(&self) -> Vec<u8> {
        let tables = PartTables {
            modes: MODES.iter().map(|mode| (0, 0, *mode)).collect(),
            xattrs: vec![Xattrs::new()],
        };
        let members = [tables.encode_modes(), tables.encode_xattrs(), self.payload.clone()];
        let [modes, xattrs, payload] = members.each_ref().map(|member| member.len() as u64);
        let frame = encode_part_frame(modes, xattrs, payload, self.program.len() as u64);
        [members.concat(), self.program.clone(), frame].concat()
    }
}

/// Where hostile deltas are made and tried.
pub(crate) struct Hostile {
    pub(crate) deltaed: Deltaed,
    superblock: Superblock,
    /// A file that the new commit has and the old one has not.
    file: ObjectName,
    content: Vec<u8>,
    /// Another that is like it, which both have.
    source: Checksum,
    tree: ObjectName,
    link: Checksum,
}

impl Hostile {
    pub(crate) fn new() -> Self {
        let deltaed = Deltaed::new();
        let repo = &deltaed.world.source;
        let path = repo.path().join(deltaed.name.superblock_path());
        let superblock = Superblock::decode(&fs::read(path).unwrap()).unwrap();
        let root = |commit| repo.load_commit(commit).unwrap().0.root_dirtree;
        let file_in = |commit, dir: &str, name: &str| {
            let tree = repo.load_dirtree(&root(commit)).unwrap();
            let (_, dir) = tree.dirs.iter().find(|(key, _)| key.as_str() == dir).unwrap();
            let tree = repo.load_dirtree(&dir.dirtree).unwrap();
            *tree.files.iter().find(|(key, _)| key.as_str() == name).unwrap().1
        };
        let (old, new) = (&deltaed.world.old, &deltaed.world.new);
        let file = file_in(new, "a", "large");
        let mut content = Vec::new();
        let mut opened = repo.open_file(&file).unwrap();
        assert!(matches!(opened.reader, FileReader::Deflated(_)));
        opened.reader.read_to_end(&mut content).unwrap();
        let (source, link) = (file_in(old, "a", "large"), file_in(old, "a", "link"));
        let tree = ObjectName::new(root(new), ObjectType::DirTree);
        let file = ObjectName::new(file, ObjectType::File);
        Self { deltaed, superblock, file, content, source, tree, link }
    }

    /// Writes a delta with this part alone; its folder.
    pub(crate) fn write(&self, name: &str, part: &Part) -> PathBuf {
        let folder = self.deltaed.world.path(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).unwrap();
        let mut bytes = vec![0];
        match &part.raw {
            Some(raw) => bytes.clone_from(raw),
            None => bytes.extend(part.plain()),
        }
        let mut header = PartHeader {
            version: DeltaFormat::Ostree.part_version(),
            checksum: Checksum::of(&bytes),
            size: bytes.len() as u64,
            uncompressed_size: self.content.len() as u64,
            objects: part.objects.clone(),
        };
        if let Some(edit) = part.header {
            edit(&mut header);
        }
        let superblock =
            Superblock { parts: vec![header], fallbacks: vec![], ..self.superblock.clone() };
        fs::write(folder.join("superblock"), superblock.encode()).unwrap();
        fs::write(folder.join("0"), bytes).unwrap();
        folder
    }

    /// The payload that most programs read: the new content, the name of the old one, a patch.
    fn payload(&self, patch: &[u8]) -> Vec<u8> {
        [&self.content[..], self.source.as_bytes(), patch].concat()
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn open(&self) -> Operation {
        Operation::Open { mode: FILE, xattrs: 0, size: self.size() }
    }

    fn set_source(&self) -> Operation {
        Operation::SetSource { offset: self.size() }
    }

    /// A part that makes the file by these operations.
    fn part(&self, operations: &[Operation]) -> Part {
        let mut program = Vec::new();
        for operation in operations {
            operation.encode(&mut program);
        }
        let (objects, payload) = (vec![self.file], self.payload(&[]));
        Part { objects, program, payload, ..Part::default() }
    }

    /// A part that makes the file by this patch.
    fn patch(&self, patch: &[u8]) -> Part {
        let (offset, length) = (self.size() + 32, patch.len() as u64);
        let patched = Operation::Patch { offset, length };
        let part = self.part(&[self.set_source(), self.open(), patched, Operation::Close]);
        Part { payload: self.payload(patch), ..part }
    }
}

/// A hostile part, and a word of what is said about it.
type Row = (&'static str, Part, &'static str);

fn control(diff: u64, extra: u64, seek: i64) -> Vec<u8> {
    Control { diff, extra, seek }.encode().to_vec()
}

fn offsets(all: &Hostile) -> Vec<Row> {
    use Operation::{Close, File, Metadata, SetSource, Write};
    let n = all.size();
    let write = |length, offset| all.part(&[all.open(), Write { length, offset }, Close]);
    let from_source =
        |length, offset| all.part(&[all.set_source(), all.open(), Write { length, offset }, Close]);
    let file = |length, offset| all.part(&[File { mode: FILE, xattrs: 0, length, offset }]);
    let tree = |length, offset| Part {
        objects: vec![all.tree],
        ..all.part(&[Metadata { length, offset }])
    };
    vec![
        ("after the payload", write(n, 33), "Invalid offset/length"),
        ("a huge length", write(HUGE, 0), "Invalid offset/length"),
        ("a huge offset", write(1, HUGE), "Invalid offset/length"),
        ("a sum that wraps", write(2, HUGE - 1), "Invalid offset/length"),
        ("after the source", from_source(n * 2, 0), "Invalid offset/length"),
        ("a huge offset in the source", from_source(2, HUGE), "Invalid offset/length"),
        ("a huge file", file(HUGE, 0), "Invalid offset/length"),
        ("a file of the wrong bytes", file(n, 1), "Corrupted file object"),
        ("a file at a huge offset", file(n, HUGE), "Invalid offset/length"),
        ("huge metadata", tree(HUGE, 0), "Invalid offset/length"),
        ("wrong metadata", tree(n, 0), "Corrupted dirtree object"),
        ("empty metadata", tree(0, 0), "Corrupted dirtree object"),
        ("a source after the payload", all.part(&[SetSource { offset: n + 1 }]), "Invalid offset"),
        ("a source at a huge offset", all.part(&[SetSource { offset: HUGE }]), "Invalid offset"),
    ]
}

fn orders(all: &Hostile) -> Vec<Row> {
    use Operation::{Close, File, Patch, SetSource, UnsetSource, Write};
    let (open, n) = (all.open(), all.size());
    let whole = Write { length: n, offset: 0 };
    let file = File { mode: FILE, xattrs: 0, length: n, offset: 0 };
    let patch = Patch { offset: 0, length: 24 };
    let sized = |size| Operation::Open { mode: FILE, xattrs: 0, size };
    let with_payload =
        |payload: &[u8]| Part { payload: payload.to_vec(), ..all.part(&[SetSource { offset: 0 }]) };
    let trees = vec![all.tree];
    vec![
        ("nothing", all.part(&[]), "does not make"),
        ("one too many", all.part(&[file, file]), "more objects than listed"),
        ("two at once", all.part(&[open, open]), "another object is open"),
        ("a file in a file", all.part(&[open, file]), "another object is open"),
        ("never closed", all.part(&[open, whole]), "not closed"),
        ("never opened", all.part(&[Close]), "no object is open"),
        ("nowhere to write", all.part(&[whole]), "no object is open"),
        ("nothing to patch", all.part(&[all.set_source(), patch]), "no object is open"),
        ("nothing to patch from", all.part(&[open, patch]), "no read source"),
        ("unset before", all.part(&[all.set_source(), UnsetSource, open, patch]), "no read source"),
        ("too late to patch", all.part(&[open, whole, all.set_source(), patch]), "begun already"),
        ("too few bytes", all.part(&[open, Close]), "bytes instead of"),
        ("too many bytes", all.part(&[sized(9), whole, Close]), "part 0"),
        ("a huge size", all.part(&[sized(HUGE), Close]), "bytes requested"),
        ("an immense size", all.part(&[sized(1 << 62), Close]), "bytes requested"),
        ("written twice", all.part(&[open, whole, whole, Close]), "part 0"),
        ("a file for a folder", Part { objects: trees, ..all.part(&[open]) }, "is no file"),
        ("a source that is not here", with_payload(&[7; 32]), "0707070707"),
        ("a source that is a link", with_payload(all.link.as_bytes()), "is no file"),
    ]
}

fn tables(all: &Hostile) -> Vec<Row> {
    use Operation::{Close, File, Open};
    let n = all.size();
    let open = |mode, xattrs| all.part(&[Open { mode, xattrs, size: n }, Close]);
    let file = |mode, length| all.part(&[File { mode, xattrs: 0, length, offset: 0 }]);
    let link = |target: &[u8]| Part { payload: target.to_vec(), ..file(LINK, target.len() as u64) };
    let program = |program: &[u8]| Part { program: program.to_vec(), ..all.part(&[]) };
    let commit = ObjectName::new(all.deltaed.world.new, ObjectType::Commit);
    let commit = Part {
        // With nothing but what is here the part would not be executed.
        objects: vec![commit, all.file],
        payload: all.superblock.commit.clone(),
        ..all.part(&[Operation::Metadata { length: all.superblock.commit.len() as u64, offset: 0 }])
    };
    vec![
        ("no such mode", open(4, 0), "no mode of index 4"),
        ("a huge mode", open(HUGE, 0), "no mode of index"),
        ("no such xattrs", open(FILE, 1), "no xattrs of index 1"),
        ("huge xattrs", open(FILE, HUGE), "no xattrs of index"),
        ("a directory", open(2, 0), "not a valid file type"),
        ("a device", file(3, n), "not a valid file type"),
        ("an open link", open(LINK, 0), "symbolic link"),
        ("a link to nothing", link(b""), "link target is empty"),
        ("a link with a NUL", link(b"a\0b"), "has a NUL"),
        ("a link that is no text", link(b"\xff\xfe"), "part 0"),
        ("a link elsewhere", link(b"/etc/shadow"), "Corrupted file object"),
        ("a long link", link(&[b'a'; 5000]), "exceed the limit"),
        ("an unknown operation", program(b"x"), "Unknown opcode"),
        ("a number cut short", program(b"o\x80"), "varint"),
        ("a number of too many bits", program(&[b"w".as_slice(), &[0xff; 20]].concat()), "64 bits"),
        ("zeros", program(&[0; 1000]), "Unknown opcode"),
        ("a commit", commit, "must not bring"),
    ]
}

fn patches(all: &Hostile) -> Vec<Row> {
    let n = all.size();
    let step = |diff, extra, seek, tail: &[u8]| [&control(diff, extra, seek), tail].concat();
    let raw = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
    let endless: Vec<_> = (0..1000).flat_map(|_| control(0, 0, 1)).collect();
    let rows: Vec<(&'static str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("a control cut short", vec![0; 23]),
        ("a diff that is not there", control(n, 0, 0)),
        ("an extra that is not there", control(0, n, 0)),
        ("more than the object", step(0, n + 1, 0, &vec![0; all.content.len() + 1])),
        ("a negative length", raw([1 << 63 | 5, 0, 0])),
        ("a huge length", raw([HUGE, HUGE, HUGE])),
        ("a huge extra", raw([0, 1 << 40, 0])),
        ("before the source", step(0, 0, -1000, &control(n, 0, 0))),
        ("far before the source", step(0, 0, i64::MIN + 1, &step(8, 0, i64::MIN + 1, &[0; 8]))),
        ("far after the source", step(0, 0, i64::MAX, &step(8, 0, i64::MAX, &[0; 8]))),
        ("nothing, over and over", endless),
        ("the old content", step(n, 0, 0, &vec![0; all.content.len()])),
    ];
    rows.into_iter().map(|(name, patch)| (name, all.patch(&patch), "part 0")).collect()
}

/// Some kilobytes that unpack to two hundred megabytes.
fn bomb() -> Vec<u8> {
    let script = "head -c 200M /dev/zero | xz -1";
    let packed = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(packed.status.success(), "the Debian package xz-utils is installed");
    [b"x", &packed.stdout[..]].concat()
}

fn frames(all: &Hostile) -> Vec<Row> {
    let good = || all.part(&[Operation::File { mode: FILE, xattrs: 0, length: 1, offset: 0 }]);
    let raw = |bytes: &[u8]| Part { raw: Some(bytes.to_vec()), ..good() };
    let said = |header: fn(&mut PartHeader)| Part { header: Some(header), ..good() };
    let frame = |ends: [u8; 3], body: usize| {
        let body = vec![0; body];
        [&[0][..], &body, &[ends[2], ends[1], ends[0]]].concat()
    };
    let bomb = bomb();
    assert!(bomb.len() < 1 << 20);
    vec![
        ("no bytes", raw(b""), "part 0"),
        ("only a compression", raw(b"\0"), "part 0"),
        ("an unknown compression", raw(b"zdata"), "compression"),
        ("no xz", raw(b"xnot xz at all"), "part 0"),
        ("a bomb", raw(&bomb), "part 0"),
        ("a frame that ends too late", raw(&frame([12, 12, 99], 12)), "layout"),
        ("a frame that goes back", raw(&frame([12, 6, 12], 24)), "layout"),
        ("modes cut short", raw(&frame([11, 11, 11], 24)), "part 0"),
        ("xattrs that are none", raw(&frame([12, 20, 20], 24)), "part 0"),
        ("another version", said(|header| header.version = 7), "too new version"),
        ("a size that is too small", said(|header| header.size -= 1), "Checksum mismatch"),
        ("a size that is too large", said(|header| header.size += 1), "Checksum mismatch"),
        ("a huge size", said(|header| header.size = HUGE), "Checksum mismatch"),
        ("another checksum", said(|header| header.checksum = Checksum::of(b"")), "mismatch"),
        ("a huge content", said(|header| header.uncompressed_size = HUGE), "part 0"),
    ]
}

#[test]
fn a_hostile_part_is_named_and_changes_nothing() {
    let all = Hostile::new();
    let repo = all.deltaed.receiver("receiver");
    let file = Operation::File { mode: FILE, xattrs: 0, length: all.size(), offset: 0 };
    // Without malice the file is made; then it is missed that nothing else is.
    let said = apply(&repo, &all.write("delta", &all.part(&[file]))).unwrap_err();
    assert!(said.starts_with("No such metadata object"), "{said}");
    let groups = [offsets(&all), orders(&all), tables(&all), patches(&all), frames(&all)];
    let mut failures = Vec::new();
    for (name, part, words) in groups.into_iter().flatten() {
        let run = || {
            // What is here already is not made again.
            fs::remove_dir_all(repo.path().join("tmp")).unwrap();
            fs::create_dir(repo.path().join("tmp")).unwrap();
            match apply(&repo, &all.write("delta", &part)) {
                Ok(()) => panic!("{name}: nobody minds"),
                Err(said) => assert!(said.contains(words), "{name}: {said}"),
            }
            all.deltaed.refused(name, &repo);
        };
        failures.extend(ops::attempt(run).err());
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    // What the last one left behind disturbs nobody.
    all.deltaed.apply(&repo).unwrap();
    assert_eq!(ops::fsck(&repo), Ok(vec![]));
    ops::peer_fsck("at the end", &repo);
}

#[test]
fn a_superblock_that_lies_about_its_commits_is_refused() {
    let all = Hostile::new();
    let repo = all.deltaed.receiver("receiver");
    let (old, new) = (all.deltaed.world.old, all.deltaed.world.new);
    let other = Checksum::of(b"another commit");
    let base = || Superblock { parts: vec![], fallbacks: vec![], ..all.superblock.clone() };
    let rows = [
        ("no parts", base(), "No such metadata object"),
        (
            "another source",
            Superblock { name: DeltaName::new(Some(other), new), ..base() },
            "source",
        ),
        (
            "another target",
            Superblock { name: DeltaName::new(Some(old), other), ..base() },
            "its commit is not its target",
        ),
        ("no commit", Superblock { commit: vec![], ..base() }, ""),
        ("a commit cut short", Superblock { commit: base().commit[..40].to_vec(), ..base() }, ""),
    ];
    for (name, superblock, words) in rows {
        let folder = all.deltaed.world.path("delta");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("superblock"), superblock.encode()).unwrap();
        let said = apply(&repo, &folder).unwrap_err();
        assert!(said.contains(words), "{name}: {said}");
        all.deltaed.refused(name, &repo);
    }
    all.deltaed.apply(&repo).unwrap();
    assert_eq!(ops::fsck(&repo), Ok(vec![]));
}
