//! Real programs, well and badly behaved.
#![allow(clippy::disallowed_methods, reason = "tests write files")]

use std::time::{Duration, Instant};

use updraft_error::{Classify, Kind};
use updraft_process::{Command, Error};
use updraft_task::Context;

fn shell(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

#[test]
fn output_and_input_are_carried() {
    let finished = Command::new("cat").input(b"hello".to_vec()).run(&Context::silent()).unwrap();
    assert_eq!(finished.stdout.bytes, b"hello");
    let finished = shell("echo $A >&2; pwd").env("A", "b").directory("/").run(&Context::silent());
    let finished = finished.unwrap();
    assert_eq!((finished.stdout.text(), finished.stderr.text()), ("/\n".into(), "b\n".into()));
}

#[test]
fn failure_names_the_program_its_exit_code_and_its_last_words() {
    let error = shell("echo no such luck >&2; exit 3").run(&Context::silent()).unwrap_err();
    assert_eq!(error.to_string(), "run sh: it ended with exit code 3: no such luck");
    let finished = shell("exit 3").output(&Context::silent()).unwrap();
    assert_eq!(finished.status.code(), Some(3));
}

#[test]
fn a_program_that_does_not_exist_is_not_found() {
    let error = Command::new("/no/such/program").run(&Context::silent()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn output_beyond_the_limit_is_read_and_dropped() {
    let finished =
        shell("head -c 1000000 /dev/zero").output_limit(10).run(&Context::silent()).unwrap();
    assert_eq!(finished.stdout.bytes, [0; 10]);
    assert!(finished.stdout.truncated);
}

#[test]
fn a_program_that_takes_too_long_dies_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let script = "sleep 1000 & echo $! > child; wait";
    let error = shell(script)
        .directory(folder.path())
        .timeout(Duration::from_millis(200))
        .run(&Context::silent())
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    // Gone, or a zombie that nobody reaped yet; a busy machine takes its time with either.
    let ended = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    let patience = Instant::now() + Duration::from_secs(20);
    while !ended() {
        assert!(Instant::now() < patience, "{} lives", child.trim());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn cancelled_work_ends_its_program() {
    let ctx = Context::silent();
    let cancel = ctx.cancel.clone();
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("started");
    let thread = std::thread::spawn({
        let marker = marker.clone();
        move || {
            while !marker.exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
        }
    });
    let script = format!("touch {}; sleep 1000", marker.display());
    let error = shell(&script).run(&ctx).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    thread.join().unwrap();
}

#[test]
fn lines_on_a_descriptor_are_heard_while_the_program_runs() {
    let (lines, heard) = std::sync::mpsc::channel();
    let script = "echo one >&3; printf 'tw' >&3; sleep 0.2; echo o >&3; head -c 10000 /dev/zero | \
                  tr '\\0' x >&3; echo >&3; printf last >&3";
    let command = shell(script).listen(3, move |line| lines.send(line.to_owned()).unwrap());
    command.run(&Context::silent()).unwrap();
    drop(command);
    let heard: Vec<String> = heard.iter().collect();
    assert_eq!(heard.len(), 3, "the last line is not complete");
    assert_eq!(heard[..2], ["one", "two"]);
    assert_eq!(heard[2], "x".repeat(4096));
}

/// Shut until the file is gone.
struct Shut(std::path::PathBuf);

impl updraft_task::Gate for Shut {
    fn is_open(
        &self,
        _cancel: &updraft_task::CancelToken,
    ) -> Result<bool, updraft_task::Cancelled> {
        Ok(!self.0.exists())
    }
}

#[test]
fn a_program_stands_still_while_the_work_is_held_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("shut"), "").unwrap();
    let context = Context::silent().with_gate(std::sync::Arc::new(Shut(path("shut"))));
    let (shut, counted) = (path("shut"), path("counted"));
    let watcher = std::thread::spawn(move || {
        // That nothing happens can only be seen over a while.
        let while_passes = || std::thread::sleep(Duration::from_millis(900));
        let length = || std::fs::metadata(&counted).map_or(0, |about| about.len());
        while_passes();
        let before = length();
        while_passes();
        let after = length();
        std::fs::remove_file(shut).unwrap();
        (before, after)
    });
    // Its time runs only while it does.
    let script = "for i in $(seq 60); do echo >> counted; sleep 0.02; done";
    let finished =
        shell(script).directory(folder.path()).timeout(Duration::from_mins(1)).run(&context);
    finished.unwrap();
    let (before, after) = watcher.join().unwrap();
    assert!(before == after && before < 60, "{before} lines, then {after}");
    assert_eq!(std::fs::metadata(path("counted")).unwrap().len(), 60);
}
