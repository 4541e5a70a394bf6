//! Partitions by patches: boot to recovery, as after each update; by bsdiff and by imgdiff.

use std::process::Command;

use updraft_error::{Classify as _, Kind};
use updraft_fs::Dir;
use updraft_fs::fault::{Fault, Injection};
use updraft_recovery_engine::{PartitionSpec, flash_partition, partition_is, patch_partition};

use super::world::{World, noise, sha1};

struct Case {
    world: World,
    boot: Vec<u8>,
    recovery: Vec<u8>,
    patch: Vec<u8>,
}

fn bsdiff(world: &World, old: &[u8], new: &[u8]) -> Vec<u8> {
    world.write("old", old);
    world.write("new", new);
    let mut bsdiff = Command::new("bsdiff");
    let status = bsdiff.args(["old", "new", "patch"]).current_dir(world.path("")).status();
    assert!(status.unwrap().success());
    world.read("patch")
}

fn spec(name: &str, content: &[u8]) -> PartitionSpec {
    let (size, hash) = (content.len(), sha1(content));
    PartitionSpec::parse(&format!("EMMC:/dev/block/by-name/{name}:{size}:{hash}")).unwrap()
}

impl Case {
    fn new() -> Self {
        let world = World::new();
        let boot = noise(1, 20);
        let mut recovery = boot.clone();
        recovery[100] ^= 9;
        recovery.extend(noise(2, 2));
        let patch = bsdiff(&world, &boot, &recovery);
        let case = Self { world, boot, recovery, patch };
        case.reset();
        case
    }

    fn reset(&self) {
        self.world.set_partition("boot", &self.boot);
        self.world.set_partition("recovery", &noise(3, 30));
        let _ = std::fs::remove_file(self.world.path("cache/saved.file"));
    }

    fn install(&self, patch: &[u8]) -> updraft_recovery_engine::Result<()> {
        let (target, source) = (spec("recovery", &self.recovery), spec("boot", &self.boot));
        let state = Dir::open(self.world.path("cache")).unwrap();
        patch_partition(&self.world.system(), &state, &target, &source, (patch, &[]))
    }

    fn is_installed(&self) -> bool {
        self.world.partition("recovery").starts_with(&self.recovery)
    }
}

#[test]
fn recovery_is_made_of_boot_once_and_after_any_cut() {
    let case = Case::new();
    case.install(&case.patch).unwrap();
    assert!(case.is_installed() && !case.world.path("cache/saved.file").exists());
    // Again: not one write.
    let injection = Injection::after(0, Fault::Broken);
    case.install(&case.patch).unwrap();
    let image = noise(9, 1);
    flash_partition(&case.world.system(), &spec("recovery", &case.recovery), &image).unwrap();
    drop(injection);
    for before in 0.. {
        case.reset();
        let injection = Injection::after(before, Fault::Broken);
        let result = case.install(&case.patch);
        drop(injection);
        if result.is_ok() {
            assert!(before >= 4, "only {before} moments");
            break;
        }
        // Half of it was written.
        if case.world.path("cache/saved.file").exists() {
            let half = [&case.recovery[..8192], &noise(3, 28)].concat();
            case.world.set_partition("recovery", &half);
        }
        case.install(&case.patch).unwrap();
        assert!(case.is_installed(), "cut {before}");
    }
}

#[test]
fn a_partition_may_be_made_of_itself() {
    let case = Case::new();
    let target = spec("boot", &case.recovery[..case.boot.len()]);
    let patch = bsdiff(&case.world, &case.boot, &case.recovery[..case.boot.len()]);
    let (source, system) = (spec("boot", &case.boot), case.world.system());
    let state = Dir::open(case.world.path("cache")).unwrap();
    // The power is cut in the middle of the write: the source is only where it was saved.
    case.world.write("cache/saved.file", &case.boot);
    case.world.set_partition("boot", &noise(5, 20));
    assert!(!partition_is(&system, &source).unwrap());
    patch_partition(&system, &state, &target, &source, (&patch, &[])).unwrap();
    assert!(case.world.partition("boot") == case.recovery[..case.boot.len()]);
}

