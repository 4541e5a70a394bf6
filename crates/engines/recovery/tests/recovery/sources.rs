//! Packages that lie scattered over a device, and how often one is tried.

use std::fmt::Write as _;

use updraft_error::{Classify as _, Kind};
use updraft_recovery_engine::Next;

use super::life::update;
use super::world::World;

const BLOCK: usize = 512;

/// Puts the package in pieces on a device, as an encrypted file system may, and writes the map.
fn scatter(world: &World) {
    let package = world.read("cache/ota.zip");
    let blocks = package.len().div_ceil(BLOCK);
    let (mut device, mut map) = (vec![0xa5; (blocks * 3 + 10) * BLOCK], String::new());
    let pieces: Vec<usize> = (0..blocks).step_by(3).collect();
    for (index, first) in pieces.iter().enumerate() {
        // The last piece is first.
        let start = 2 + (pieces.len() - 1 - index) * 7;
        let end = (first + 3).min(blocks);
        writeln!(map, "{start} {}", start + end - first).unwrap();
        let bytes = &package[first * BLOCK..(end * BLOCK).min(package.len())];
        device[start * BLOCK..start * BLOCK + bytes.len()].copy_from_slice(bytes);
    }
    world.set_partition("userdata", &device);
    let head =
        format!("/dev/block/by-name/userdata\n{} {BLOCK}\n{}\n", package.len(), pieces.len());
    std::fs::create_dir_all(world.path("cache/recovery")).unwrap();
    world.write("cache/recovery/block.map", format!("{head}{map}").as_bytes());
    std::fs::remove_file(world.path("cache/ota.zip")).unwrap();
}

#[test]
fn a_package_is_read_where_a_block_map_says() {
    let world = World::new();
    let new = update(&world);
    let old = world.partition("system");
    scatter(&world);
    // What somebody changed is refused as in any other package.
    let device = world.partition("userdata");
    let mut damaged = device.clone();
    let at = damaged.len() - 9 * BLOCK;
    damaged[at..].fill(1);
    let first = damaged.iter().position(|byte| *byte != 0xa5).unwrap();
    damaged[first] ^= 1;
    world.set_partition("userdata", &damaged);
    world.request(&["--update_package=@/cache/recovery/block.map"]);
    let outcome = world.run().unwrap();
    assert_eq!(outcome.next, Next::System);
    assert!(matches!(outcome.error.unwrap().kind(), Kind::Rejected | Kind::Invalid));
    assert!(world.partition("system") == old);
    world.set_partition("userdata", &device);
    world.request(&["--update_package=@/cache/recovery/block.map"]);
    world.run_until_the_system_starts();
    assert!(world.partition("system") == new);
    world.write("cache/recovery/block.map", b"/dev/block/by-name/userdata\n9 9\n1\n5 4\n");
    world.request(&["--update_package=@/cache/recovery/block.map"]);
    assert_eq!(world.run().unwrap().error.unwrap().kind(), Kind::Invalid);
}

#[test]
fn an_update_that_fails_again_and_again_is_given_up() {
    let world = World::new();
    update(&world);
    // A device that fails for reasons that may pass: what is read of it is not there.
    std::fs::remove_file(world.path("dev/block/by-name/system")).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", world.path("dev/block/by-name/system")).unwrap();
    world.request(&["--update_package=/cache/ota.zip"]);
    // Once, and four times again; nothing was written, so the system starts.
    for retry in 1..=5 {
        let outcome = world.run().unwrap();
        let error = outcome.error.unwrap();
        assert!(error.kind().is_retryable(), "{error}");
        let next = if retry < 5 { Next::Recovery } else { Next::System };
        assert_eq!(outcome.next, next, "start {retry}");
    }
    assert!(!world.message().boots_recovery());
    let text = String::from_utf8(world.read("cache/recovery/last_install")).unwrap();
    assert!(text.starts_with("/cache/ota.zip\n0\nretry: 4\n"), "{text}");
}
