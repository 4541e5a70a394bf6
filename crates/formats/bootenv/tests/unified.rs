//! Unified kernel images, read as binutils reads them.
//!
//! Needs the Debian packages binutils and systemd-boot-efi.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::path::Path;
use std::process::Command;

use updraft_bootenv::{MAX_PE_HEADERS, PeImage, UnifiedLayout, UnifiedPart};

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

fn contents() -> [(&'static str, Vec<u8>); 5] {
    [
        (".osrel", b"PRETTY_NAME=\"Test OS\"\n".to_vec()),
        (".cmdline", b"root=LABEL=root ostree=/ostree/boot.0/os/ab/0".to_vec()),
        (".uname", b"6.1.0-test".to_vec()),
        (".initrd", vec![7; 70_001]),
        (".linux", vec![9; 512 * 40]),
    ]
}

fn parts() -> Vec<UnifiedPart> {
    let part = |(name, bytes): (&'static str, Vec<u8>)| {
        let size = bytes.len() as u64;
        UnifiedPart { name, size, memory: if name == ".linux" { size * 3 } else { 0 } }
    };
    contents().into_iter().map(part).collect()
}

fn assemble(stub: &[u8]) -> Vec<u8> {
    let layout = UnifiedLayout::plan(stub, &parts()).unwrap();
    let mut image = layout.head;
    for ((_, bytes), padding) in contents().iter().zip(layout.padding) {
        image.extend(bytes);
        image.resize(image.len() + usize::try_from(padding).unwrap(), 0);
    }
    assert_eq!(image.len() as u64, layout.size);
    image
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("binutils are installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What objcopy takes out of a section.
fn section_of(image: &Path, name: &str) -> Vec<u8> {
    let out = image.with_extension("section");
    let argument = format!("{name}={}", out.display());
    let dump = ["-O", "binary", "--dump-section", &argument, image.to_str().unwrap(), "/dev/null"];
    run("objcopy", &dump);
    fs::read(out).unwrap()
}

#[test]
fn binutils_read_the_sections_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.efi");
    let stub = fs::read(STUB).expect("systemd-boot-efi is installed");
    let image = assemble(&stub);
    fs::write(&path, &image).unwrap();
    let seen = run("objdump", &["-h", path.to_str().unwrap()]);
    let read = PeImage::parse(&image[..MAX_PE_HEADERS]).unwrap();
    let mut before = 0;
    for section in &read.sections {
        let line = seen.lines().find(|line| line.split_whitespace().nth(1) == Some(&section.name));
        let fields: Vec<&str> = line.unwrap().split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(fields[at], 16).unwrap();
        assert_eq!((hex(3), hex(5)), (section.address, section.offset), "{seen}");
        assert!(section.address >= before, "{} overlaps", section.name);
        before = section.address + section.memory_size;
    }
    assert!(read.size_of_image >= before);
    for (name, bytes) in contents() {
        let section = read.section(name).unwrap();
        let from = section.offset as usize;
        assert_eq!(image[from..from + bytes.len()], bytes, "{name}");
        let dumped = section_of(&path, name);
        assert_eq!(dumped[..bytes.len()], bytes, "{name} by objcopy");
        assert!(dumped[bytes.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(section.address % 4096, 0);
    }
    assert_eq!(read.section(".cmdline").unwrap().content_size(), 45);
    // All of the stub is where it was.
    let old = PeImage::parse(&stub).unwrap();
    assert_eq!(read.sections[..old.sections.len()], old.sections);
}

#[test]
fn what_objcopy_puts_together_has_the_same_sections() {
    let folder = tempfile::tempdir().unwrap();
    let ours = PeImage::parse(&assemble(&fs::read(STUB).unwrap())).unwrap();
    let mut arguments = Vec::new();
    for (name, bytes) in contents() {
        let file = folder.path().join(&name[1..]);
        fs::write(&file, bytes).unwrap();
        let address = ours.section(name).unwrap().address;
        arguments.push(format!("--add-section={name}={}", file.display()));
        arguments.push(format!("--change-section-vma={name}={address:#x}"));
    }
    let path = folder.path().join("theirs.efi");
    let mut command: Vec<&str> = arguments.iter().map(String::as_str).collect();
    command.extend([STUB, path.to_str().unwrap()]);
    run("objcopy", &command);
    let image = fs::read(&path).unwrap();
    let theirs = PeImage::parse(&image).unwrap();
    for (name, bytes) in contents() {
        let (section, own) = (theirs.section(name).unwrap(), ours.section(name).unwrap());
        assert_eq!((section.address, section.file_size), (own.address, own.file_size), "{name}");
        let from = section.offset as usize;
        assert_eq!(image[from..from + bytes.len()], bytes);
    }
}

#[test]
fn what_is_no_stub_is_refused() {
    let stub = fs::read(STUB).unwrap();
    let failure = |stub: &[u8], parts: &[UnifiedPart]| {
        UnifiedLayout::plan(stub, parts).unwrap_err().to_string()
    };
    assert!(failure(b"", &parts()).contains("MZ"));
    assert!(failure(b"#!/bin/sh\n", &parts()).contains("MZ"));
    assert!(failure(&stub[..300], &parts()).contains("cut short"));
    assert!(failure(&assemble(&stub), &parts()).contains("no bare stub"));
    let many = [UnifiedPart { name: ".x", size: 1, memory: 0 }; 20];
    assert!(failure(&stub, &many).contains("no room"));
    let huge = UnifiedPart { name: ".linux", size: 1 << 32, memory: 0 };
    assert!(failure(&stub, &[huge]).contains("4 GiB"));
    let long = UnifiedPart { name: ".cmdline1", size: 1, memory: 0 };
    assert!(failure(&stub, &[long]).contains("eight bytes"));
    // Nothing that is damaged makes it panic.
    for at in 0..1024 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = stub.clone();
            damaged[at] = value;
            let _ = UnifiedLayout::plan(&damaged, &parts());
            let _ = PeImage::parse(&damaged[..at]);
        }
    }
}

#[test]
fn a_signature_of_the_stub_goes() {
    let mut stub = fs::read(STUB).unwrap();
    let plain = assemble(&stub);
    let end = u32::try_from(stub.len().next_multiple_of(8)).unwrap();
    stub.resize(end as usize, 0);
    stub.extend([0x55; 512]);
    // The directory of certificates, as `objdump -x` counts: 4.
    let optional = u32::from_le_bytes(stub[60..64].try_into().unwrap()) as usize + 24;
    let at = optional + 112 + 32;
    stub[at..at + 8].copy_from_slice(&[end.to_le_bytes(), 512_u32.to_le_bytes()].concat());
    assert_eq!(assemble(&stub), plain);
}
