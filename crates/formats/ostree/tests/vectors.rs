//! Objects that libostree wrote, byte for byte.

#![allow(clippy::unwrap_used)]

use std::str::FromStr;

use updraft_ostree::gvariant::Value;
use updraft_ostree::{
    Checksum, Commit, DirEntry, DirMeta, DirTree, FRAME_LEN, FileHeader, FileName, Metadata,
    ObjectName, ObjectSize, ObjectType, Summary, SummaryRef, Xattrs, frame_length, write_varuint,
};

const HELLO: &str = "44f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b";
const LINK: &str = "73baaba0102e9154b8522687d33eedb8ed1bc78eadb82428b2616144ec502934";
const X: &str = "d474afd297f3fc61b97186b79aeaa37ddb302743c8b3d1d634f9f2ced1675072";
const DIRMETA: &str = "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488";
const SUB: &str = "f6810199ccde9850a5e815e427b0e732a1bdd0f3c3554cf4023228a3a7876d84";
const ROOT: &str = "602f453ee41f3d12af2adcc8247b69b2dbcfd2ed195736e1ed5d3359b6b47c1b";
const COMMIT: &str = "63c79be18c8d55d2c0bdc4b2ed403bfa5bac1c37beb85b953bf69addaa7630c4";

fn sum(text: &str) -> Checksum {
    Checksum::from_str(text).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

fn user_xattrs() -> Xattrs {
    let list = [(b"user.b", b"2"), (b"user.a", b"1")];
    Xattrs::from_list(list.map(|(n, v)| (n.to_vec(), v.to_vec())).to_vec()).unwrap()
}

/// Splits a framed header from what follows.
fn unframe(data: &[u8]) -> (&[u8], &[u8]) {
    let length = frame_length(data[..FRAME_LEN].try_into().unwrap()).unwrap();
    data[FRAME_LEN..].split_at(length)
}

fn root_tree() -> DirTree {
    let mut tree = DirTree::default();
    tree.files.insert(name("hello"), sum(HELLO));
    tree.files.insert(name("link"), sum(LINK));
    tree.dirs.insert(name("sub"), DirEntry { dirtree: sum(SUB), dirmeta: sum(DIRMETA) });
    tree
}

fn commit() -> Commit {
    let mut metadata = Metadata::new();
    metadata.insert("version", Value::String("1.0".into()));
    Commit {
        metadata,
        parent: None,
        related: Vec::new(),
        subject: "subj".into(),
        body: "body".into(),
        timestamp: 1_700_000_000,
        root_dirtree: sum(ROOT),
        root_dirmeta: sum(DIRMETA),
    }
}

#[test]
fn content_headers() {
    let plain = FileHeader::regular(0, 0, 0o644, Xattrs::new());
    let framed = bytes("00000012 00000000 00000000 00000000 000081a4 00000000 00 11");
    assert_eq!(plain.encode_content(), framed);
    assert_eq!(plain.checksum(b"hello\n"), sum(HELLO));
    assert_eq!(FileHeader::decode_content(unframe(&framed).0).unwrap(), plain);
    assert_eq!(FileHeader::symlink(0, 0, "hello", Xattrs::new()).checksum(b""), sum(LINK));
    assert_eq!(FileHeader::regular(0, 0, 0o755, Xattrs::new()).checksum(b"x"), sum(X));
    let rich = FileHeader::regular(1000, 100, 0o644, user_xattrs());
    let expected = "14424acdaf769ef3661abe9835843e20c087d7c3492a2d299754c87629d39bd1";
    assert_eq!(rich.checksum(b"hello\n"), sum(expected));
}

#[test]
fn archive_headers() {
    for (header, size, text) in [
        (
            FileHeader::regular(0, 0, 0o644, Xattrs::new()),
            6,
            "0000001a 00000000 0000000000000006 00000000 00000000 000081a4 00000000 00 19
             cb48cdc9c9e70200",
        ),
        (
            FileHeader::symlink(0, 0, "hello", Xattrs::new()),
            0,
            "0000001f00000000000000000000000000000000000000000000a1ff0000000068656c6c6f001e",
        ),
        (
            FileHeader::regular(1000, 100, 0o644, user_xattrs()),
            6,
            "0000002e000000000000000000000006000003e800000064000081a40000000000757365722e6100
             3107757365722e62003207091219cb48cdc9c9e70200",
        ),
    ] {
        let data = bytes(text);
        let (variant, _) = unframe(&data);
        assert_eq!(FileHeader::decode_archive(variant).unwrap(), (header.clone(), size));
        assert!(data.starts_with(&header.encode_archive(size)));
    }
}

#[test]
fn directories() {
    let meta = DirMeta::new(0, 0, 0o755, Xattrs::new());
    assert_eq!(meta.encode(), bytes("0000000000000000000041ed"));
    assert_eq!(meta.checksum(), sum(DIRMETA));
    assert_eq!(DirMeta::decode(&meta.encode()).unwrap(), meta);

    let tree = root_tree();
    let expected = bytes(
        "68656c6c6f0044f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b066c696e6b00
         73baaba0102e9154b8522687d33eedb8ed1bc78eadb82428b2616144ec50293405274d73756200f6810199cc
         de9850a5e815e427b0e732a1bdd0f3c3554cf4023228a3a7876d84446a0ef11b7cc167f3b603e585c7eeeeb6
         75faa412d5ec73f62988eb0b6c54882404464f",
    );
    assert_eq!(tree.encode(), expected);
    assert_eq!(tree.checksum(), sum(ROOT));
    assert_eq!(DirTree::decode(&expected).unwrap(), tree);
    let empty = DirTree::default();
    assert_eq!(DirTree::decode(&empty.encode()).unwrap(), empty);
}

#[test]
fn ostreemeta_of_bare_user() {
    let text = "000003e800000064000081a4757365722e61003107757365722e620032070912";
    let meta = DirMeta::decode_ostreemeta(&bytes(text)).unwrap();
    assert_eq!((meta.uid, meta.gid, meta.mode), (1000, 100, 0o100_644));
    assert_eq!(meta.xattrs, user_xattrs());
    assert_eq!(meta.encode(), bytes(text));
    assert!(DirMeta::decode(&bytes(text)).is_err(), "a file's mode is not a directory's");
}

#[test]
fn a_commit() {
    let expected = bytes(
        "76657273696f6e00312e30000073080f7375626a00626f647900000000000000000000006553f100602f453e
         e41f3d12af2adcc8247b69b2dbcfd2ed195736e1ed5d3359b6b47c1b446a0ef11b7cc167f3b603e585c7eeee
         b675faa412d5ec73f62988eb0b6c5488481a15101010",
    );
    assert_eq!(commit().encode(), expected);
    assert_eq!(commit().checksum(), sum(COMMIT));
    assert_eq!(Commit::decode(&expected).unwrap(), commit());
    let content = "bcfd06877a762ab93720968db18f166c3338c904afed89164e792dccf6c80d48";
    assert_eq!(commit().content_checksum(), sum(content));
    assert_eq!(commit().version(), Some("1.0"));
}

#[test]
fn a_commit_with_sizes() {
    let sizes = [
        (DIRMETA, 12, 12, 3),
        (HELLO, 42, 6, 1),
        (ROOT, 151, 151, 2),
        (LINK, 39, 5, 1),
        (X, 37, 1, 1),
        (SUB, 37, 37, 2),
    ]
    .map(|(checksum, archived, unpacked, kind)| {
        let mut entry = sum(checksum).as_bytes().to_vec();
        write_varuint(&mut entry, archived);
        write_varuint(&mut entry, unpacked);
        entry.push(kind);
        entry
    });
    let mut commit = commit();
    commit.metadata = Metadata::new();
    assert_eq!(commit.sizes(), Ok(None));
    commit.metadata.insert("ostree.sizes", Value::byte_arrays(sizes));
    let read = commit.sizes().unwrap().unwrap();
    let hello = ObjectName::new(sum(HELLO), ObjectType::File);
    assert_eq!(read[1], ObjectSize { object: hello, archived: 42, unpacked: 6 });
    assert_eq!((read.len(), read[5].object.object_type), (6, ObjectType::DirTree));
    let mut broken = commit.clone();
    broken.metadata.insert("ostree.sizes", Value::byte_arrays([vec![0; 32]]));
    assert!(broken.sizes().is_err());
    let expected = "6852ea63820cdfcacadf15a30bf66f6e74792dd6ba083a0ee8a884455f7449f2";
    assert_eq!(commit.checksum(), sum(expected));
    assert_eq!(Commit::decode(&commit.encode()).unwrap(), commit);
}

#[test]
fn a_summary() {
    let expected = bytes(
        "76000000000000006e0000000000000063c79be18c8d55d2c0bdc4b2ed403bfa5bac1c37beb85b953bf69add
         aa7630c46f73747265652e636f6d6d69742e76657273696f6e000000312e3000007316006f73747265652e63
         6f6d6d69742e74696d657374616d7000000000006553f1000074181f432802776f73747265652e73756d6d61
         72792e6d6f64650000000000617263686976652d7a320000731400006f73747265652e73756d6d6172792e6c
         6173742d6d6f64696669656400000000000000006b032dc600741d00000000006f73747265652e73756d6d61
         72792e746f6d6273746f6e652d636f6d6d69747300000000000000000000622100000000 6f73747265652e73
         756d6d6172792e696e64657865642d64656c7461730000000100621e265384ac7800",
    );
    let summary = Summary::decode(&expected).unwrap();
    assert_eq!(summary.encode(), expected);
    let SummaryRef { name, commit_size, checksum, metadata } = &summary.refs[0];
    assert_eq!((name.as_str(), *commit_size, *checksum), ("v", 110, sum(COMMIT)));
    let time = metadata.get(Summary::COMMIT_TIMESTAMP).and_then(Summary::from_big_endian);
    assert_eq!(time, Some(1_700_000_000));
    assert_eq!(summary.metadata.get_str(Summary::MODE), Some("archive-z2"));
    let modified = summary.metadata.get(Summary::LAST_MODIFIED).and_then(Summary::from_big_endian);
    assert_eq!(modified, Some(0x6b03_2dc6));
    assert_eq!(Summary::type_of().to_string(), "(a(s(taya{sv}))a{sv})");
}

#[test]
fn signatures_beside_a_commit() {
    let data = bytes(
        "6f73747265652e7369676e2e656432353531390000000000d9862036a29c959c11be4f4651b5a04a15bdc5e3
         6b315746581e3007deda12dfb72fb44cf7221348cb41cacdd836720d8dd8487139bc94891af49307cf30520b
         4000616179145e",
    );
    let metadata = Metadata::decode(&data).unwrap();
    let signatures = metadata.get("ostree.sign.ed25519").and_then(Value::as_array).unwrap();
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0].as_bytes().unwrap().len(), 64);
    assert_eq!(metadata.encode(), data);
}

