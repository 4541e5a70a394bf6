//! The peer's own test suites, run with our program in the place of its own.
//!
//! Debian's package `ostree-tests` installs the shell scripts that libostree is tested with. They
//! are what scripts written for the real tool look like, by those who know it best. Each runs in
//! a folder of its own with a command `ostree` that is ours; the web server is the peer's.
//!
//! There are two releases: that of Debian 12, which is installed here ([`older`]), and that of
//! Debian 13, in a root of its own ([`newer`]). Where we differ on purpose, a part of a script is
//! left out or changed ([`Difference`]).

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod newer;
mod older;

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Where the package puts its suite.
const SUITE: &str = "/usr/libexec/installed-tests/libostree";

/// Where we behave otherwise on purpose: what takes the place of a part of a script.
struct Difference {
    file: &'static str,
    /// Where the part begins, and before what it ends.
    from: &'static str,
    to: &'static str,
    instead: &'static str,
}

/// Copies a suite, with all that is otherwise by us.
fn copy_suite<'a>(from: &Path, to: &Path, differences: impl Iterator<Item = &'a Difference>) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
    for Difference { file, from, to: until, instead } in differences {
        let text = fs::read_to_string(to.join(file)).unwrap();
        let (before, rest) = text.split_once(from).unwrap_or_else(|| panic!("{file}: {from}"));
        let (_, after) = rest.split_once(until).unwrap_or_else(|| panic!("{file}: {until}"));
        fs::write(to.join(file), [before, instead, until, after].concat()).unwrap();
    }
}

/// Makes `folder/ostree` a script that runs our program: no link, since some tests make deltas of
/// the program itself.
fn write_ostree(folder: &Path, program: &str) {
    fs::create_dir_all(folder).unwrap();
    let script = format!("#!/bin/bash\nexec -a ostree {program} \"$@\"\n");
    fs::write(folder.join("ostree"), script).unwrap();
    fs::set_permissions(folder.join("ostree"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Some scripts listen on a port that they name, so that one suite runs at a time.
static RUNNING: Mutex<()> = Mutex::new(());

/// Runs scripts, each with the command that `command` makes for its name and its folder.
fn run_all(
    scripts: impl IntoIterator<Item = String>,
    folder: &Path,
    command: &(dyn Fn(&str, &Path) -> Command + Sync),
) {
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting = Mutex::new(scripts.into_iter().collect::<VecDeque<_>>());
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(name) = { waiting.lock().unwrap().pop_front() } {
            let here = folder.join(&name);
            fs::create_dir(&here).unwrap();
            if let Err(why) = run(command(&name, &here), &here.with_extension("log")) {
                failed.lock().unwrap().push(format!("=== {name}: {why}"));
            }
        }
    };
    // Much of their time they wait: for a second to pass, for the disk, for a web server.
    let workers = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} scripts failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs one script; gives the end of what it said when it fails.
fn run(mut command: Command, log: &Path) -> Result<(), String> {
    let output = fs::File::create(log).unwrap();
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .status()
        .unwrap();
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    if status.success() && lines.iter().any(|line| line.starts_with("ok")) {
        return Ok(());
    }
    let end = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(format!("{status}\n{end}"))
}
