//! Deltas of our own format that are right in every checksum and wrong in what they do.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use updraft_ostree::delta::{
    DeltaFormat, PartHeader, PartTables, Recipe, Source, StreamHeader, Superblock, encode_head,
};
use updraft_ostree::{Checksum, ObjectName, ObjectType, Xattrs};

use crate::deltas::{Deltaed, apply};
use crate::ops;

/// Modes of the tables: a file, a link, a directory.
const MODES: [u32; 3] = [0o100_644, 0o120_777, 0o040_755];
const FILE: u64 = 0;
const LINK: u64 = 1;
const HUGE: u64 = u64::MAX;

/// A part before it is written.
#[derive(Clone, Default)]
struct Part {
    objects: Vec<ObjectName>,
    recipes: Vec<Recipe>,
    /// Controls, gaps, values, literals.
    streams: [Vec<u8>; 4],
    /// Changes the streams' headers.
    headers: Option<fn(&mut [StreamHeader; 5])>,
    /// All bytes of the part instead.
    raw: Option<Vec<u8>>,
    /// Changes what the superblock says of it.
    header: Option<fn(&mut PartHeader)>,
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let modes = MODES.iter().map(|mode| (0, 0, *mode)).collect();
        let mut head = encode_head(&PartTables { modes, xattrs: vec![Xattrs::new()] });
        self.recipes.iter().for_each(|recipe| recipe.encode(&mut head));
        let [controls, gaps, values, literals] = self.streams.clone();
        let streams = [head, controls, gaps, values, literals];
        let mut headers = streams.each_ref().map(|stream| {
            let length = stream.len() as u64;
            StreamHeader { is_xz: false, length, packed: length }
        });
        if let Some(edit) = self.headers {
            edit(&mut headers);
        }
        [StreamHeader::encode_all(&headers), streams.concat()].concat()
    }
}

struct Hostile {
    deltaed: Deltaed,
    superblock: Superblock,
    /// A file that the new commit has and the old one has not.
    file: ObjectName,
    content: Vec<u8>,
    /// Another that is like it, which both have; a packed one; a link.
    source: Checksum,
    packed: Checksum,
    link: Checksum,
    tree: ObjectName,
}

impl Hostile {
    fn new() -> Self {
        let deltaed = Deltaed::in_format(DeltaFormat::Updraft);
        let repo = &deltaed.world.source;
        let path = repo.path().join(deltaed.name.superblock_path());
        let superblock = Superblock::decode(&fs::read(path).unwrap()).unwrap();
        assert_eq!(superblock.name.format, DeltaFormat::Updraft);
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
        repo.open_file(&file).unwrap().reader.read_to_end(&mut content).unwrap();
        let (source, link) = (file_in(old, "a", "large"), file_in(old, "a", "link"));
        let packed = file_in(old, "b", "notes.gz");
        let tree = ObjectName::new(root(new), ObjectType::DirTree);
        let file = ObjectName::new(file, ObjectType::File);
        Self { deltaed, superblock, file, content, source, packed, link, tree }
    }

    /// Writes a delta with this part alone; its folder.
    fn write(&self, part: &Part) -> PathBuf {
        let folder = self.deltaed.world.path("delta");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).unwrap();
        let bytes = part.bytes();
        let mut header = PartHeader {
            version: DeltaFormat::Updraft.part_version(),
            checksum: Checksum::of(&bytes),
            size: bytes.len() as u64,
            uncompressed_size: self.content.len() as u64,
            objects: part.objects.clone(),
        };
        if let Some(edit) = part.header {
            edit(&mut header);
        }
        let superblock = Superblock { parts: vec![header], ..self.superblock.clone() };
        fs::write(folder.join("superblock"), superblock.encode()).unwrap();
        fs::write(folder.join("0"), bytes).unwrap();
        folder
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    /// A part that makes the file by this recipe, with its content in the literals.
    fn part(&self, recipe: Recipe) -> Part {
        let literals = self.content.clone();
        let streams = [vec![], vec![], vec![], literals];
        Part { objects: vec![self.file], recipes: vec![recipe], streams, ..Part::default() }
    }

    fn whole(&self) -> Recipe {
        Recipe::Whole { mode: FILE, xattrs: 0, length: self.size() }
    }

    /// A part that makes the file as a patch.
    fn patch(&self, source: Checksum, streams: [&[u8]; 4]) -> Part {
        let recipe = Recipe::Patch { mode: FILE, xattrs: 0, length: self.size(), source };
        Part { streams: streams.map(<[u8]>::to_vec), ..self.part(recipe) }
    }

