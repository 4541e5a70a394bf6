//! Static deltas as libostree 2022.7 wrote them, read and written again byte for byte.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use updraft_ostree::delta::{
    DeltaIndex, DeltaName, Endianness, PartCompression, PartLayout, PartTables, SignedDelta,
    Superblock, encode_part_frame, part_tail,
};
use updraft_ostree::{Checksum, Metadata, ObjectType, Xattrs};

const FROM: &str = "ec5f2fb4fb22ff86696e820db6159c6b9072eb5759527ada37a4dd8f75f9fecb";
const TO: &str = "584521cd02b92635800a849d3d4f681d9182c16f9f0d5404d48bbc38e59f331a";

const SUPERBLOCK: &[&str] = &[
    "6f73747265652e656e6469616e6e657373000000000000006c0079121c000000000000006b032de4ec5f2fb4fb",
    "22ff86696e820db6159c6b9072eb5759527ada37a4dd8f75f9fecb584521cd02b92635800a849d3d4f681d9182",
    "c16f9f0d5404d48bbc38e59f331aec5f2fb4fb22ff86696e820db6159c6b9072eb5759527ada37a4dd8f75f9fe",
    "cb6200000000000000000000006553f101eb308ca8fdf23b49f68aca4bbdb163a75c10488d24b1b162f31b37c8",
    "fe3b68e8446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488502322202000000000",
    "000000a24c347eaf1b35e52036ab4bda5ef17323f8ec2981ec7d825a9b6a76532a78e400000000bd0000000000",
    "0000d00000000000000002eb308ca8fdf23b49f68aca4bbdb163a75c10488d24b1b162f31b37c8fe3b68e801c9",
    "45af5499554f303d035519bb30354bb60380c2208267089b07421b14dfc9cc247b000000005c01de00de006800",
    "48001d00",
];

const INDEX: &[&str] = &[
    "6f73747265652e7374617469632d64656c74617300000000656335663266623466623232666638363639366538",
    "323064623631353963366239303732656235373539353237616461333761346464386637356639666563622d35",
    "383435323163643032623932363335383030613834396433643466363831643931383263313666396630643534",
    "30346434386262633338653539663333316100000000000000a41824ed8ef82ee6aea9f3fa1e6776600fb90b7f",
    "8d2ca60882f36508d46d9e5600617982ac00617b73767d15cc",
];

/// The part of the delta, decompressed: tables, payload, program.
fn part() -> Vec<u8> {
    let payload = "6600c945af5499554f303d035519bb30354bb60380c2208267089b07421b14dfc9cc022324\
                   7726aeddd245d82a49a17e7305739cd7cce44ab7a59b4073028fe3c9424225b1\
                   ab0000000000000000000000000000005b00000000000080";
    let program = "53250072256f0000ab014245c3016352";
    let diff = ["00".repeat(78), "4548".into(), "00".repeat(91)].concat();
    bytes(&["0000000000000000000081a400", payload, &diff, program, "15010d000c00"])
}

fn bytes(pieces: &[&str]) -> Vec<u8> {
    let text: String = pieces.concat().chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode(text).unwrap()
}

fn name() -> DeltaName {
    DeltaName::new(Some(FROM.parse().unwrap()), TO.parse().unwrap())
}

#[test]
fn the_superblock_is_read_and_written_again() {
    let data = bytes(SUPERBLOCK);
    assert_eq!(
        Checksum::of(&data).to_hex(),
        "a41824ed8ef82ee6aea9f3fa1e6776600fb90b7f8d2ca60882f36508d46d9e56"
    );
    let superblock = Superblock::decode(&data).unwrap();
    assert_eq!(superblock.name, name());
    assert_eq!(superblock.endianness, Endianness::Little);
    assert_eq!(superblock.timestamp, 0x6b03_2de4);
    assert!(superblock.fallbacks.is_empty());
    let [part] = superblock.parts.as_slice() else { panic!("{:?}", superblock.parts) };
    assert_eq!((part.version, part.size, part.uncompressed_size), (0, 189, 208));
    let types: Vec<_> = part.objects.iter().map(|object| object.object_type).collect();
    assert_eq!(types, [ObjectType::DirTree, ObjectType::File]);
    assert_eq!(superblock.encode(), data);
}

#[test]
fn numbers_in_the_other_order_are_read_with_and_without_a_name_for_it() {
    let mut superblock = Superblock::decode(&bytes(SUPERBLOCK)).unwrap();
    let parts = superblock.parts.clone();
    superblock.endianness = Endianness::Big;
    let byte = updraft_ostree::gvariant::Value::Byte(b'B');
    superblock.metadata.insert(Superblock::ENDIANNESS, byte);
    assert_eq!(Superblock::decode(&superblock.encode()).unwrap().parts, parts);
    superblock.metadata = Metadata::new();
    let guessed = Superblock::decode(&superblock.encode()).unwrap();
    assert_eq!((guessed.endianness, guessed.parts), (Endianness::Big, parts));
}

#[test]
fn no_damage_goes_unseen_or_panics() {
    let data = bytes(SUPERBLOCK);
    for end in 0..data.len() {
        assert!(Superblock::decode(&data[..end]).is_err(), "{end} bytes");
    }
    for bit in 0..data.len() * 8 {
        let mut damaged = data.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = Superblock::decode(&damaged) {
            assert_eq!(read.encode(), damaged, "bit {bit}");
        }
    }
}

#[test]
fn the_part_is_taken_apart_and_put_together() {
    let data = part();
    let length = data.len() as u64;
    assert_eq!(length, 299);
    let layout = PartLayout::locate(length, &data[data.len() - 24..]).unwrap();
    let get = |range: &std::ops::Range<u64>| {
        &data[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    };
    let tables = PartTables::decode(get(&layout.modes), get(&layout.xattrs)).unwrap();
    assert_eq!(tables.modes, [(0, 0, 0o100_644)]);
    assert_eq!(tables.xattrs, [Xattrs::new()]);
    assert_eq!(get(&layout.modes), tables.encode_modes());
    assert_eq!(get(&layout.xattrs), tables.encode_xattrs());
    let size = |range: &std::ops::Range<u64>| range.end - range.start;
    let frame = encode_part_frame(
        size(&layout.modes),
        size(&layout.xattrs),
        size(&layout.payload),
        size(&layout.program),
    );
    assert_eq!(frame, data[data.len() - 6..]);
    for length in 0..300 {
        // Any answer will do, as long as there is one.
        let tail = usize::try_from(part_tail(length)).unwrap();
        let _ = PartLayout::locate(length, &data[data.len() - tail..]);
    }
    assert!(PartCompression::from_byte(b'z').is_err());
}

#[test]
fn the_index_is_read_and_written_again() {
    let data = bytes(INDEX);
    let index = DeltaIndex::decode(&data).unwrap();
    assert_eq!(index.get(&name()).unwrap(), Checksum::of(&bytes(SUPERBLOCK)));
    assert_eq!(index.encode(), data);
}

#[test]
fn a_superblock_is_no_signed_delta() {
    assert!(!SignedDelta::is_signed(&bytes(SUPERBLOCK)));
    assert!(SignedDelta::decode(&bytes(SUPERBLOCK)).is_err());
}
