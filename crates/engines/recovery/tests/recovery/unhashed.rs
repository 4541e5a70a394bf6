//! Transfer lists of versions 1 and 2, which name no hashes: through any power cut all the same.

use std::process::Command;

use updraft_error::{Classify as _, Kind};
use updraft_fs::fault::{Fault, Injection};
use updraft_recovery_engine::Next;

use super::world::{World, noise, sha1};

/// As release tools of Android 5 wrote it: it looks at all of the partition, before and after.
const SCRIPT: &str = r#"
if range_sha1("/dev/block/by-name/system", "2,0,64") == "OLD" then
  block_image_update("/dev/block/by-name/system", package_extract_file("system.transfer.list"),
                     "system.new.dat", "system.patch.dat") || abort("E1001: Failed to update.");
else
  abort("system partition has unexpected contents");
endif;
if range_sha1("/dev/block/by-name/system", "2,0,64") != "NEW" then
  abort("system partition has unexpected contents after OTA update");
endif;
package_extract_file("boot.img", "/dev/block/by-name/boot");
"#;

fn blocks(range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    range.start * 4096..range.end * 4096
}

/// Moves over itself, a patch over itself, and blocks that are set aside under two names of which one
/// is freed while the other is needed.
fn update(world: &World, version: u32) -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, 64);
    let mut new = old.clone();
    let fresh = noise(2, 6);
    new[blocks(0..6)].copy_from_slice(&fresh);
    new[blocks(18..28)].copy_from_slice(&old[blocks(20..30)]);
    new[40 * 4096 + 5] ^= 1;
    world.write("a", &old[blocks(40..44)]);
    world.write("b", &new[blocks(40..44)]);
    let mut bsdiff = Command::new("bsdiff");
    assert!(bsdiff.args(["a", "b", "p"]).current_dir(world.path("")).status().unwrap().success());
    let patch = world.read("p");
    let commands = if version == 1 {
        format!(
            "1\n20\nnew 2,0,6\nmove 2,20,30 2,18,28\nbsdiff 0 {} 2,40,44 2,40,44\n",
            patch.len()
        )
    } else {
        new[blocks(50..52)].copy_from_slice(&old[blocks(60..62)]);
        new[blocks(60..62)].copy_from_slice(&old[blocks(50..52)]);
        new[blocks(54..56)].copy_from_slice(&old[blocks(50..52)]);
        new[blocks(62..64)].fill(0);
        format!(
            "2\n28\n2\n4\nnew 2,0,6\nmove 2,18,28 10 2,20,30\nbsdiff 0 {} 2,40,44 4 2,40,44\n\
             stash 0 2,50,52\nstash 1 2,50,52\nmove 2,50,52 2 2,60,62\nmove 2,54,56 2 - 0:2,0,2\n\
             free 0\nmove 2,60,62 2 - 1:2,0,2\nfree 1\nzero 2,62,64\n",
            patch.len()
        )
    };
    world.script(
        &SCRIPT.replace("OLD", &sha1(&old)).replace("NEW", &sha1(&new)),
        &[
            ("system.transfer.list", commands.as_bytes()),
            ("system.new.dat", &fresh),
            ("system.patch.dat", &patch),
            ("boot.img", &[7; 4096]),
        ],
    );
    (old, new)
}

#[test]
fn after_a_cut_at_any_moment_the_same_system_comes_of_it() {
    for version in [1, 2] {
        let world = World::new();
        let (old, new) = update(&world, version);
        let package = world.read("cache/ota.zip");
        let mut cuts = 0;
        for before in 0.. {
            std::fs::remove_dir_all(world.path("cache")).unwrap();
            std::fs::create_dir_all(world.path("cache")).unwrap();
            world.write("cache/ota.zip", &package);
            world.set_partition("system", &old);
            world.set_partition("boot", &[1; 8192]);
            world.request(&["--update_package=/cache/ota.zip"]);
            let injection = Injection::after(before, Fault::Broken);
            let result = world.run();
            drop(injection);
            let is_done = result.is_ok_and(|outcome| outcome.error.is_none());
            world.run_until_the_system_starts();
            assert!(world.partition("system") == new, "version {version}, cut {before}");
            assert_eq!(world.partition("boot")[..4096], [7; 4096], "cut {before}");
            if is_done {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 50, "only {cuts} moments");
    }
}

#[test]
fn a_half_written_system_is_gone_on_with_by_its_own_package_only() {
    let world = World::new();
    let (old, new) = update(&world, 2);
    let package = world.read("cache/ota.zip");
    world.set_partition("system", &old);
    world.set_partition("boot", &[1; 8192]);
    world.request(&["--update_package=/cache/ota.zip"]);
    // Cut in the middle of the commands.
    let injection = Injection::after(60, Fault::Broken);
    world.run().map(|outcome| outcome.error.unwrap()).unwrap_err();
    drop(injection);
    let half = world.partition("system");
    assert!(half != old && half != new);
    // Another package for the same system says that this one is another now.
    world.script(&SCRIPT.replace("OLD", &sha1(&old)), &[]);
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert_eq!(outcome.next, Next::Stay);
    assert!(outcome.error.unwrap().to_string().contains("unexpected contents"));
    assert!(world.partition("system") == half);
    // Its own one, although it is asked for anew.
    world.write("cache/ota.zip", &package);
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
    assert!(world.partition("system") == new);
    // And when it is asked for once more, it is for another system: nothing is remembered.
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert_eq!(outcome.next, Next::System);
    assert!(outcome.error.unwrap().to_string().contains("unexpected contents"));
    assert!(world.partition("system") == new);
}

#[test]
fn a_list_that_nobody_could_go_on_with_is_refused_before_a_byte_is_written() {
    let world = World::new();
    let old = noise(1, 64);
    let script = SCRIPT.replace("OLD", &sha1(&old));
    for (commands, words) in [
        ("new 2,0,1\nmove 2,3,4 1 2,0,1\n", "reads what an earlier command writes"),
        ("erase 2,0,1\nmove 2,3,4 1 2,0,1\n", "reads what an earlier command writes"),
        ("move 2,3,4 1 2,0,1\nzero 2,3,4\n", "writes what an earlier command has written"),
        ("stash 0 2,0,1\nstash 0 2,2,3\n", "a name that is taken"),
        ("move 2,3,4 1 - 7:2,0,1\n", "nobody set aside"),
        ("stash 0 2,0,2\nmove 2,3,4 1 - 0:2,0,1\n", "another number of blocks"),
        ("bsdiff 0 8 2,0,1 1 2,0,1\n", "patch"),
        ("bsdiff 8 1 2,0,1 1 2,0,1\n", "its patch cannot be read"),
        ("zero 2,63,65\n", "more blocks than it has"),
    ] {
        world.set_partition("system", &old);
        let list = format!("2\n9\n0\n0\n{commands}");
        let list = ("system.transfer.list", list.as_bytes());
        world.script(&script, &[list, ("system.patch.dat", b"BSDIFF40")]);
        world.request(&["--update_package=/cache/ota.zip"]);
        let outcome = world.run().unwrap();
        let error = outcome.error.unwrap();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(words), "{cause}");
        assert!(matches!(error.kind(), Kind::Unsupported | Kind::Conflict), "{cause}");
        assert_eq!(outcome.next, Next::System, "{cause}");
        assert!(world.partition("system") == old);
    }
}
