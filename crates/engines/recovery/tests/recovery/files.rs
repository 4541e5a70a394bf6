//! Scripts about files: file systems are made, filled and changed as packages before Android 5 did it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use updraft_error::{Classify as _, Kind};
use updraft_fs::fault::{Fault, Injection};
use updraft_recovery_engine::Next;

use super::world::{World, noise, sha1};

/// An incremental package of files, on a file system that is mounted already.
const SCRIPT: &str = r#"
assert(apply_patch_check("/system/bin/tool", "NEW", "OLD"));
assert(sha1_check(read_file("/system/etc/same"), "SAME") == "SAME");
delete("/system/etc/gone", "/system/etc/never");
delete_recursive("/system/folder");
package_extract_dir("system", "/system");
package_extract_file("extra", "/system/new/deep/extra");
apply_patch("/system/bin/tool", "-", "NEW", "SIZE", "OLD", package_extract_file("tool.p"));
rename("/system/etc/from", "/system/moved/to");
symlink("tool", "/system/bin/link", "/system/bin/other");
set_metadata_recursive("/system/bin", "uid", "0", "gid", "2000", "dmode", "0751", "fmode", "0755",
                       "capabilities", "0x0");
set_metadata("/system/bin/tool", "uid", "0", "gid", "2000", "mode", "0750");
set_perm(0, 3, 0640, "/system/etc/one");
run_program("/system/bin/second", "word") == "0" || abort("E3009: it said no");
wipe_cache();
"#;

struct Files {
    world: World,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        let world = World::new();
        let old = noise(1, 3);
        let mut new = old.clone();
        new[5000] ^= 3;
        new.extend(b"more");
        world.write("a", &old);
        world.write("b", &new);
        let mut bsdiff = Command::new("bsdiff");
        let status = bsdiff.args(["a", "b", "p"]).current_dir(world.path("")).status();
        assert!(status.unwrap().success());
        let script = SCRIPT
            .replace("SIZE", &new.len().to_string())
            .replace("NEW", &sha1(&new))
            .replace("OLD", &sha1(&old))
            .replace("SAME", &sha1(b"same"));
        world.script(
            &script,
            &[
                ("system/etc/one", b"one"),
                ("system/bin/second", b"#!/bin/sh\necho ran $1 && exit 0\n"),
                ("systematic/not", b"not"),
                ("extra", b"extra"),
                ("tool.p", &world.read("p")),
            ],
        );
        Self { world, old, new }
    }

    fn reset(&self) {
        let _ = std::fs::remove_dir_all(self.world.path("system"));
        for folder in ["system/bin", "system/etc", "system/folder/below"] {
            std::fs::create_dir_all(self.world.path(folder)).unwrap();
        }
        self.world.write("system/bin/tool", &self.old);
        for name in ["etc/gone", "etc/from", "folder/below/file"] {
            self.world.write(&format!("system/{name}"), b"x");
        }
        self.world.write("system/etc/same", b"same");
        self.world.write("system/etc/one", b"an older and longer one");
    }

    fn assert_updated(&self) {
        let path = |name: &str| self.world.path("system").join(name);
        assert!(self.world.read("system/bin/tool") == self.new);
        for gone in ["etc/gone", "etc/from", "folder", "not"] {
            assert!(!path(gone).exists(), "{gone}");
        }
        for (name, content) in [("etc/one", &b"one"[..]), ("new/deep/extra", b"extra")] {
            assert_eq!(std::fs::read(path(name)).unwrap(), content);
            assert_eq!(path(name).metadata().unwrap().mtime(), 1_217_592_000);
        }
        assert_eq!(std::fs::read(path("moved/to")).unwrap(), b"x");
        for link in ["bin/link", "bin/other"] {
            assert_eq!(std::fs::read_link(path(link)).unwrap(), std::path::Path::new("tool"));
        }
        for (name, gid, mode) in
            [("bin", 2000, 0o751), ("bin/tool", 2000, 0o750), ("bin/second", 2000, 0o755)]
        {
            let metadata = path(name).metadata().unwrap();
            assert_eq!((metadata.gid(), metadata.permissions().mode() & 0o7777), (gid, mode));
        }
        assert_eq!(path("etc/one").metadata().unwrap().mode() & 0o7777, 0o640);
    }
}

