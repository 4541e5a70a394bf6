//! The program as an initramfs calls it: exit codes, configuration, the gate.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use updraft_crypto::package::PackageSigner;
use updraft_payload::logical_partitions::{
    Geometry, LogicalDevice, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable,
};
use updraft_recovery_engine::{BundleImage, make_bundle};
use updraft_task::Context;

const CONFIG: &str = "misc = \"/dev/misc\"\nkeys = [\"/keys/x509.pem\"]\ncompatible = \"board\"\n";

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A device in a folder, and a signed bundle for one of its partitions.
fn device(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "dev/misc", &[0; 4096]);
    write(root, "dev/root", &[1; 4 * 4096]);
    write(root, "new.img", &[2; 3 * 4096]);
    write(root, "recovery.toml", CONFIG.as_bytes());
    write(root, "keys/none", b"");
    write(root, "cache/none", b"");
    let script = "openssl ecparam -name prime256v1 -genkey -noout -out keys/key.pem && openssl req -new \
                  -x509 -sha256 -key keys/key.pem -out keys/x509.pem -days 99 -subj /CN=t";
    let output = Command::new("sh").args(["-c", script]).current_dir(root).output().unwrap();
    assert!(output.status.success());
    let key = std::fs::read(root.join("keys/key.pem")).unwrap();
    let certificate = std::fs::read_to_string(root.join("keys/x509.pem")).unwrap();
    let signer = PackageSigner::new(&key, &certificate).unwrap();
    let image = BundleImage { device: name.to_owned(), image: root.join("new.img") };
    let (context, to) = (Context::silent(), root.join("cache/ota.zip"));
    make_bundle(&context, ("board", "2"), &[image], Some(&signer), &to).unwrap();
    folder
}

fn run(root: &Path, options: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_updraft-recovery"));
    program.arg("--config").arg(root.join("recovery.toml")).arg("--root").arg(root);
    program.args(options).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_package_is_installed_and_the_code_says_where_to_go() {
    let folder = device("/dev/root");
    let root = folder.path();
    let output = run(root, &["--update_package=/cache/ota.zip"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("updating blocks: 100 %"), "{}", said(&output));
    let partition = std::fs::read(root.join("dev/root")).unwrap();
    assert!(partition == [[2; 3 * 4096].to_vec(), [1; 4096].to_vec()].concat());
    assert_eq!(run(root, &["--shutdown_after"]).status.code(), Some(11));
    assert_eq!(run(root, &["word"]).status.code(), Some(2));
    let help = Command::new(env!("CARGO_BIN_EXE_updraft-recovery")).arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("--update_package=PATH"));
}

#[test]
fn a_half_written_system_and_a_gate_that_says_no_have_their_words() {
    let folder = device("/dev/root");
    let root = folder.path();
    write(root, "cache/recovery/update_began", b"");
    let output = run(root, &["--update_package=/cache/none"]);
    assert_eq!(output.status.code(), Some(12), "{}", said(&output));
    assert!(said(&output).contains("hint: the system is half written"), "{}", said(&output));
    let config = format!("{CONFIG}gate = [\"/bin/sh\", \"-c\", \"echo battery at 9 %; exit 1\"]\n");
    write(root, "recovery.toml", config.as_bytes());
    std::fs::remove_file(root.join("cache/recovery/update_began")).unwrap();
    let output = run(root, &["--update_package=/cache/ota.zip"]);
    assert!(said(&output).contains("battery at 9 %"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read(root.join("dev/root")).unwrap(), vec![1; 4 * 4096]);
    write(root, "recovery.toml", b"misc = \"/dev/misc\"\nkey = []\n");
    let output = run(root, &[]);
    assert!(output.status.code() == Some(1) && said(&output).contains("unknown field"));
}

/// A partition with the table of logical ones: `root` has so many blocks of 4096 bytes, from byte 65536 on.
fn with_root(blocks: u64) -> Vec<u8> {
    let geometry = Geometry { max_size: 4096, slots: 1, block_size: 4096 };
    let group = LogicalGroup { name: "default".to_owned(), flags: 0, max_size: 0 };
    let root = LogicalPartition {
        name: "root".to_owned(),
        attributes: 0,
        group: group.name.clone(),
        extents: vec![LogicalExtent::Linear { sectors: blocks * 8, device: 0, start: 128 }],
    };
    let device = LogicalDevice {
        first_sector: 128,
        alignment: 0,
        alignment_offset: 0,
        size: 128 << 10,
        name: "all".to_owned(),
        flags: 0,
    };
    let (partitions, groups, devices) = (vec![root], vec![group], vec![device]);
    let table = LogicalTable { minor_version: 0, flags: 0, partitions, groups, devices };
    let mut image = vec![9; 128 << 10];
    let mut put = |offset: u64, bytes: &[u8]| {
        let offset = usize::try_from(offset).unwrap();
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    for offset in Geometry::OFFSETS {
        put(offset, &geometry.encode().unwrap());
    }
    for offset in geometry.table_offsets(0) {
        put(offset, &table.encode(&geometry).unwrap());
    }
    image
}

#[test]
fn the_configuration_says_where_logical_partitions_lie() {
    let folder = device("/dev/block/mapper/root");
    let root = folder.path();
    write(root, "dev/all", &with_root(4));
    let config = format!("super = \"/dev/all\"\n{CONFIG}");
    write(root, "recovery.toml", config.as_bytes());
    let output = run(root, &["--update_package=/cache/ota.zip"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut wanted = with_root(4);
    wanted[65536..65536 + 3 * 4096].fill(2);
    assert!(std::fs::read(root.join("dev/all")).unwrap() == wanted);
    // Without it there is none of that name.
    write(root, "sys/class/block/none", b"");
    write(root, "recovery.toml", CONFIG.as_bytes());
    let output = run(root, &["--update_package=/cache/ota.zip"]);
    assert!(said(&output).contains("open /dev/block/by-name/super"), "{}", said(&output));
}
