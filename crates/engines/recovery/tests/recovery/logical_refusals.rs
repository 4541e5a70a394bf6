//! What of logical partitions is refused, with nothing changed; and partitions that lie on several
//! devices.

use updraft_error::{Classify as _, Kind};
use updraft_payload::logical_partitions::{
    Geometry, LogicalDevice, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable,
};
use updraft_recovery_engine::{Error, Next};

use super::liblp::{FIRST, Made, SIZE, Super, make_super};
use super::world::{World, noise};

const CALL: &str = "assert(update_dynamic_partitions(package_extract_file(\"list\")));\n";

fn device() -> World {
    let world = World::new();
    let part = |name, pieces, content| Made { name, group: "main", pieces, content };
    let partitions =
        [part("system", &[(512, FIRST)], &[1; 9]), part("vendor", &[(128, FIRST + 512)], &[2; 9])];
    make_super(
        &world,
        &Super { minor: 2, groups: &[("main", 640 << 10)], partitions: &partitions },
    );
    world
}

/// The error of a package that leaves the device as it was.
fn refused(world: &World, script: &str, list: &str) -> Error {
    let before = world.partition("super");
    world.script(script, &[("list", list.as_bytes()), ("img", &noise(1, 1))]);
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert_eq!(outcome.next, Next::System, "{list}");
    assert!(world.partition("super") == before, "{list}");
    assert!(!world.path("cache/recovery/dynamic_partitions").exists());
    outcome.error.unwrap()
}

/// An error with all that led to it.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[test]
fn changes_that_cannot_all_be_made_are_not_made() {
    let world = device();
    for (list, kind, words) in [
        // What comes before is right each time.
        (
            "resize vendor 131072\nadd vendor main",
            Kind::Conflict,
            "line 2 of its changes: partition vendor is",
        ),
        ("resize vendor 131072\nresize odm 4096", Kind::Conflict, "no partition odm"),
        ("add odm other", Kind::Conflict, "no group other"),
        ("add_group main 5", Kind::Conflict, "group main is there already"),
        ("move system other", Kind::Conflict, "no group other"),
        ("remove vendor\nremove_group main", Kind::Conflict, "still has partition system"),
        ("resize_group default 5", Kind::Invalid, "has no limit"),
        ("resize vendor 458752", Kind::Exhausted, "group main has 327680 of 655360"),
        ("resize_group main 0\nresize vendor 1835008", Kind::Exhausted, "no room for 65536 bytes"),
        ("resize_group main 300000", Kind::Exhausted, "and may have 300000"),
        ("add_group small 4096\nmove vendor small", Kind::Exhausted, "group small has 65536"),
        ("resize vendor 18446744073709551615", Kind::Invalid, "no disk is so large"),
        ("grow vendor 4096", Kind::Invalid, "line 1: it is none of the known changes"),
    ] {
        let error = refused(&world, CALL, list);
        assert!(text(&error).contains(words), "{list}: {}", text(&error));
        assert_eq!(error.kind(), kind, "{list}: {}", text(&error));
    }
    let many: Vec<String> = (0..200).map(|number| format!("add p{number} main")).collect();
    let many = many.join("\n");
    assert!(text(&refused(&world, CALL, &many)).contains("there is room for 8192"));
}

#[test]
fn a_partition_that_is_not_there_or_has_to_be_mounted_is_refused() {
    let world = device();
    let verify = |name: &str| {
        format!(
            "block_image_verify(map_partition(\"{name}\"), package_extract_file(\"list\"), \"n\", \"p\") || \
             abort(\"E1004: no\");"
        )
    };
    let list = "4\n1\n0\n0\nzero 2,0,1\n";
    assert!(text(&refused(&world, &verify("odm"), list)).contains("E1004"));
    let mount = "mount(\"ext4\", \"EMMC\", map_partition(\"system\"), \"/system\");";
    let error = refused(&world, mount, "");
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(text(&error).contains("nobody mapped /dev/block/mapper/system"), "{}", text(&error));
    // Somebody mapped it for real: the kernel would go on with its old pieces.
    std::fs::create_dir_all(world.path("dev/mapper")).unwrap();
    world.write("dev/mapper/vendor", b"");
    let error = refused(&world, CALL, "resize vendor 4096");
    assert!(text(&error).contains("partition vendor is mapped"), "{}", text(&error));
    std::fs::remove_file(world.path("dev/mapper/vendor")).unwrap();
    // A table for another device, and none at all.
    let image = world.partition("super");
    world.set_partition("super", &image[..image.len() - 4096]);
    assert!(text(&refused(&world, CALL, "")).contains("for a larger device"));
    world.set_partition("super", &vec![0; image.len()]);
    assert!(text(&refused(&world, CALL, "")).contains("does not begin with `gDla`"));
    std::fs::remove_file(world.path("dev/block/by-name/super")).unwrap();
    world.script(CALL, &[("list", b"")]);
    world.request(&["--update_package=/cache/ota.zip"]);
    assert_eq!(world.run().unwrap().error.unwrap().kind(), Kind::NotFound);
}

#[test]
fn a_partition_may_lie_on_several_devices() {
    let world = device();
    let geometry = Geometry { max_size: 8192, slots: 2, block_size: 4096 };
    let device = |name: &str, first_sector| LogicalDevice {
        first_sector,
        alignment: 0,
        alignment_offset: 0,
        size: SIZE,
        name: name.to_owned(),
        flags: 0,
    };
    let linear = |device, start| LogicalExtent::Linear { sectors: 16, device, start };
    let table = LogicalTable {
        minor_version: 0,
        flags: 0,
        partitions: vec![LogicalPartition {
            name: "split".to_owned(),
            attributes: 0,
            group: "default".to_owned(),
            extents: vec![
                linear(1, 1000),
                LogicalExtent::Zero { sectors: 8 },
                linear(0, FIRST + 8),
                linear(1, 8),
            ],
        }],
        groups: vec![LogicalGroup { name: "default".to_owned(), flags: 0, max_size: 0 }],
        devices: vec![device("super", FIRST), device("old_system", 8)],
    };
    let mut image = world.partition("super");
    let bytes = table.encode(&geometry).unwrap();
    // The first copy is damaged: the other one is read.
    let [damaged, whole] = geometry.table_offsets(0).map(|offset| usize::try_from(offset).unwrap());
    image[whole..whole + bytes.len()].copy_from_slice(&bytes);
    image[damaged + 60] ^= 1;
    world.set_partition("super", &image);
    world.set_partition("old_system", &vec![7; usize::try_from(SIZE).unwrap()]);
    let mut content = noise(5, 7);
    content[2 * 4096..3 * 4096].fill(0);
    world.script("package_extract_file(\"img\", map_partition(\"split\"));", &[("img", &content)]);
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
    let (on_super, other) = (world.partition("super"), world.partition("old_system"));
    let from = |image: &[u8], sector: usize| image[sector * 512..(sector + 16) * 512].to_vec();
    assert!(from(&other, 1000) == content[..8192]);
    let first = usize::try_from(FIRST).unwrap();
    assert!(from(&on_super, first + 8) == content[3 * 4096..5 * 4096]);
    assert!(from(&other, 8) == content[5 * 4096..]);
    assert!(on_super[damaged..damaged + 60] == image[damaged..damaged + 60]);
    // Something else than zeros cannot be there.
    world.script(
        "package_extract_file(\"img\", map_partition(\"split\"));",
        &[("img", &noise(5, 7))],
    );
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert!(text(&outcome.error.unwrap()).contains("always zeros"));
    assert_eq!(outcome.next, Next::Stay);
}
