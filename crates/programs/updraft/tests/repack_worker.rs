//! Packed files in deltas are put together in a process that a hostile delta may have killed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const UPDRAFT: &str = env!("CARGO_BIN_EXE_updraft");

/// Found by fuzzing: blocks without end, each of no bytes.
const ENDLESS: [u8; 51] = {
    let mut bytes = [0; 51];
    bytes[20] = 0x03;
    bytes[21] = 0x03;
    bytes[36] = 0xc8;
    bytes[40] = 0xff;
    bytes[41] = 0xff;
    bytes[42] = 0xff;
    bytes[46] = 0xa8;
    bytes[47] = 0x03;
    bytes[48] = 0x0a;
    bytes[49] = 0x29;
    bytes[50] = 0xa8;
    bytes
};

#[test]
fn what_takes_too_much_is_refused() {
    let mut command = Command::new(UPDRAFT);
    command.arg0("updraft-repack").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut worker = command.stderr(Stdio::null()).spawn().unwrap();
    let mut input = worker.stdin.take().unwrap();
    for block in [&[3, 0][..], &ENDLESS] {
        input.write_all(&(block.len() as u64).to_le_bytes()).unwrap();
        input.write_all(block).unwrap();
    }
    input.flush().unwrap();
    // Either it is stopped, or it finds in time that it will not do.
    let mut length = [0; 8];
    if worker.stdout.take().unwrap().read_exact(&mut length).is_ok() {
        assert_eq!(u64::from_le_bytes(length), 0, "it found an answer");
    }
    drop(input);
    worker.wait().unwrap();
}

#[test]
fn a_worker_without_work_ends() {
    let mut command = Command::new(UPDRAFT);
    command.arg0("updraft-repack").stdin(Stdio::null());
    let said = command.output().unwrap();
    assert!(said.status.success());
    assert_eq!(said.stdout, b"");
}

fn ostree(folder: &Path, arguments: &[&str]) -> Output {
    let output =
        Command::new(folder.join("ostree")).args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output
}

#[test]
fn a_delta_with_packed_files_is_applied_through_a_worker() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = folder.path();
    // Called by its other name it must find itself all the same.
    symlink(UPDRAFT, folder.join("ostree")).unwrap();
    ostree(folder, &["init", "--repo=repo", "--mode=bare-user"]);
    for version in ["one", "two"] {
        let tree = folder.join("tree");
        fs::create_dir_all(&tree).unwrap();
        for file in 0..5 {
            let lines = (0..9000).map(|n| {
                let word = if n % 700 == file { version } else { "same" };
                format!("line {} of {file}: {word}\n", n * n % 977)
            });
            let path = tree.join(format!("notes-{file}"));
            fs::write(&path, lines.collect::<String>()).unwrap();
            let packed = Command::new("gzip").args(["-9nf"]).arg(&path).status();
            assert!(packed.expect("the Debian package gzip is installed").success());
        }
        ostree(folder, &["commit", "--repo=repo", "--branch=main", "--tree=dir=tree"]);
    }
    let made = ["static-delta", "generate", "--repo=repo", "--format=updraft", "--json", "main"];
    let made: serde_json::Value = serde_json::from_slice(&ostree(folder, &made).stdout).unwrap();
    assert_eq!(made["repacked"], 5);
    ostree(folder, &["init", "--repo=device", "--mode=bare-user"]);
    ostree(folder, &["static-delta", "reindex", "--repo=repo"]);
    let old = ostree(folder, &["rev-parse", "--repo=repo", "main^"]);
    let old = String::from_utf8(old.stdout).unwrap();
    ostree(folder, &["pull-local", "--repo=device", "repo", old.trim()]);
    let new = ostree(folder, &["rev-parse", "--repo=repo", "main"]);
    let new = String::from_utf8(new.stdout).unwrap();
    ostree(folder, &["pull-local", "--repo=device", "--require-static-deltas", "repo", new.trim()]);
    ostree(folder, &["fsck", "--repo=device"]);
    ostree(folder, &["show", "--repo=device", new.trim()]);
}
