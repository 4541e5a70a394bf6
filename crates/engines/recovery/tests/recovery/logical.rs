//! Packages for logical partitions, as release tools make them: one that gets smaller is updated before
//! the table changes, and all others after it.

use updraft_fs::fault::{Fault, Injection};
use updraft_payload::logical_partitions::parse_changes;
use updraft_recovery_engine::{FileDevice, Next, SuperPartition};

use super::liblp::{FIRST, Made, Super, make_super, unpacked};
use super::world::{World, noise, sha1};

/// A block, in sectors.
const BLOCK: u64 = 8;

/// Verified as a whole or by its list; the second call needs what the first one left.
const SCRIPT: &str = r#"
getprop("ro.product.device") == "board" || abort("E3004: another device");
ui_print("Verifying current system...");
if (range_sha1(map_partition("system"), "2,0,64") == "SYSTEM" ||
    block_image_verify(map_partition("system"), package_extract_file("system.transfer.list"),
                       "system.new.dat.br", "system.patch.dat")) then
  ui_print("Verified system image...");
else
  check_first_block(map_partition("system"));
  abort("E1004: system partition has unexpected contents");
endif;
if (range_sha1(map_partition("vendor"), "2,0,48") == "VENDOR" ||
    block_image_verify(map_partition("vendor"), package_extract_file("vendor.transfer.list"),
                       "vendor.new.dat", "vendor.patch.dat")) then
  ui_print("Verified vendor image...");
else
  abort("E2004: vendor partition has unexpected contents");
endif;
# --- Start patching dynamic partitions ---
# Patch partition vendor
block_image_update(map_partition("vendor"), package_extract_file("vendor.transfer.list"),
                   "vendor.new.dat", "vendor.patch.dat") || abort("E2001: Failed to update vendor image.");
# Update dynamic partition metadata
assert(update_dynamic_partitions(package_extract_file("dynamic_partitions_op_list")));
range_sha1(map_partition("vendor"), "2,0,20") == "SMALL" || abort("E2006: vendor has other contents");
unmap_partition("vendor");
# Patch partition product
assert(update_dynamic_partitions(package_extract_file("more_op_list")));
block_image_update(map_partition("product"), package_extract_file("product.transfer.list"),
                   "product.new.dat", "product.patch.dat") || abort("E2001: Failed to update product image.");
unmap_partition("product");
block_image_update(map_partition("system"), package_extract_file("system.transfer.list"),
                   "system.new.dat.br", "system.patch.dat") || abort("E1001: Failed to update system image.");
package_extract_file("odm.img", map_partition("odm"));
unmap_partition("system");
# --- End patching dynamic partitions ---
set_progress(1.0);
"#;

const CHANGES: &str = "# Shrink partitions, remove one, and make groups\nresize vendor 81920\nremove retired\n\
                       resize_group main 1048576\nadd_group more 65536\n";
const MORE_CHANGES: &str =
    "resize product 163840\nadd odm more\nresize odm 32768\nmove system default\n";

/// What the partitions become.
struct Updated {
    system: Vec<u8>,
    vendor: Vec<u8>,
    product: Vec<u8>,
    odm: Vec<u8>,
}

fn blocks(range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    range.start * 4096..range.end * 4096
}

/// A device, and a signed package for it: system is patched, vendor gets smaller and takes blocks from
/// its end, product gets larger and takes what others left, odm is new, another one goes.
fn update(world: &World) -> Updated {
    let old = [noise(1, 64), noise(2, 48), noise(3, 16), noise(4, 16)];
    let at = |number: u64| FIRST + number * BLOCK;
    let part = |name, pieces, content| Made { name, group: "main", pieces, content };
    make_super(
        world,
        &Super {
            minor: 0,
            groups: &[("main", 600 << 10)],
            partitions: &[
                part("system", &[(64 * BLOCK, at(0))], &old[0]),
                part("vendor", &[(48 * BLOCK, at(64))], &old[1]),
                part("product", &[(16 * BLOCK, at(112))], &old[2]),
                part("retired", &[(16 * BLOCK, at(128))], &old[3]),
            ],
        },
    );
    let mut system = old[0].clone();
    system[blocks(0..8)].copy_from_slice(&noise(5, 8));
    system.copy_within(blocks(20..30), 18 * 4096);
    system[40 * 4096 + 5] ^= 1;
    world.write("a", &old[0][blocks(40..44)]);
    world.write("b", &system[blocks(40..44)]);
    world.write("fresh", &noise(5, 8));
    for line in ["bsdiff a b patch", "brotli -f -q 6 fresh -o fresh.br"] {
        let mut words = line.split(' ');
        let mut tool = std::process::Command::new(words.next().unwrap());
        assert!(tool.args(words).current_dir(world.path("")).status().unwrap().success());
    }
    let patch = world.read("patch");
    let system_list = format!(
        "4\n22\n0\n10\nnew 2,0,8\nmove {} 2,18,28 10 2,20,30\nbsdiff 0 {} {} {} 2,40,44 4 2,40,44\n",
        sha1(&old[0][blocks(20..30)]),
        patch.len(),
        sha1(&old[0][blocks(40..44)]),
        sha1(&system[blocks(40..44)]),
    );
    let mut vendor = old[1][blocks(0..20)].to_vec();
    vendor[blocks(4..12)].copy_from_slice(&old[1][blocks(40..48)]);
    vendor[blocks(14..16)].copy_from_slice(&noise(6, 2));
    vendor[blocks(16..18)].fill(0);
    let vendor_list = format!(
        "4\n12\n0\n8\nmove {} 2,4,12 8 2,40,48\nnew 2,14,16\nzero 2,16,18\n",
        sha1(&old[1][blocks(40..48)])
    );
    let mut product = old[2].clone();
    product.extend(noise(7, 24));
    let product_list = "4\n24\n0\n0\nnew 4,16,30,30,40\n".to_owned();
    let odm = noise(8, 8);
    let script = SCRIPT
        .replace("SYSTEM", &sha1(&old[0]))
        .replace("VENDOR", &sha1(&old[1]))
        .replace("SMALL", &sha1(&vendor));
    world.script(
        &script,
        &[
            ("dynamic_partitions_op_list", CHANGES.as_bytes()),
            ("more_op_list", MORE_CHANGES.as_bytes()),
            ("system.transfer.list", system_list.as_bytes()),
            ("system.new.dat.br", &world.read("fresh.br")),
            ("system.patch.dat", &patch),
            ("vendor.transfer.list", vendor_list.as_bytes()),
            ("vendor.new.dat", &noise(6, 2)),
            ("vendor.patch.dat", b""),
            ("product.transfer.list", product_list.as_bytes()),
            ("product.new.dat", &noise(7, 24)),
            ("product.patch.dat", b""),
            ("odm.img", &odm),
        ],
    );
    Updated { system, vendor, product, odm }
}