#[test]
fn files_are_updated_through_any_cut() {
    let files = Files::new();
    let world = &files.world;
    let package = world.read("cache/ota.zip");
    for before in 0.. {
        files.reset();
        world.write("cache/ota.zip", &package);
        world.write("cache/other", b"");
        world.request(&["--update_package=/cache/ota.zip"]);
        let injection = Injection::after(before, Fault::Broken);
        let result = world.run();
        drop(injection);
        let is_done = result.is_ok_and(|outcome| outcome.error.is_none());
        world.run_until_the_system_starts();
        files.assert_updated();
        assert!(!world.path("cache/recovery/update_began").exists());
        assert!(!world.path("cache/other").exists(), "the script empties the cache");
        if is_done {
            assert!(before > 40, "only {before} moments");
            let log = String::from_utf8(world.read("cache/recovery/last_log")).unwrap();
            assert!(log.contains("ran word"), "{log}");
            return;
        }
    }
}

#[test]
fn what_fails_ends_the_script_although_nobody_asks() {
    let files = Files::new();
    let world = &files.world;
    for (script, kind, next) in [
        // Nothing is written yet.
        (
            "mount(\"ext4\", \"EMMC\", \"/dev/block/by-name/none\", \"/system\");",
            Kind::NotFound,
            true,
        ),
        ("mount(\"yaffs2\", \"MTD\", \"system\", \"/system\");", Kind::Unsupported, true),
        ("package_extract_file(\"none\", \"/system/none\");", Kind::Invalid, false),
        (
            "delete(\"/system/etc/gone\"); set_perm(0, 0, 0644, \"/system/none\");",
            Kind::NotFound,
            false,
        ),
        (
            "delete(\"/system/etc/gone\"); set_metadata(\"/system/bin\", \"colour\", \"1\");",
            Kind::Invalid,
            false,
        ),
        ("assert(apply_patch_check(\"/system/bin/tool\", \"aa\"));", Kind::Conflict, true),
        (
            "apply_patch(\"/system/bin/tool\", \"-\", \"aa\", 1, \"bb\", \"patch\");",
            Kind::Conflict,
            true,
        ),
        (
            "package_extract_file(\"tool\", \"/tmp/tool\"); abort(\"only looked\");",
            Kind::Conflict,
            true,
        ),
    ] {
        files.reset();
        world.script(&format!("{script}\nui_print(\"done\");"), &[("tool", b"tool")]);
        world.request(&["--update_package=/cache/ota.zip"]);
        let outcome = world.run().unwrap();
        let error = outcome.error.unwrap();
        assert_eq!(error.kind(), kind, "{script}: {error}");
        assert_eq!(outcome.next == Next::System, next, "{script}: {:?}", outcome.next);
        let _ = std::fs::remove_file(world.path("cache/recovery/update_began"));
    }
}

#[test]
fn names_that_lead_out_of_their_folder_are_refused() {
    let world = World::new();
    std::fs::create_dir_all(world.path("system")).unwrap();
    world.script("package_extract_dir(\"s\", \"/system\");", &[("s/../../out", b"x")]);
    world.request(&["--update_package=/cache/ota.zip"]);
    let error = world.run().unwrap().error.unwrap();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(!world.path("out").exists());
}

#[test]
fn what_is_not_here_is_refused_by_name() {
    let world = World::new();
    for (script, words) in [
        // The second one is a whole table, for devices that have none.
        ("update_dynamic_partitions(\"remove a\", \"table\");", "another number"),
        ("map_partition(\"system\", \"rw\");", "another number"),
        ("format(\"yaffs2\", \"MTD\", \"system\", \"0\", \"/system\");", "ext4 and f2fs"),
        ("apply_patch(\"a\", \"-\", \"b\", 1, \"c\", \"d\", \"e\");", "SHA-1"),
    ] {
        world.script(script, &[]);
        world.request(&["--update_package=/cache/ota.zip"]);
        let outcome = world.run().unwrap();
        let error = outcome.error.unwrap();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!((error.kind(), outcome.next), (Kind::Unsupported, Next::System));
    }
}

