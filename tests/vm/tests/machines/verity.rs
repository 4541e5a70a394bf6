//! Slots in which each byte is vouched for: firmware that starts what is signed, a signed command line with
//! the root hash, and a root that dm-verity checks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use machine::Machine;
use serde_json::Value;
use vm::VerityRoots;

const WORK: Duration = Duration::from_mins(3);

fn run(machine: &mut Machine, command: &str) -> String {
    machine.run_within(command, WORK).unwrap().good().unwrap()
}

fn slots(machine: &mut Machine, arguments: &str) -> Value {
    let said = run(machine, &format!("updraft slots {arguments} --json --quiet"));
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn a_changed_block_or_command_line_is_refused_and_falls_back() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let roots = VerityRoots::new(folder.path(), &["one", "two", "three"]).unwrap();
    let board = roots.board("one").unwrap();
    let (mut machine, _) = board.start("one").unwrap();
    run(&mut machine, &board.make_entries());
    // The running slot follows from the devices below the one that is checked.
    assert_eq!(slots(&mut machine, "status")["running"], "a");
    assert_eq!(slots(&mut machine, "apply /opt/payloads/two.bin")["code"], 0);
    machine.kill();
    let (mut machine, vain) = board.start("two").unwrap();
    assert!(vain.is_empty(), "{vain:?}");
    let told = run(&mut machine, "dmesg");
    assert!(told.contains("Secure boot enabled"), "{told}");
    let console = machine.console();
    assert!(console.contains("checking each block of /dev/vda4 by dm-verity"), "{console}");
    assert!(run(&mut machine, "cat /proc/mounts").contains("/dev/dm-0 / ext4 ro"));
    slots(&mut machine, "mark-successful");

    // The init would say something else.
    assert_eq!(slots(&mut machine, "apply /opt/payloads/three.bin")["code"], 0);
    machine.kill();
    board.change("system_a", b"echo \"<2>SYSTEM READY", b"echo \"<2>SYSTEM ready").unwrap();
    let (mut machine, vain) = board.start("two").unwrap();
    let [refused] = vain.as_slice() else { panic!("{vain:?}") };
    assert!(refused.contains("is corrupted"), "{refused}");
    let status = slots(&mut machine, "status");
    assert_eq!((&status["running"], &status["last"]["name"]), (&"b".into(), &"RolledBack".into()));

    // The root hash cannot be another one: the firmware does not start that at all.
    assert_eq!(slots(&mut machine, "apply /opt/payloads/three.bin")["code"], 0);
    machine.kill();
    board.change("boot_a", b" roothash=", b" roothush=").unwrap();
    let (mut machine, vain) = board.start("two").unwrap();
    assert!(vain.is_empty(), "{vain:?}");
    assert_eq!(slots(&mut machine, "status")["last"]["name"], "RolledBack");
}