    /// A part that makes the file by packing again.
    fn packed(&self, sizes: [u64; 4], source: Source, streams: [&[u8]; 4]) -> Part {
        let [prefix, corrections, suffix, plain] = sizes;
        let length = self.size();
        let recipe = Recipe::Packed {
            mode: FILE,
            xattrs: 0,
            length,
            plain,
            prefix,
            corrections,
            suffix,
            source,
        };
        Part { streams: streams.map(<[u8]>::to_vec), ..self.part(recipe) }
    }
}

/// A hostile part, and a word of what is said about it.
type Row = (&'static str, Part, &'static str);

fn recipes(all: &Hostile) -> Vec<Row> {
    let n = all.size();
    let whole = |mode, xattrs, length| all.part(Recipe::Whole { mode, xattrs, length });
    let link = |target: &[u8]| Part {
        streams: [vec![], vec![], vec![], target.to_vec()],
        ..whole(LINK, 0, target.len() as u64)
    };
    let metadata =
        |length| Part { objects: vec![all.tree], ..all.part(Recipe::Metadata { length }) };
    let commit = Part {
        objects: vec![ObjectName::new(all.deltaed.world.new, ObjectType::Commit), all.file],
        ..metadata(n)
    };
    let twice = Part { recipes: vec![all.whole(); 2], ..all.part(all.whole()) };
    vec![
        ("nothing", Part { recipes: vec![], ..all.part(all.whole()) }, "more in a stream"),
        ("one too many", twice, "more objects than listed"),
        ("too few literals", whole(FILE, 0, n + 1), "too early"),
        ("too many literals", whole(FILE, 0, n - 1), "Corrupted file object"),
        ("a huge file", whole(FILE, 0, HUGE), "bytes requested"),
        ("no such mode", whole(3, 0, n), "no mode of index 3"),
        ("a huge mode", whole(HUGE, 0, n), "no mode of index"),
        ("no such xattrs", whole(FILE, 1, n), "no xattrs of index 1"),
        ("a directory", whole(2, 0, n), "not a valid file type"),
        ("a file for metadata", all.part(Recipe::Metadata { length: n }), "must not bring"),
        (
            "metadata for a file",
            Part { objects: vec![all.tree], ..whole(FILE, 0, n) },
            "is no file",
        ),
        ("huge metadata", metadata(HUGE), "exceed the limit"),
        ("wrong metadata", metadata(n), "Corrupted dirtree object"),
        ("a commit", commit, "must not bring"),
        ("a link to nothing", link(b""), "link target is empty"),
        ("a link with a NUL", link(b"a\0b"), "has a NUL"),
        ("a long link", link(&[b'a'; 5000]), "exceed the limit"),
        (
            "a patched link",
            {
                let source = all.source;
                all.part(Recipe::Patch { mode: LINK, xattrs: 0, length: n, source })
            },
            "symbolic link",
        ),
    ]
}

fn patches(all: &Hostile) -> Vec<Row> {
    let whole = {
        let mut controls = Vec::new();
        updraft_delta::varint::put(&mut controls, all.size()).unwrap();
        [&controls[..], &[0, 0]].concat()
    };
    let patch = |streams| all.patch(all.source, streams);
    let none: [&[u8]; 4] = [&[], &[], &[], &[]];
    let idle = [0; 3000];
    let packed = |sizes, source, streams| all.packed(sizes, source, streams);
    let small = [3, 2, 1, 4];
    vec![
        ("an empty patch", patch(none), "too early"),
        ("no controls", patch([&[], &[0], &[], &[]]), "too early"),
        ("no literals", patch([&[0, 9, 0], &[0], &[], &[]]), "too early"),
        ("no values", patch([&whole, &[1, 0], &[], &[]]), "too early"),
        ("a gap after the end", patch([&whole, &[0xff, 0xff, 0xff, 0xff, 7], &[], &[]]), "part 0"),
        ("a number of too many bits", patch([&[0xff; 20], &[0], &[], &[]]), "broken"),
        ("more than the object", patch([&[0xff; 9], &[0], &[], &[]]), "part 0"),
        ("nothing, over and over", patch([&idle, &[0], &[], &[]]), "part 0"),
        (
            "too many controls",
            patch([&[&whole[..], &[0, 0, 0]].concat(), &[0], &[], &[]]),
            "part 0",
        ),
        ("a source that is not here", all.patch(Checksum::of(b"x"), none), "Couldn't find"),
        ("a source that is a link", all.patch(all.link, none), "no regular file"),
        ("nothing to pack", packed([0; 4], Source::None, none), "packed again"),
        ("pieces that are not there", packed(small, Source::None, none), "too early"),
        (
            "no corrections",
            packed(small, Source::None, [&[], &[], &[], b"0123456789"]),
            "packed again",
        ),
        ("huge pieces", packed([HUGE; 4], Source::None, none), "too large"),
        ("a huge text", packed([0, 0, 0, 40 << 20], Source::None, none), "too large"),
        ("a link that is packed", packed([0; 4], Source::File(all.link), none), "part 0"),
        (
            "a text that is packed",
            packed([0; 4], Source::Packed(all.source), none),
            "no packed file",
        ),
        ("a patch of nothing", packed([0, 0, 0, 9], Source::Packed(all.packed), none), "too early"),
        (
            "packed where nothing is",
            packed([0; 4], Source::Packed(Checksum::of(b"")), none),
            "Couldn't find",
        ),
    ]
}

