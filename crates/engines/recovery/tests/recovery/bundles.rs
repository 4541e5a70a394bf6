//! Bundles for plain Linux: the same guarantees, without a script.

use sha2::{Digest as _, Sha256};
use updraft_crypto::package::PackageSigner;
use updraft_error::{Classify as _, Kind};
use updraft_fs::fault::{Fault, Injection};
use updraft_payload::bundle::{BUNDLE_NAME, Bundle, BundlePartition};
use updraft_recovery_engine::{BundleImage, Next, make_bundle};
use updraft_task::Context;

use super::world::{World, noise};

const DEVICE: &str = "/dev/block/by-name/root";

fn bundle(world: &World, compatible: &str, new: &[u8], promised: &[u8]) {
    let partition = BundlePartition {
        device: DEVICE.to_owned(),
        size: new.len() as u64,
        sha256: hex::encode(Sha256::digest(promised)),
        transfer_list: "root.transfer.list".to_owned(),
        new_data: "root.new.dat".to_owned(),
        patches: "root.patch.dat".to_owned(),
    };
    let bundle = Bundle::new(compatible.to_owned(), "2".to_owned(), vec![partition]);
    let blocks = new.len() / 4096;
    let list = format!("4\n{blocks}\n0\n0\nnew 2,0,4\nnew 2,4,{blocks}\n");
    world.package(&[
        (BUNDLE_NAME, &bundle.encode().unwrap()),
        ("root.transfer.list", list.as_bytes()),
        ("root.new.dat", new),
    ]);
}

#[test]
fn a_bundle_is_installed_through_any_cut() {
    let world = World::new();
    let (old, new) = (noise(1, 16), noise(2, 12));
    bundle(&world, "board", &new, &new);
    for before in 0.. {
        world.set_partition("root", &old);
        world.request(&["--update_package=/cache/ota.zip"]);
        let injection = Injection::after(before, Fault::Broken);
        let result = world.run();
        drop(injection);
        let is_done = result.is_ok_and(|outcome| outcome.error.is_none());
        world.run_until_the_system_starts();
        assert!(world.partition("root") == [&new[..], &old[new.len()..]].concat(), "cut {before}");
        if is_done {
            assert!(before > 30, "only {before} moments");
            break;
        }
    }
}

#[test]
fn a_bundle_for_another_device_or_of_another_content_is_refused() {
    let world = World::new();
    let (old, new) = (noise(1, 16), noise(2, 12));
    world.set_partition("root", &old);
    bundle(&world, "other", &new, &new);
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    assert_eq!((outcome.next, outcome.error.unwrap().kind()), (Next::System, Kind::Conflict));
    assert!(world.partition("root") == old);
    bundle(&world, "board", &new, &old);
    world.request(&["--update_package=/cache/ota.zip"]);
    let outcome = world.run().unwrap();
    // It was written, and is not what was promised: the system is not started.
    assert_eq!((outcome.next, outcome.error.unwrap().kind()), (Next::Stay, Kind::Rejected));
}

#[test]
fn a_bundle_of_images_brings_them() {
    let world = World::new();
    let mut new = noise(2, 40);
    new[10 * 4096..20 * 4096].fill(0);
    new.extend(vec![0; 3 * 4096]);
    world.write("new.img", &new);
    world.set_partition("root", &noise(1, 50));
    let certificate = String::from_utf8(world.read("keys/x509.pem")).unwrap();
    let signer = PackageSigner::new(&world.read("keys/key.pem"), &certificate).unwrap();
    let image = BundleImage { device: DEVICE.to_owned(), image: world.path("new.img") };
    let images = [image];
    let to = world.path("cache/ota.zip");
    make_bundle(&Context::silent(), ("board", "2"), &images, Some(&signer), &to).unwrap();
    // Debian's brotli reads what is packed.
    let script = "python3 -c \"import sys, zipfile; \
                  z = zipfile.ZipFile('cache/ota.zip'); \
                  sys.stdout.buffer.write(z.read('0.new.dat.br'))\" | brotli -d | wc -c";
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", script]).current_dir(world.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (30 * 4096).to_string());
    world.request(&["--update_package=/cache/ota.zip"]);
    world.run_until_the_system_starts();
    assert!(world.partition("root").starts_with(&new));
    world.write("new.img", &new[1..]);
    let refused = make_bundle(&Context::silent(), ("board", "2"), &images, None, &to);
    assert_eq!(refused.unwrap_err().kind(), Kind::Invalid);
}
