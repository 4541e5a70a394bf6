//! The program as it is put into an initramfs: static and small.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::process::Command;

/// The most that it may weigh, in bytes.
const LIMIT: u64 = 2 * 1024 * 1024;

#[test]
fn it_is_static_and_small() {
    let program = machine::build_updraft_init().unwrap();
    let size = program.metadata().unwrap().len();
    assert!(size <= LIMIT, "{size} bytes");
    let bytes = std::fs::read(&program).unwrap();
    // What a dynamic program names its loader by: a program header of this type (PT_INTERP).
    let at = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let [size, count] =
        [54, 56].map(|at| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])));
    let headers = bytes[at..].chunks(size).take(count);
    let mut types = headers.map(|header| u32::from_le_bytes(header[..4].try_into().unwrap()));
    assert!(!types.any(|kind| kind == 3), "it needs a loader");
}

#[test]
fn it_says_how_it_is_called() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft-init"));
        let output = command.args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    assert_eq!(run(&["--version"]).1, format!("updraft-init {}\n", env!("CARGO_PKG_VERSION")));
    let (code, usage) = run(&["--help"]);
    assert!(code == 0 && usage.starts_with("usage: updraft-init SYSROOT"), "{usage}");
    assert_eq!(run(&[]), (2, usage.clone()));
    assert_eq!(run(&["--nonsense"]), (2, usage));
    let (code, said) = run(&["/nowhere", "ostree=/x"]);
    assert!(code == 1 && said.contains("cannot find the folder /nowhere"), "{said}");
}
