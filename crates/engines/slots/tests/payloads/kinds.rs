//! Every kind of operation, and what is refused of it before anything is written.

use std::io::Write as _;

use updraft_error::{Classify as _, Kind as ErrorKind};
use updraft_payload::{Extent, OperationKind as Kind};
use updraft_slots::{Error, Trust, Unsupported};

use super::make::{Maker, World, blocks, delta};

#[test]
fn each_kind_makes_what_it_should() {
    let maker = delta();
    let world = World::of(&maker);
    let applied = world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    world.assert_holds(&maker);
    assert_eq!(applied.resumed_at, 0);
    let names: Vec<&str> = applied.partitions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["system", "boot"]);
    assert!(!world.path("state.json").exists());
}

#[test]
fn large_data_goes_by_way_of_a_file() {
    let mut maker = Maker::new(0);
    let content: Vec<u8> = (0..9 << 20).map(|at: u32| (at % 251) as u8).collect();
    maker.partition("system", None, &content);
    let count = content.len() as u64 / 512;
    maker.operation(Kind::Replace, Some(&content), &[], &[(0, count)]);
    let world = World::of(&maker);
    world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    world.assert_holds(&maker);
}

#[test]
fn what_nobody_can_do_is_refused_before_the_first_write() {
    for kind in [Kind::Zucchini, Kind::Lz4diffBsdiff, Kind::Lz4diffPuffdiff] {
        let mut maker = delta();
        maker.partition("vendor", Some(&blocks(b"v")), &blocks(b"w"));
        maker.operation(kind, Some(b"PUF1"), &[(0, 1)], &[(0, 1)]);
        let error = refused(&maker);
        let Error::Unsupported(Unsupported::Operation { kind: found, index: 0, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(found, kind);
    }
    for minor in [1, 11] {
        let mut maker = delta();
        maker.manifest.minor_version = Some(minor);
        let error = refused(&maker);
        assert!(matches!(error, Error::Unsupported(Unsupported::Minor(_))), "{error}");
    }
    let mut maker = delta();
    maker.manifest.partitions[1].hash_tree_extent = Some(super::make::extent(1, 1));
    let error = refused(&maker);
    assert!(matches!(error, Error::Unsupported(Unsupported::Computed { .. })), "{error}");
}

fn refused(maker: &Maker) -> Error {
    let world = World::of(maker);
    let before = world.targets();
    let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
    assert!(world.targets() == before, "something was written before: {error}");
    error
}

#[test]
fn partitions_that_do_not_fit_are_refused_before_the_first_write() {
    let maker = delta();
    let check = |change: &dyn Fn(&mut World), kind: ErrorKind, text: &str| {
        let mut world = World::of(&maker);
        change(&mut world);
        let before: Vec<_> = world.targets();
        let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(world.targets() == before);
    };
    check(&|world| drop(world.places.remove("boot")), ErrorKind::NotFound, "no target");
    check(
        &|world| {
            let other = world.places["boot"].clone();
            world.places.insert("other".to_owned(), other);
        },
        ErrorKind::NotFound,
        "no such partition",
    );
    check(
        &|world| world.places.get_mut("system").unwrap().source = None,
        ErrorKind::NotFound,
        "none is given",
    );
    check(
        &|world| {
            let system = world.places.get_mut("system").unwrap();
            system.source = Some(system.target.clone());
        },
        ErrorKind::Conflict,
        "also the source",
    );
    check(
        &|world| {
            let link = world.path("link");
            std::os::unix::fs::symlink(&world.places["system"].target, &link).unwrap();
            world.places.get_mut("boot").unwrap().target = link;
        },
        ErrorKind::Conflict,
        "also the source or target",
    );
    check(
        &|world| std::fs::write(&world.places["boot"].target, [0; 1023]).unwrap(),
        ErrorKind::Exhausted,
        "1024 bytes",
    );
    check(
        &|world| std::fs::write(world.path("system.old"), [0; 1024]).unwrap(),
        ErrorKind::Conflict,
        "1024 are there",
    );
    check(
        &|world| world.places.get_mut("boot").unwrap().target = world.path(""),
        ErrorKind::Unavailable,
        "open",
    );
}

#[test]
fn another_old_content_is_told_before_it_is_used() {
    let maker = delta();
    let world = World::of(&maker);
    let mut old = maker.olds[0].clone().unwrap();
    old[1024] ^= 1;
    std::fs::write(world.path("system.old"), &old).unwrap();
    let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
    assert!(matches!(&error, Error::Source { index: Some(1), .. }), "{error}");
    // The source becomes right, and the apply goes on.
    std::fs::write(world.path("system.old"), maker.olds[0].as_ref().unwrap()).unwrap();
    let applied = world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    assert_eq!(applied.resumed_at, 1);
    world.assert_holds(&maker);
}

#[test]
fn without_hashes_of_what_is_read_the_whole_old_content_is_hashed() {
    let mut maker = delta();
    for operation in &mut maker.manifest.partitions[0].operations {
        operation.src_sha256_hash = None;
    }
    let world = World::of(&maker);
    world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    world.assert_holds(&maker);
    let world = World::of(&maker);
    let mut old = maker.olds[0].clone().unwrap();
    *old.last_mut().unwrap() ^= 1;
    std::fs::write(world.path("system.old"), &old).unwrap();
    let before = world.targets();
    let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
    assert!(matches!(&error, Error::Source { index: None, .. }), "{error}");
    assert!(world.targets() == before);
}

#[test]
fn data_that_makes_too_much_or_too_little_is_refused() {
    let compress = |bytes: &[u8]| {
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        bz.write_all(bytes).unwrap();
        bz.finish().unwrap()
    };
    let apply = |kind: Kind, data: &[u8]| {
        let mut maker = Maker::new(0);
        maker.partition("boot", None, &[&[7; 1000][..], &[0; 24]].concat());
        maker.operation(kind, Some(data), &[], &[(0, 2)]);
        let world = World::of(&maker);
        let done = world.apply(&maker.unsigned(), &Trust::default());
        done.map(|_| world.assert_holds(&maker)).map_err(|error| error.to_string())
    };
    // The last block is filled up with zeros.
    apply(Kind::ReplaceBz, &compress(&[7; 1000])).unwrap();
    apply(Kind::Replace, &[7; 1000]).unwrap();
    let error = |data: &[u8]| apply(Kind::ReplaceBz, data).unwrap_err();
    assert!(error(&compress(&[7; 1025])).contains("more than its blocks hold"));
    assert!(error(&compress(&[7; 512])).contains("fewer blocks"));
    assert!(error(b"BZh9 no bzip2").contains("decompressed"));
    let whole = compress(&[7; 1000]);
    assert!(error(&whole[..whole.len() - 5]).contains("decompressed"));
    assert!(apply(Kind::Replace, &[7; 1025]).unwrap_err().contains("longer than its blocks"));
    for kind in [Kind::ReplaceXz, Kind::ReplaceZstd] {
        assert!(apply(kind, &whole).unwrap_err().contains("decompressed"), "{kind}");
    }
}

#[test]
fn a_hole_reads_as_zeros_and_takes_what_nobody_wants() {
    let mut maker = Maker::new(4);
    maker.partition("boot", Some(&blocks(b"ab")), &blocks(b"\0b"));
    maker.operation(Kind::SourceCopy, None, &[], &[(0, 2)]);
    let operation = maker.manifest.partitions[0].operations.first_mut().unwrap();
    operation.src_extents = vec![super::make::extent(Extent::HOLE, 1), super::make::extent(1, 1)];
    operation.src_sha256_hash = Some(super::make::sha256(&blocks(b"\0b")).to_vec());
    let world = World::of(&maker);
    world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    world.assert_holds(&maker);
}
