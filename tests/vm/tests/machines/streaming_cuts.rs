//! A machine whose power fails while its agent streams an update from the server into the slot that does
//! not run: each time it comes up with the old release, which is whole, and goes on, until the new one
//! is up. `UPDRAFT_KILLS` says how often the power fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use harness::HARDWARE;
use machine::Machine;
use serde_json::Value;
use vm::{Board, SlotLoader, TwoRoots, Vendor};

const KILLS: u32 = 3;
/// What nothing makes smaller, so that there is something to stream.
const BALLAST_MIB: u64 = 24;
const BLOCK: usize = 4096;
const STREAMED: Duration = Duration::from_mins(3);
const BOOT: Duration = Duration::from_mins(5);

const CONFIGURATION: &str = "\
[uptane]
polling_sec = 1

[pacman]
type = \"slots\"

[storage]
path = \"/var/sota\"

[bootloader]
reboot_sentinel_dir = \"/run/updraft-session\"
reboot_command = \"sync; reboot -f\"
";

/// How many blocks of an image a slot holds, of those that are not empty.
fn held(board: &Board, slot: &str, image: &[u8]) -> (usize, usize) {
    let part = board.disk().part(slot).unwrap();
    let mut bytes = vec![0; image.len()];
    File::open(&board.disk().path).unwrap().read_exact_at(&mut bytes, part.offset).unwrap();
    let blocks = image.chunks(BLOCK).zip(bytes.chunks(BLOCK));
    let filled = blocks.filter(|(wanted, _)| wanted.iter().any(|byte| *byte != 0));
    filled
        .fold((0, 0), |(same, all), (wanted, found)| (same + usize::from(wanted == found), all + 1))
}

/// Waits until so many blocks have arrived.
fn wait_for_blocks(board: &Board, machine: &mut Machine, image: &[u8], wanted: usize) {
    let begun = Instant::now();
    while held(board, "system_b", image).0 < wanted {
        assert!(begun.elapsed() < STREAMED && !machine.has_ended(), "{}", log(machine));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn log(machine: &mut Machine) -> String {
    let log = machine.run("tail -n 30 /var/updraftd.log").map(|answer| answer.output);
    log.unwrap_or_else(|_| machine.console())
}

fn wait_for_server(vendor: &Vendor, machine: &mut Machine, known: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let device = vendor.device();
        if device.as_ref().is_ok_and(&known) {
            return;
        }
        assert!(begun.elapsed() < STREAMED, "{device:?}\n{}", log(machine));
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn an_update_that_is_streamed_goes_on_after_each_cut() {
    let kills = std::env::var("UPDRAFT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let vendor = Vendor::create(folder.path()).unwrap();
    let roots = TwoRoots::with_ballast(folder.path(), &["one", "two"], BALLAST_MIB).unwrap();
    let roots = roots.with_agent(&vendor, CONFIGURATION).unwrap();
    let board = roots.board(SlotLoader::Misc, "one").unwrap();
    let (one, two) = ["one", "two"].map(|name| std::fs::read(roots.image(name)).unwrap()).into();
    let payload = format!("{HARDWARE}={}", roots.payload("two").display());
    vendor.operator.run(&["release", "create", "two", "--payload", &payload]).unwrap();
    let (mut machine, _) = board.start("one").unwrap();
    wait_for_server(&vendor, &mut machine, |device| device["slots"]["running"] == "a");
    vendor.operator.run(&["rollout", "create", "two", "--release", "two"]).unwrap();

    let mut random = fastrand::Rng::new();
    let (before, all) = held(&board, "system_b", &two);
    let mut least = before;
    for number in 0..kills {
        // Some time within an equal share of what is still to come.
        let share = (all - least) / (kills - number + 1) as usize;
        let wanted = (least + random.usize(share / 4..=share)).min(all - 1);
        wait_for_blocks(&board, &mut machine, &two, wanted);
        machine.kill();
        let (same, _) = held(&board, "system_b", &two);
        println!("the power fails with {same} of {all} blocks written; {wanted} were waited for");
        // What was there is not written anew from the beginning, and the old release is whole.
        assert!(same >= least, "{same} blocks of {least}");
        assert_eq!(held(&board, "system_a", &one).0, held(&board, "system_a", &one).1);
        least = same;
        (machine, _) = board.start("one").unwrap();
    }
    machine.wait_for_end(BOOT).unwrap();
    let (mut machine, vain) = board.start("two").unwrap();
    assert!(vain.is_empty(), "{vain:?}");
    assert_eq!(held(&board, "system_b", &two), (all, all));
    wait_for_server(&vendor, &mut machine, |device| {
        device["last_report"]["success"] == true
            && device["slots"]["slots"][1]["successful"] == true
    });
}
