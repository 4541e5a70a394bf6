//! Hash trees and error correction that a payload leaves to the device, beside those of veritysetup.

use std::process::Command;

use updraft_payload::OperationKind as Kind;
use updraft_slots::{Error, Trust, Unsupported};

use super::make::{Maker, World, extent};

const BLOCKS: u64 = 300;
const SALT: [u8; 4] = [0xaa, 0xbb, 0xcc, 0xdd];
/// 300 hashes are in 3 blocks, theirs in 1; 304 blocks are words in 2 rounds.
const TREE: u64 = 4;
const CODE: u64 = 4;

fn data() -> Vec<u8> {
    (0..BLOCKS).flat_map(|at| [(at * at % 251) as u8; 4096]).collect()
}

/// A payload that writes the data and leaves the rest to the device.
fn payload(new: &[u8]) -> Maker {
    let mut maker = Maker::new(0);
    maker.manifest.block_size = Some(4096);
    maker.partition("system", None, new);
    maker.operation(Kind::Replace, Some(&data()), &[], &[(0, BLOCKS)]);
    let system = maker.manifest.partitions.last_mut().unwrap();
    system.hash_tree_data_extent = Some(extent(0, BLOCKS));
    system.hash_tree_extent = Some(extent(BLOCKS, TREE));
    system.hash_tree_algorithm = Some("sha256".to_owned());
    system.hash_tree_salt = Some(SALT.to_vec());
    system.fec_data_extent = Some(extent(0, BLOCKS + TREE));
    system.fec_extent = Some(extent(BLOCKS + TREE, CODE));
    maker
}

#[test]
fn what_the_device_computes_is_what_veritysetup_computes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("data"), data()).unwrap();
    let made = Command::new("veritysetup")
        .args(["format", "--no-superblock", "--data-block-size=4096", "--hash-block-size=4096"])
        .args(["--hash=sha256", "--salt=aabbccdd", "--fec-roots=2"])
        .arg(format!("--fec-device={}", path("code").display()))
        .args([path("data"), path("tree")])
        .output()
        .expect("veritysetup is there: cryptsetup-bin");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let new = [data(), read("tree"), read("code")].concat();
    assert_eq!(new.len() as u64, (BLOCKS + TREE + CODE) * 4096);
    let maker = payload(&new);
    let world = World::of(&maker);
    world.apply(&maker.unsigned(), &Trust::default()).unwrap();
    world.assert_holds(&maker);
}

#[test]
fn what_cannot_be_computed_is_refused_before_the_first_write() {
    let new = vec![0; usize::try_from((BLOCKS + TREE + CODE) * 4096).unwrap()];
    let refused = |change: &dyn Fn(&mut updraft_payload::messages::PartitionUpdate)| {
        let mut maker = payload(&new);
        change(&mut maker.manifest.partitions[0]);
        let world = World::of(&maker);
        let before = world.targets();
        let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
        assert!(matches!(error, Error::Unsupported(Unsupported::Computed { .. })), "{error}");
        assert!(world.targets() == before);
    };
    refused(&|it| it.hash_tree_algorithm = Some("sha1".to_owned()));
    refused(&|it| it.hash_tree_salt = Some(vec![0; 257]));
    refused(&|it| it.hash_tree_extent = Some(extent(BLOCKS, TREE + 1)));
    refused(&|it| it.hash_tree_extent = Some(extent(BLOCKS + CODE + 1, TREE)));
    refused(&|it| it.hash_tree_data_extent = None);
    refused(&|it| it.fec_extent = Some(extent(u64::MAX, 2)));
    refused(&|it| it.fec_extent = Some(extent(BLOCKS + TREE, CODE - 1)));
    refused(&|it| it.fec_roots = Some(1));
    refused(&|it| it.fec_data_extent = Some(extent(0, u64::MAX)));
}
