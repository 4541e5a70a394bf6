//! The life of an update, from the request to the next start of the system.

use std::process::Command;

use updraft_fs::fault::{Fault, Injection};
use updraft_recovery_engine::Next;

use super::world::{World, noise, sha1};

/// As release tools write it.
const SCRIPT: &str = r#"
getprop("ro.product.device") == "board" || abort("E3004: This package is for \"board\" devices");
ui_print("Updating"); show_progress(0.9, 0);
if (range_sha1("/dev/block/by-name/system", "2,0,64") == "none" ||
    block_image_verify("/dev/block/by-name/system", package_extract_file("system.transfer.list"),
                       "system.new.dat.br", "system.patch.dat")) then
  ui_print("Verified system image...");
else
  check_first_block("/dev/block/by-name/system");
  abort("E1004: system partition has unexpected contents");
endif;
block_image_update("/dev/block/by-name/system", package_extract_file("system.transfer.list"),
                   "system.new.dat.br", "system.patch.dat") ||
  abort("E1001: Failed to update system image.");
package_extract_file("boot.img", "/dev/block/by-name/boot");
set_progress(1.0);
"#;

/// An update of a system: new blocks by Debian's brotli, a patch by its bsdiff, a move over itself.
pub(crate) fn update(world: &World) -> Vec<u8> {
    let old = noise(1, 64);
    let mut new = old.clone();
    let fresh = noise(2, 8);
    new[..8 * 4096].copy_from_slice(&fresh);
    new.copy_within(20 * 4096..30 * 4096, 18 * 4096);
    new[40 * 4096 + 5] ^= 1;
    world.set_partition("system", &old);
    world.set_partition("boot", &[1; 8192]);
    let block = |range: std::ops::Range<usize>| range.start * 4096..range.end * 4096;
    world.write("a", &old[block(40..44)]);
    world.write("b", &new[block(40..44)]);
    world.write("fresh", &fresh);
    for line in ["bsdiff a b patch", "brotli -f -q 6 fresh -o fresh.br"] {
        let mut words = line.split(' ');
        let mut tool = Command::new(words.next().unwrap());
        assert!(tool.args(words).current_dir(world.path("")).status().unwrap().success());
    }
    let patch = world.read("patch");
    let moved = sha1(&old[block(20..30)]);
    let list = format!(
        "4\n22\n0\n10\nnew 2,0,8\nmove {moved} 2,18,28 10 2,20,30\nbsdiff 0 {} {} {} 2,40,44 4 2,40,44\n",
        patch.len(),
        sha1(&old[block(40..44)]),
        sha1(&new[block(40..44)]),
    );
    world.script(
        SCRIPT,
        &[
            ("system.transfer.list", list.as_bytes()),
            ("system.new.dat.br", &world.read("fresh.br")),
            ("system.patch.dat", &patch),
            ("boot.img", &[7; 4096]),
        ],
    );
    new
}

#[test]
fn an_update_is_installed_and_told() {
    let world = World::new();
    let new = update(&world);
    world.request(&["--update_package=/cache/ota.zip", "--locale=de_DE", "--reason=it is time"]);
    assert!(world.message().boots_recovery());
    world.run_until_the_system_starts();
    assert!(world.partition("system") == new);
    assert_eq!(world.partition("boot"), [&[7; 4096][..], &[1; 4096]].concat());
    let text =
        |name: &str| String::from_utf8(world.read(&format!("cache/recovery/{name}"))).unwrap();
    assert_eq!(text("last_install"), "/cache/ota.zip\n1\nretry: 0\n");
    assert_eq!(
        (text("last_locale"), text("last_kmsg")),
        ("de_DE".into(), "the kernel's words\n".into())
    );
    for words in ["reason: it is time", "Updating", "Verified system image..."] {
        assert!(text("last_log").contains(words), "{}", text("last_log"));
    }
    assert!(!world.path("cache/recovery/command").exists());
    // The next one finds the logs of this one.
    world.request(&["--wipe_cache"]);
    world.run_until_the_system_starts();
    assert!(text("last_log.1").contains("Updating") && !text("last_log").contains("Updating"));
    assert!(!world.path("cache/ota.zip").exists() && world.path("data/user/photo").exists());
    for _ in 0..12 {
        world.request(&["--wipe_cache"]);
        world.run_until_the_system_starts();
    }
    assert!(world.path("cache/recovery/last_log.10").exists());
    assert!(!world.path("cache/recovery/last_log.11").exists());
}