#[test]
fn each_flipped_bit_and_each_cut_is_an_error_or_another_object() {
    let objects: [Vec<u8>; 3] = [root_tree().encode(), commit().encode(), {
        DirMeta::new(1, 2, 0o755, user_xattrs()).encode()
    }];
    for object in objects {
        for cut in 0..object.len() {
            check(&object[..cut]);
        }
        for bit in 0..object.len() * 8 {
            let mut copy = object.clone();
            copy[bit / 8] ^= 1 << (bit % 8);
            check(&copy);
        }
    }
}

/// Whatever decodes must encode to the same bytes.
fn check(data: &[u8]) {
    if let Ok(tree) = DirTree::decode(data) {
        assert_eq!(tree.encode(), data);
    }
    if let Ok(commit) = Commit::decode(data) {
        assert_eq!(commit.encode(), data);
    }
    if let Ok(meta) = DirMeta::decode(data) {
        assert_eq!(meta.encode(), data);
    }
    let _ = Summary::decode(data);
    let _ = FileHeader::decode_archive(data);
    let _ = FileHeader::decode_content(data);
}

#[test]
fn hostile_names_are_refused() {
    for bad in ["../x", "/", "", "a/b", "..", "."] {
        let mut files = bad.as_bytes().to_vec();
        files.push(0);
        let name_end = files.len();
        files.extend_from_slice(sum(X).as_bytes());
        files.push(u8::try_from(name_end).unwrap());
        let mut tree = files.clone();
        tree.push(u8::try_from(files.len()).unwrap());
        tree.push(u8::try_from(tree.len()).unwrap());
        let error = DirTree::decode(&tree).unwrap_err().to_string();
        assert!(error.contains("filename"), "{bad:?}: {error}");
    }
}
