//! The environments of boot loaders against the tools that come with them.
//!
//! Needs the Debian packages grub-common, libubootenv-tool, mkbootimg and u-boot-tools.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use updraft_bootenv::{AndroidHeader, GrubEnv, UbootCopy, UbootEnv, UbootLayout, script_image};

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn grub_reads_what_we_write_and_we_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grubenv");
    let file = path.to_str().unwrap();
    run("grub-editenv", &[file, "create"]);
    run("grub-editenv", &[file, "set", "saved_entry=ostree:0", r"path=a\b", "boot_counter=3"]);

    let mut block = GrubEnv::parse(&fs::read(&path).unwrap()).unwrap();
    let variables: Vec<_> = block.iter().collect();
    let expected = [("saved_entry", "ostree:0"), ("path", r"a\b"), ("boot_counter", "3")];
    assert_eq!(variables, expected);
    assert_eq!(block.encode().unwrap(), fs::read(&path).unwrap(), "the same bytes");

    block.set("boot_counter", "2").unwrap();
    block.set("boot_success", "0").unwrap();
    block.unset("path");
    fs::write(&path, block.encode().unwrap()).unwrap();
    let listed = run("grub-editenv", &[file, "list"]);
    assert_eq!(listed, "saved_entry=ostree:0\nboot_counter=2\nboot_success=0\n");
    run("grub-editenv", &[file, "unset", "boot_counter"]);
    let block = GrubEnv::parse(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((block.get("boot_counter"), block.get("boot_success")), (None, Some("0")));
}

/// What `mkenvimage` makes of these variables.
fn make(folder: &Path, name: &str, layout: UbootLayout, text: &str) -> PathBuf {
    let path = folder.join(name);
    let size = layout.size.to_string();
    let mut arguments = vec!["-s", &size, "-o", path.to_str().unwrap()];
    if layout.redundant {
        arguments.push("-r");
    }
    if layout.big_endian {
        arguments.push("-b");
    }
    arguments.push("-");
    let mut child =
        Command::new("mkenvimage").args(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    path
}

#[test]
fn what_mkenvimage_makes_we_make_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for redundant in [false, true] {
        for big_endian in [false, true] {
            let layout = UbootLayout { size: 0x1000, redundant, big_endian };
            let text = "bootcmd=run distro_bootcmd\nbootcount=1\nupgrade_available=1\n";
            let made = fs::read(make(folder.path(), "env", layout, text)).unwrap();
            let environment = UbootEnv::parse(layout, &made).unwrap();
            assert_eq!(environment.get("bootcmd"), Some("run distro_bootcmd"));
            assert_eq!(environment.iter().count(), 3);
            assert_eq!(environment.encode(layout, 1).unwrap(), made, "{layout:?}");
        }
    }
}

#[test]
fn the_tool_of_u_boot_follows_us_from_copy_to_copy() {
    let folder = tempfile::tempdir().unwrap();
    let layout = UbootLayout { size: 0x2000, redundant: true, big_endian: false };
    let first = make(folder.path(), "first", layout, "bootcount=0\nslot=a\n");
    let second = make(folder.path(), "second", layout, "bootcount=0\nslot=a\n");
    let config = folder.path().join("fw_env.config");
    let line = |path: &Path| format!("{} 0x0 0x2000\n", path.display());
    fs::write(&config, line(&first) + &line(&second)).unwrap();
    let config = config.to_str().unwrap();
    let read = || {
        let copies = [fs::read(&first).unwrap(), fs::read(&second).unwrap()];
        UbootEnv::choose(layout, &copies[0], &copies[1]).unwrap()
    };

    // Ours, theirs, ours, …: each has to find what the other wrote last.
    for round in 1..=6 {
        let mut found = read();
        let (copy, flag) = found.next();
        found.environment.set("bootcount", &round.to_string()).unwrap();
        let path = if copy == UbootCopy::First { &first } else { &second };
        fs::write(path, found.environment.encode(layout, flag).unwrap()).unwrap();
        let said = run("fw_printenv", &["-c", config, "-n", "bootcount"]);
        assert_eq!(said.trim_end(), round.to_string());

        let slot = if round % 2 == 0 { "a" } else { "b" };
        run("fw_setenv", &["-c", config, "slot", slot]);
        let found = read();
        assert_eq!(found.environment.get("slot"), Some(slot), "round {round}");
        assert_eq!(found.environment.get("bootcount"), Some(round.to_string().as_str()));
    }
}

