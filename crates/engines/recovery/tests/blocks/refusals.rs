//! What is refused, before a byte of it is written.

use updraft_error::{Classify as _, Kind};
use updraft_fs::Dir;
use updraft_recovery_engine::Attempt;

use super::device::CutDevice;
use super::make::{Maker, noise};

fn refused(maker: &Maker, kind: Kind, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = Dir::open(folder.path()).unwrap();
    let device = CutDevice::new(&maker.old);
    let error = maker.update(&device, &state, Attempt::First).unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(device.image() == maker.old, "something was written: {error}");
}

#[test]
fn what_does_not_fit_is_refused_before_a_byte_is_written() {
    let maker = Maker::new(noise(1, 20));
    let with = |line: &str| {
        let mut maker = maker.clone();
        maker.fill("zero", "2,0,1", 0);
        maker.list += line;
        maker
    };
    let hash = "00".repeat(20);
    refused(&with("zero 2,20,21\n"), Kind::Conflict, "more blocks");
    refused(&with("abort\n"), Kind::Unsupported, "fail here");
    let beyond = format!("bsdiff 0 9 {hash} {hash} 2,0,1 1 2,0,1\n");
    refused(&with(&beyond), Kind::Invalid, "not in the package");
    let tree = format!("compute_hash_tree 2,19,20 2,0,9 md5 aa {hash}\n");
    refused(&with(&tree), Kind::Unsupported, "another hash");
    let tree = format!("compute_hash_tree 2,18,20 2,0,9 sha256 aa {hash}\n");
    refused(&with(&tree), Kind::Unsupported, "another size");
    let mut greedy = with("");
    greedy.most_stashed = 1 << 40;
    refused(&greedy, Kind::Exhausted, "are needed");
}

#[test]
fn a_patch_that_makes_something_else_is_not_written() {
    let old = noise(1, 20);
    let mut made = old[..4096 * 4].to_vec();
    made[77] ^= 1;
    let mut maker = Maker::new(old.clone());
    maker.bsdiff("2,0,4", "2,0,4", &made);
    let mut damaged = maker.clone();
    let at = damaged.patches.len() / 2;
    damaged.patches[at] ^= 0xff;
    refused(&damaged, Kind::Invalid, "its patch");
    let mut other = maker.clone();
    other.list = other.list.replace(&super::make::sha1(&made), &"11".repeat(20));
    refused(&other, Kind::Invalid, "nothing of it was written");
    // The partition is another one than the package was made for.
    let mut changed = maker;
    changed.old[9] ^= 1;
    refused(&changed, Kind::Conflict, "not those for which");
}

#[test]
fn new_data_that_ends_too_early_is_told() {
    let mut maker = Maker::new(noise(1, 8));
    maker.new_blocks("2,0,2", &noise(2, 2));
    maker.new.truncate(8191);
    let folder = tempfile::tempdir().unwrap();
    let state = Dir::open(folder.path()).unwrap();
    let device = CutDevice::new(&maker.old);
    let error = maker.update(&device, &state, Attempt::First).unwrap_err();
    assert!(error.to_string().contains("ends too early"), "{error}");
}
