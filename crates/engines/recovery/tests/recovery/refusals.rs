//! What is refused leaves the device as it was, and says why.

use updraft_error::{Classify as _, Kind};
use updraft_recovery_engine::{Error, Next};

use super::life::update;
use super::world::World;

/// The error of a start that leads back to the system, with nothing changed.
fn refused(world: &World, gate: &dyn Fn() -> Result<(), String>) -> Error {
    let before = (world.partition("system"), world.partition("boot"));
    world.request(&["--update_package=/cache/ota.zip", "--wipe_data"]);
    let outcome = world.run_if(gate).unwrap();
    assert_eq!(outcome.next, Next::System);
    assert!(!world.message().boots_recovery() && world.path("data/user/photo").exists());
    assert!((world.partition("system"), world.partition("boot")) == before);
    let text = String::from_utf8(world.read("cache/recovery/last_install")).unwrap();
    assert!(text.starts_with("/cache/ota.zip\n0\n") && text.contains("reason: "), "{text}");
    outcome.error.unwrap()
}

#[test]
fn a_device_that_says_no_is_left_alone() {
    let world = World::new();
    update(&world);
    let error = refused(&world, &|| Err("the battery has 12 %".to_owned()));
    assert!(error.to_string().contains("the battery has 12 %"), "{error}");
}

#[test]
fn a_package_that_nobody_signed_is_not_installed() {
    let world = World::new();
    update(&world);
    let mut package = world.read("cache/ota.zip");
    package[60] ^= 1;
    world.write("cache/ota.zip", &package);
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::Rejected);
    world.write("cache/ota.zip", &world.read("unsigned.zip"));
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::Rejected);
    std::fs::remove_file(world.path("cache/ota.zip")).unwrap();
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::NotFound);
}

#[test]
fn a_script_for_another_device_or_with_other_functions_changes_nothing() {
    let world = World::new();
    update(&world);
    let list = ("system.transfer.list", &b"4\n0\n0\n0\n"[..]);
    let boot = ("boot.img", &[7; 4096][..]);
    for (script, kind, words) in [
        (
            "getprop(\"ro.product.device\") == \"x\" || abort(\"E3004: for x\");",
            Kind::Conflict,
            "E3004",
        ),
        (
            "assert(getprop(\"nothing\") == \"\", less_than_int(2, 1));",
            Kind::Conflict,
            "condition 2",
        ),
        (
            "package_extract_file(\"boot.img\", \"/dev/block/by-name/boot\");\nflash_modem();",
            Kind::Unsupported,
            "flash_modem on line 2",
        ),
        ("range_sha1(\"x\");", Kind::Unsupported, "another number"),
        ("ui_print(", Kind::Invalid, "line 1"),
        (
            "block_image_verify(\"/dev/block/by-name/none\", package_extract_file(\"system.transfer.list\"), \
             \"n\", \"p\") || abort(\"E1004: no\");",
            Kind::NotFound,
            "E1004",
        ),
    ] {
        world.script(script, &[list, boot]);
        let error = refused(&world, &|| Ok(()));
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
    }
    world.package(&[("payload.bin", b"CrAU")]);
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::Unsupported);
}

#[test]
fn an_option_without_a_meaning_here_is_told_and_no_more() {
    let world = World::new();
    world.request(&["--wipe_data", "--fastboot"]);
    world.run_until_the_system_starts();
    assert!(!world.path("data/user").exists());
    world.request(&["--prompt_and_wipe_data"]);
    let outcome = world.run().unwrap();
    assert!(outcome.error.unwrap().to_string().contains("nobody to ask"));
    world.request(&["--shutdown_after"]);
    assert_eq!(world.run().unwrap().next, Next::PowerOff);
    assert!(!world.message().boots_recovery());
}

#[test]
fn a_package_for_another_device_or_of_older_security_is_refused_by_what_it_says() {
    let world = World::new();
    update(&world);
    let metadata = |text: &str| {
        let metadata = ("META-INF/com/android/metadata", text.as_bytes());
        world.script("ui_print(\"ran\");", &[metadata]);
    };
    metadata("pre-device=other|third\n");
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::Conflict);
    metadata("post-security-patch-level=2026-04-01\npre-device=other|board\n");
    assert_eq!(refused(&world, &|| Ok(())).kind(), Kind::Rejected);
    for text in [
        "post-security-patch-level=2026-05-01\n",
        "post-security-patch-level=2025-01-01\nspl-downgrade=yes\n",
    ] {
        metadata(text);
        world.request(&["--update_package=/cache/ota.zip"]);
        world.run_until_the_system_starts();
    }
}