fn install(world: &World) {
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
}

#[test]
fn another_reader_finds_what_the_package_makes() {
    let world = World::new();
    let new = update(&world);
    assert_eq!(unpacked(&world, "product").unwrap(), noise(3, 16), "the peer reads its own");
    install(&world);
    for (name, content) in [
        ("system", &new.system),
        ("vendor", &new.vendor),
        ("product", &new.product),
        ("odm", &new.odm),
    ] {
        assert!(unpacked(&world, name).unwrap() == *content, "{name}");
    }
    assert!(unpacked(&world, "retired").is_none());
    let image = FileDevice::open(&world.path("dev/block/by-name/super")).unwrap();
    let table = SuperPartition::read("super", &image).unwrap().table().unwrap();
    assert_eq!(table.partition("odm").unwrap().group, "more");
    assert_eq!(table.partition("system").unwrap().group, "default");
    // Product could not stay in one piece, and took what vendor left, not where it lay before.
    assert!(table.partition("product").unwrap().extents.len() > 1);
}

#[test]
fn after_a_cut_at_any_moment_all_of_it_is_there_once() {
    let world = World::new();
    update(&world);
    let (package, old) = (world.read("cache/ota.zip"), world.partition("super"));
    install(&world);
    let new = world.partition("super");
    let mut chance = fastrand::Rng::with_seed(3);
    let (mut cuts, mut half) = (0, 0);
    for before in 0.. {
        std::fs::remove_dir_all(world.path("cache")).unwrap();
        std::fs::create_dir_all(world.path("cache")).unwrap();
        world.write("cache/ota.zip", &package);
        world.set_partition("super", &old);
        world.request(&["--update_package=/cache/ota.zip"]);
        let injection = Injection::after(before, Fault::Broken);
        let result = world.run();
        drop(injection);
        if result.is_ok_and(|outcome| outcome.error.is_none()) {
            break;
        }
        cuts += 1;
        assert!(world.message().boots_recovery(), "cut {before}");
        // It goes on and is cut again; or somebody brings the package anew, and nothing is known of how
        // far each partition was.
        if chance.bool() {
            let injection = Injection::after(chance.u64(..40), Fault::Broken);
            drop(world.run());
            drop(injection);
        } else if world.path("cache/recovery/update_began").exists() {
            half += 1;
            world.write("cache/sideload.zip", &package);
            world.request(&["--sideload"]);
        }
        world.run_until_the_system_starts();
        assert!(world.partition("super") == new, "cut {before}");
        assert!(!world.path("cache/recovery/update_began").exists());
    }
    assert!(cuts > 60 && half > 15, "only {cuts} moments, {half} of them with another start");
}

#[test]
fn a_table_that_somebody_changed_meanwhile_is_left_alone() {
    let world = World::new();
    update(&world);
    world.request(&["--update_package=/cache/ota.zip"]);
    // Cut after the first table: the steps are there, and product is not what it shall be.
    for before in 0.. {
        let injection = Injection::after(before, Fault::Broken);
        drop(world.run());
        drop(injection);
        let steps = std::fs::read(world.path("cache/recovery/dynamic_partitions"));
        if steps.is_ok_and(|steps| steps.split(|byte| *byte == b'\n').count() == 4) {
            break;
        }
    }
    let image = FileDevice::open(&world.path("dev/block/by-name/super")).unwrap();
    let disk = SuperPartition::read("super", &image).unwrap();
    let (_, bytes) = disk.plan(&parse_changes("resize_group main 700000").unwrap()).unwrap();
    disk.replace(&bytes).unwrap();
    let strange = world.partition("super");
    let outcome = world.run().unwrap();
    let error = outcome.error.map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(error.contains("somebody changed its table"), "{error}");
    assert_eq!(outcome.next, Next::Stay);
    assert!(world.partition("super") == strange);
}

#[test]
fn what_somebody_put_back_is_changed_again() {
    let world = World::new();
    update(&world);
    let old = world.partition("super");
    install(&world);
    let new = world.partition("super");
    // The same package goes on, as after a cut at its end, with all that is on the disk as it was.
    let steps = world.read("cache/recovery/dynamic_partitions");
    world.set_partition("super", &old);
    world.write("cache/recovery/update_began", b"");
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
    assert!(world.partition("super") == new);
    assert!(world.read("cache/recovery/dynamic_partitions") == steps);
}
