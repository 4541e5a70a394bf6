//! Two roots, by each boot loader that keeps which of them is started: an update is tried and kept, and
//! a broken one is given up after its tries, which the system that comes up again tells.
//!
//! Nothing that a machine has not made durable by itself outlives a restart here: the power is cut.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use machine::Machine;
use serde_json::Value;
use vm::{Board, SlotLoader, TwoRoots, make_efi_entries};

const WORK: Duration = Duration::from_mins(3);

struct Device {
    board: Board,
    machine: Machine,
}

impl Device {
    fn run(&mut self, command: &str) -> String {
        self.machine.run_within(command, WORK).unwrap().good().unwrap()
    }

    fn slots(&mut self, arguments: &str) -> Value {
        let said = self.run(&format!("updraft slots {arguments} --json --quiet"));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }

    /// Cuts the power, and gives how many starts end in a panic until a release is up.
    fn cut(&mut self, release: &str) -> usize {
        self.machine.kill();
        let (machine, vain) = self.board.start(release).unwrap();
        self.machine = machine;
        vain.len()
    }
}

fn is_tried_kept_and_given_up(loader: SlotLoader) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let releases = TwoRoots::new(folder.path(), &["one", "two", "broken"]).unwrap();
    let board = releases.board(loader, "one").unwrap();
    let (machine, _) = board.start("one").unwrap();
    let mut device = Device { board, machine };
    if loader == SlotLoader::Efi {
        device.run(&make_efi_entries());
    }
    assert_eq!(device.slots("apply /opt/payloads/two.bin")["code"], 0);
    assert_eq!(device.cut("two"), 0);
    let status = device.slots("status");
    assert_eq!(
        (&status["running"], &status["status"]),
        (&"b".into(), &"CLEANUP_PREVIOUS_UPDATE".into())
    );
    device.slots("mark-successful");

    assert_eq!(device.slots("apply /opt/payloads/broken.bin")["code"], 0);
    let vain = device.cut("two");
    assert_eq!(vain, loader.tries(), "{}", device.machine.console());
    let status = device.slots("status");
    assert_eq!((&status["running"], &status["slots"][0]["bootable"]), (&"b".into(), &false.into()));
    assert_eq!(status["last"]["name"], "RolledBack", "{status}");
    // GRUB, and U-Boot with RAUC's variables, count what works, too.
    device.slots("mark-successful");
    assert_eq!(device.slots("status")["active"], "b");
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn grub_tries_a_slot_and_gives_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::Grub);
}

#[test]
fn uboot_with_the_variables_of_rauc_tries_a_slot_and_gives_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::UbootRauc);
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn uboot_with_the_variables_of_mender_tries_a_slot_and_gives_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::UbootMender);
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn systemd_boot_tries_a_slot_and_gives_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::SystemdBoot);
}

#[test]
fn firmware_tries_a_slot_by_its_own_entries_and_gives_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::Efi);
}

#[test]
fn androids_rules_try_a_slot_and_give_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::Misc);
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn chromeos_rules_try_a_slot_and_give_a_broken_one_up() {
    is_tried_kept_and_given_up(SlotLoader::Gpt);
}
