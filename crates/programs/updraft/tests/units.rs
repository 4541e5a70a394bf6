//! The units of a system that runs from a deployment, as systemd reads them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../packaging/ostree");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn systemd_understands_all_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for unit in units() {
        let name = unit.file_name().unwrap().to_str().unwrap().replace("@.", "@opt.");
        let text = fs::read_to_string(&unit).unwrap();
        // Programs that are installed here in the place of ours.
        fs::write(folder.path().join(&name), text.replace("/usr/bin/ostree", "/bin/true")).unwrap();
        names.push(folder.path().join(name));
    }
    assert_eq!(names.len(), 6);
    let output =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&names).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("ostree")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn systemd_understands_the_unit_of_the_initramfs() {
    let folder = tempfile::tempdir().unwrap();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../packaging/initramfs");
    let name = "updraft-prepare-root.service";
    let text = fs::read_to_string(packaging.join(name)).unwrap();
    let text = text.replace("/usr/lib/updraft/updraft-init", "/bin/true");
    fs::write(folder.path().join(name), text).unwrap();
    // systemd's own generator makes it there.
    let mount = "[Mount]\nWhat=/dev/vda\nWhere=/sysroot\n";
    fs::write(folder.path().join("sysroot.mount"), mount).unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).arg(folder.path().join(name));
    let output = command.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display())).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains(name), "{said}");
}

#[test]
fn systemd_understands_the_unit_of_slots() {
    let folder = tempfile::tempdir().unwrap();
    let name = "updraft-slots-good.service";
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../packaging");
    let text = fs::read_to_string(packaging.join(name)).unwrap();
    let command = "/usr/bin/updraft slots mark-successful";
    assert!(text.contains(&format!("ExecStart={command}\n")), "{text}");
    fs::write(folder.path().join(name), text.replace(command, "/bin/true")).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--man=no"]).arg(folder.path().join(name)).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains(name), "{said}");
}

#[test]
fn all_commands_of_units_exist() {
    for unit in units() {
        let text = fs::read_to_string(&unit).unwrap();
        for line in text.lines().filter(|line| line.starts_with("Exec")) {
            let (_, command) = line.split_once('=').unwrap();
            let words: Vec<&str> = command.trim_start_matches('+').split(' ').collect();
            let admin = match words.as_slice() {
                ["/usr/bin/ostree", "admin", command, ..] => *command,
                ["/usr/lib/ostree/ostree-remount"] => "remount",
                other => panic!("{}: {other:?}", unit.display()),
            };
            let help = Command::new(env!("CARGO_BIN_EXE_updraft"))
                .args(["ostree", "admin", admin, "--help"])
                .output()
                .unwrap();
            assert!(help.status.success(), "{}: {admin}", unit.display());
        }
    }
}