/// A block device of a file, for as long as it lives.
struct Loop(String);

impl Loop {
    fn of(world: &World, name: &str) -> Self {
        let mut losetup = Command::new("losetup");
        let output = losetup.args(["--show", "-f"]).arg(world.path(name)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
fn a_file_system_is_made_and_filled() {
    let world = World::new();
    world.write("disk", &vec![0x5a; 8 << 20]);
    let device = Loop::of(&world, "disk");
    std::os::unix::fs::symlink(&device.0, world.path("dev/block/by-name/system")).unwrap();
    std::fs::create_dir_all(world.path("sbin")).unwrap();
    for tool in ["mke2fs", "tune2fs"] {
        let own = std::path::Path::new("/usr/sbin").join(tool);
        std::os::unix::fs::symlink(own, world.path("sbin").join(tool)).unwrap();
    }
    let script = r#"
        format("ext4", "EMMC", "/dev/block/by-name/system", "-1048576", "/system");
        tune2fs("-L", "made", "/dev/block/by-name/system");
        is_mounted("/system") == "" || abort("it is mounted");
        mount("ext4", "EMMC", "/dev/block/by-name/system", "/system", "errors=remount-ro,rw");
        is_mounted("/system") == "/system" || abort("it is not mounted");
        package_extract_dir("system", "/system");
        unmount("/system");
        mount("ext4", "EMMC", "/dev/block/by-name/system", "/system", "ro");
        read_file("/system/etc/one") == "one" || abort("it is not there");
    "#;
    world.script(script, &[("system/etc/one", b"one")]);
    for _ in 0..2 {
        world.request(&["--update_package=/cache/ota.zip"]);
        world.run_until_the_system_starts();
    }
    assert!(!world.path("system/etc").exists(), "it is not left mounted");
    let read = Command::new("debugfs").args(["-R", "cat /etc/one", &device.0]).output().unwrap();
    assert_eq!(read.stdout, b"one");
    let about = Command::new("dumpe2fs").args(["-h", &device.0]).output().unwrap();
    let about = String::from_utf8_lossy(&about.stdout).into_owned();
    assert!(about.contains("made") && about.contains("Block count:              1792"), "{about}");
    // What is kept at the end is as it was.
    let end = std::fs::read(&device.0).unwrap().split_off(7 << 20);
    assert!(end.iter().all(|byte| *byte == 0x5a));
    world.script("wipe_block_device(\"/dev/block/by-name/system\", 8192);", &[]);
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
    let all = std::fs::read(&device.0).unwrap();
    assert!(all[..8192].iter().all(|byte| *byte == 0) && all[7 << 20] == 0x5a);
}

#[test]
fn partitions_are_patched_as_before_android_10() {
    let world = World::new();
    let boot = noise(1, 6);
    let mut new = boot.clone();
    new[9] ^= 1;
    world.write("a", &boot);
    world.write("b", &new);
    let mut bsdiff = Command::new("bsdiff");
    assert!(bsdiff.args(["a", "b", "p"]).current_dir(world.path("")).status().unwrap().success());
    let size = boot.len();
    let (old, made) = (sha1(&boot), sha1(&new));
    let spec = format!("EMMC:/dev/block/by-name/boot:{size}:{old}:{size}:{made}");
    let script = format!(
        "assert(apply_patch_check(\"{spec}\"));\n\
         apply_patch(\"{spec}\", \"-\", \"{made}\", {size}, \"{old}\", package_extract_file(\"p\"));"
    );
    world.script(&script, &[("p", &world.read("p"))]);
    for before in 0.. {
        world.set_partition("boot", &boot);
        world.request(&["--update_package=/cache/ota.zip"]);
        let injection = Injection::after(before, Fault::Broken);
        let result = world.run();
        drop(injection);
        let is_done = result.is_ok_and(|outcome| outcome.error.is_none());
        world.run_until_the_system_starts();
        assert!(world.partition("boot") == new, "cut {before}");
        if is_done {
            break;
        }
    }
    world.set_partition("boot", &noise(7, 6));
    world.request(&["--update_package=/cache/ota.zip"]);
    assert_eq!(world.run().unwrap().error.unwrap().kind(), Kind::Conflict);
}