fn frames(all: &Hostile) -> Vec<Row> {
    let good = || all.part(all.whole());
    let raw = |bytes: &[u8]| Part { raw: Some(bytes.to_vec()), ..good() };
    let said = |header: fn(&mut PartHeader)| Part { header: Some(header), ..good() };
    let streams = |headers: fn(&mut [StreamHeader; 5])| Part { headers: Some(headers), ..good() };
    let bytes = good().bytes();
    vec![
        ("no bytes", raw(b""), "cut short"),
        ("a static delta's part", raw(b"\0data"), "does not begin with u"),
        ("an unknown compression", raw(b"uz"), "compression"),
        ("cut short", raw(&bytes[..bytes.len() - 1]), "longer than the part"),
        ("too long", raw(&[&bytes[..], b"x"].concat()), "more in it"),
        ("two lengths", streams(|all| all[4].length += 1), "two lengths"),
        ("no xz", streams(|all| all[4].is_xz = true), "decompress"),
        ("a head that is no xz", streams(|all| all[0].is_xz = true), "decompress"),
        ("a huge stream", streams(|all| (all[4].length, all[4].packed) = (HUGE, HUGE)), "longer"),
        (
            "a huge head",
            streams(|all| (all[0].is_xz, all[0].length) = (true, HUGE)),
            "its head has",
        ),
        (
            "no head",
            streams(|all| {
                let head = all[0].length;
                (all[0].length, all[0].packed) = (0, 0);
                (all[1].length, all[1].packed) = (head, head);
            }),
            "part 0",
        ),
        ("another version", said(|header| header.version = 0), "unknown version"),
        ("a size that is too small", said(|header| header.size -= 1), "Checksum mismatch"),
        ("a size that is too large", said(|header| header.size += 1), "Checksum mismatch"),
        ("another checksum", said(|header| header.checksum = Checksum::of(b"")), "mismatch"),
    ]
}

#[test]
fn a_hostile_part_of_our_own_format_is_named_and_changes_nothing() {
    let all = Hostile::new();
    let repo = all.deltaed.receiver("receiver");
    // Without malice the file is made; then it is missed that nothing else is.
    let said = apply(&repo, &all.write(&all.part(all.whole()))).unwrap_err();
    assert!(said.starts_with("No such metadata object"), "{said}");
    let mut failures = Vec::new();
    for (name, part, words) in [recipes(&all), patches(&all), frames(&all)].into_iter().flatten() {
        let run = || {
            // What is here already is not made again.
            fs::remove_dir_all(repo.path().join("tmp")).unwrap();
            fs::create_dir(repo.path().join("tmp")).unwrap();
            match apply(&repo, &all.write(&part)) {
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
fn a_part_of_our_own_with_any_bit_flipped_and_a_fitting_checksum_does_no_harm() {
    let deltaed = Deltaed::in_format(DeltaFormat::Updraft);
    let folder = deltaed.world.source.path().join(deltaed.name.path());
    let superblock = Superblock::decode(&fs::read(folder.join("superblock")).unwrap()).unwrap();
    let bytes = fs::read(folder.join("0")).unwrap();
    let mut repo = deltaed.receiver("receiver");
    for at in (0..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let mut superblock = superblock.clone();
        superblock.parts[0].checksum = Checksum::of(&damaged);
        fs::write(folder.join("superblock"), superblock.encode()).unwrap();
        fs::write(folder.join("0"), damaged).unwrap();
        let what = format!("byte {at} of {}", bytes.len());
        if deltaed.apply(&repo).is_ok() {
            // Only what nobody looks at was flipped.
            assert!(repo.load_commit(&deltaed.world.new).is_ok(), "{what}");
            assert_eq!(ops::fsck(&repo), Ok(vec![]), "{what}");
            repo = deltaed.receiver("receiver");
        } else {
            deltaed.refused(&what, &repo);
        }
    }
}