/// `sfdisk` reads our partition table and finds nothing wrong with either copy of it.
#[test]
fn sfdisk_reads_our_partition_table() {
    use updraft_bootenv::{Gpt, GptPartition, Guid};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let partition = |first: u64, last: u64, name: &str| GptPartition {
        type_guid: Guid::from_u128(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4),
        guid: Guid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_ee00 + u128::from(first)),
        first_sector: first,
        last_sector: last,
        attributes: GptPartition::LEGACY_BOOTABLE,
        name: name.to_owned(),
    };
    let gpt = Gpt {
        disk_guid: Guid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        disk_sectors: 16384,
        partitions: vec![partition(2048, 4095, "boot"), partition(4096, 16350, "root")],
    };
    let image = gpt.encode().unwrap();
    let mut bytes = image.front.clone();
    bytes.resize(16384 * 512 - image.back.len(), 0);
    bytes.extend_from_slice(&image.back);
    std::fs::write(&path, &bytes).unwrap();
    let verified = Command::new("sfdisk").arg("--verify").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned()
        + &String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.contains("No errors detected"), "{said}");
    let dump = Command::new("sfdisk").arg("--dump").arg(&path).output().unwrap();
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    for text in [
        "label-id: 01234567-89AB-CDEF-0123-456789ABCDEF",
        "start=        2048, size=        2048, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, \
         uuid=00112233-4455-6677-8899-AABBCCDDF600, name=\"boot\", attrs=\"LegacyBIOSBootable\"",
        "start=        4096, size=       12255",
    ] {
        assert!(dump.contains(text), "{text} is not in {dump}");
    }
    // And it writes what we read.
    let again = folder.path().join("again");
    std::fs::write(&again, vec![0; bytes.len()]).unwrap();
    let script = format!("{dump}\n");
    let mut write = Command::new("sfdisk");
    write.arg("-q").arg(&again).stdin(std::process::Stdio::piped());
    let mut write = write.spawn().unwrap();
    std::io::Write::write_all(&mut write.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(write.wait().unwrap().success());
    let theirs = std::fs::read(&again).unwrap();
    assert_eq!(Gpt::parse(&theirs).unwrap(), gpt);
}

#[test]
fn scripts_are_those_of_mkimage_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (text, image) = (folder.path().join("boot.cmd"), folder.path().join("boot.scr"));
    for script in ["", "echo hello\n", &"setenv bootargs quiet\n".repeat(300)] {
        fs::write(&text, script).unwrap();
        let name = "Updraft, a name that is longer than the header";
        let output = Command::new("mkimage")
            .args(["-A", "arm", "-O", "linux", "-T", "script", "-C", "none", "-n", name, "-d"])
            .args([&text, &image])
            .env("SOURCE_DATE_EPOCH", "0")
            .output()
            .unwrap();
        let ours = script_image(name, script).unwrap();
        if output.status.success() {
            assert_eq!(ours, fs::read(&image).unwrap());
        } else {
            assert_eq!(script, "", "{}", String::from_utf8_lossy(&output.stderr));
        }
        fs::write(&image, &ours).unwrap();
        let listed = run("mkimage", &["-l", image.to_str().unwrap()]);
        assert!(listed.contains("ARM Linux Script (uncompressed)"), "{listed}");
    }
}

#[test]
fn headers_are_those_of_mkbootimg() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, size) in [("kernel", 5000), ("ramdisk", 3000), ("dtb", 70)] {
        fs::write(path(name), vec![b'x'; size]).unwrap();
    }
    for version in 0..=3_u32 {
        for cmdline in ["quiet", &"a=b ".repeat(200)] {
            let page_size = if version == 3 { 4096 } else { 2048 };
            let text = version.to_string();
            let (kernel, ramdisk, dtb, image) =
                (path("kernel"), path("ramdisk"), path("dtb"), path("image"));
            let mut arguments = vec!["--header_version", &text, "--cmdline", cmdline];
            arguments.extend(["--kernel", &kernel, "--ramdisk", &ramdisk, "-o", &image]);
            if version == 2 {
                arguments.extend(["--dtb", &dtb]);
            }
            run("mkbootimg", &arguments);
            let header = AndroidHeader {
                version,
                page_size,
                base: 0x1000_0000,
                kernel_size: 5000,
                ramdisk_size: 3000,
                dtb_size: if version == 2 { 70 } else { 0 },
                cmdline: cmdline.to_owned(),
            };
            let mut ours = header.encode().unwrap();
            let mut theirs = fs::read(&image).unwrap();
            let whole = [5000, 3000, u64::from(header.dtb_size)];
            let parts: u64 = whole.iter().map(|size| size + header.padding(*size)).sum();
            assert_eq!(theirs.len() as u64, ours.len() as u64 + parts, "version {version}");
            theirs.truncate(ours.len());
            if version == 3 {
                // This one is wrong about the size of its header.
                theirs[20..24].copy_from_slice(&1580_u32.to_le_bytes());
            } else {
                // An id that nobody looks at.
                ours[576..608].copy_from_slice(&theirs[576..608]);
            }
            assert!(ours == theirs, "version {version}, {cmdline}");
        }
    }
}