#[test]
fn what_does_not_come_out_right_is_not_written() {
    let case = Case::new();
    let before = case.world.partition("recovery");
    let refused = |patch: &[u8], kind: Kind| {
        let error = case.install(patch).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(case.world.partition("recovery") == before);
    };
    refused(b"BSDIFF40", Kind::Invalid);
    refused(b"IMGDIFF2", Kind::Invalid);
    let other = bsdiff(&case.world, &case.boot, &case.boot);
    refused(&other, Kind::Invalid);
    case.world.set_partition("boot", &noise(8, 20));
    refused(&case.patch, Kind::Conflict);
    for bad in ["EMMC:a:1", "MTD:a:1:00", "EMMC:a:x:00", "EMMC:a:1:00"] {
        PartitionSpec::parse(bad).unwrap_err();
    }
}

/// A patch of imgdiff, as its format is described: the two images have a head, something deflated,
/// and an end.
fn imgdiff(
    case: &Case,
    old: [&[u8]; 3],
    new: [&[u8]; 3],
    bonus: &[u8],
) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let deflated = |bytes: &[u8]| {
        let script = "import sys, zlib\n\
                      c = zlib.compressobj(6, zlib.DEFLATED, -15)\n\
                      sys.stdout.buffer.write(c.compress(open('plain', 'rb').read()) + c.flush())\n";
        case.world.write("plain", bytes);
        let mut python = Command::new("python3");
        python.args(["-c", script]).current_dir(case.world.path("")).output().unwrap().stdout
    };
    let (old_packed, new_packed) = (deflated(old[1]), deflated(new[1]));
    let with_bonus = [old[1], bonus].concat();
    let patches = [bsdiff(&case.world, old[0], new[0]), bsdiff(&case.world, &with_bonus, new[1])];
    let (first, second) = (old[0].len() as u64, old_packed.len() as u64);
    let mut patch = b"IMGDIFF2".to_vec();
    patch.extend(3_u32.to_le_bytes());
    let head = 12 + (4 + 24) + (4 + 40 + 20) + (4 + 4 + new[2].len());
    patch.extend(0_u32.to_le_bytes());
    for number in [0, first, head as u64] {
        patch.extend(number.to_le_bytes());
    }
    patch.extend(2_u32.to_le_bytes());
    let at = (head + patches[0].len()) as u64;
    for number in [first, second, at, with_bonus.len() as u64, new[1].len() as u64] {
        patch.extend(number.to_le_bytes());
    }
    for setting in [6_i32, 8, -15, 8, 0] {
        patch.extend(setting.to_le_bytes());
    }
    patch.extend(3_u32.to_le_bytes());
    patch.extend(u32::try_from(new[2].len()).unwrap().to_le_bytes());
    patch.extend(new[2]);
    assert_eq!(patch.len(), head);
    patch.extend(patches.concat());
    let old = [old[0], &old_packed, old[2]].concat();
    (old, [new[0], &new_packed, new[2]].concat(), patch)
}

#[test]
fn patches_of_imgdiff_see_through_deflate() {
    let mut case = Case::new();
    // Content for which the packers do not differ: nothing repeats, or all does.
    let (one, mut other) = (noise(11, 1), noise(11, 1));
    other[70] ^= 1;
    let (old, new) = ([&b"head"[..], &one, b"end"], [&b"heads"[..], &other, b"the end"]);
    for bonus in [&b""[..], &b"more than the old one has"[..]] {
        let (boot, recovery, patch) = imgdiff(&case, old, new, bonus);
        (case.boot, case.recovery) = (boot, recovery);
        case.reset();
        let (target, source) = (spec("recovery", &case.recovery), spec("boot", &case.boot));
        let state = Dir::open(case.world.path("cache")).unwrap();
        let system = case.world.system();
        patch_partition(&system, &state, &target, &source, (&patch, bonus)).unwrap();
        assert!(case.is_installed());
    }
}