#[test]
fn after_a_cut_at_any_moment_the_system_starts_with_all_of_it() {
    let world = World::new();
    let new = update(&world);
    let package = world.read("cache/ota.zip");
    let (old, mut cuts) = (world.partition("system"), 0);
    for before in 0.. {
        std::fs::remove_dir_all(world.path("cache")).unwrap();
        std::fs::create_dir_all(world.path("cache")).unwrap();
        world.write("cache/ota.zip", &package);
        world.set_partition("system", &old);
        world.set_partition("boot", &[1; 8192]);
        world.request(&["--update_package=/cache/ota.zip", "--wipe_data"]);
        let injection = Injection::after(before, Fault::Broken);
        let result = world.run();
        drop(injection);
        if result.is_ok_and(|outcome| outcome.error.is_none()) {
            break;
        }
        cuts += 1;
        assert!(world.message().boots_recovery(), "cut {before}");
        world.run_until_the_system_starts();
        assert!(world.partition("system") == new, "cut {before}");
        assert_eq!(world.partition("boot")[..4096], [7; 4096], "cut {before}");
        assert!(!world.path("data/user").exists());
        assert!(!world.path("cache/recovery/update_began").exists());
    }
    assert!(cuts > 40, "only {cuts} moments");
}

#[test]
fn a_half_written_system_is_never_started() {
    let world = World::new();
    let new = update(&world);
    let package = world.read("cache/ota.zip");
    world.request(&["--update_package=/cache/ota.zip"]);
    // Cut while blocks are written, and the package is lost.
    let injection = Injection::after(32, Fault::Broken);
    world.run().map(|outcome| outcome.error.unwrap()).unwrap_err();
    drop(injection);
    assert!(world.path("cache/recovery/update_began").exists());
    world.write("cache/ota.zip", &package[..package.len() / 2]);
    for _ in 0..3 {
        let outcome = world.run().unwrap();
        assert!(outcome.next == Next::Stay && outcome.error.is_some());
        assert!(world.message().boots_recovery());
    }
    // Without a package it does not start either.
    world.request(&["--wipe_cache"]);
    let outcome = world.run().unwrap();
    assert!(outcome.next == Next::Stay, "{:?}", outcome.error);
    // A package from elsewhere is the way out.
    world.write("cache/sideload.zip", &package);
    world.request(&["--sideload"]);
    world.run_until_the_system_starts();
    assert!(world.partition("system") == new);
}

#[test]
fn a_script_in_several_starts_goes_on_at_its_stage() {
    let world = World::new();
    world.set_partition("boot", &[0; 8192]);
    let misc = "/dev/block/by-name/misc";
    world.script(
        &format!(
            "if get_stage(\"{misc}\") == \"2/3\" then\n\
             package_extract_file(\"two\", \"/dev/block/by-name/boot\");\nset_stage(\"{misc}\", \"\");\n\
             else\nset_stage(\"{misc}\", \"2/3\");\nreboot_now(\"{misc}\", \"recovery\");\nendif;\n"
        ),
        &[("two", &[2; 4096])],
    );
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert!(outcome.next == Next::Recovery && outcome.error.is_none());
    assert_eq!((world.message().stage(), world.message().boots_recovery()), ("2/3", true));
    world.run_until_the_system_starts();
    assert_eq!(world.partition("boot")[..4096], [2; 4096]);
    assert_eq!(world.message().stage(), "");
}
