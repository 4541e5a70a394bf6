//! The engine on a simulated device: power cuts, kills, and failures of every operation.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "tests")]

#[path = "../../../../formats/tuf/tests/conformance/common.rs"]
mod common;
mod device;

use std::collections::BTreeSet;

use device::{Device, Fuse, OLD, Trouble, assignment};
use updraft_error::Kind;
use updraft_task::Context;
use updraft_update::{Assignment, Engine, Error, Finished, Outcome};

/// More operations than an update has.
const TOO_MANY: u32 = 500;

type Wanted = Assignment<updraft_tuf::UptaneTarget>;

/// One call of the engine by a new process.
fn advance(device: &mut Device, wanted: &Wanted) -> Result<Outcome, Error> {
    let ctx = Context::silent();
    let (mut system, mut app, mut host, mut journal) = device.parts();
    let installers = [
        (device::system(), &mut system as &mut dyn updraft_update::Installer<Target = _>),
        (device::app(), &mut app as &mut dyn updraft_update::Installer<Target = _>),
    ];
    Engine::new(installers, &mut host, &mut journal).advance(&ctx, wanted, &BTreeSet::new())
}

/// Calls and reboots until the transaction is over; everything works from now on.
fn settle(device: &Device, wanted: &Wanted) -> Option<Finished> {
    device.set(Fuse::Never);
    for _ in 0..6 {
        let mut process = device.process();
        match advance(&mut process, wanted).unwrap() {
            Outcome::RebootRequired(_) => device.reboot(),
            Outcome::Finished(record) => return record.finished,
            Outcome::Idle(_) => return None,
        }
    }
    panic!("the device does not come to rest: {device:?}");
}

/// Fails operation N of an update, for every N; gives what the transactions came to.
fn at_every_operation(
    fuse: impl Fn(u32) -> Fuse,
    after: impl Fn(&Device),
    sick: bool,
) -> Vec<Finished> {
    let wanted = assignment("new");
    let mut ends = Vec::new();
    for operations in 0.. {
        assert!(operations < TOO_MANY, "the update never ends");
        let device = Device::on_old(sick);
        device.set(fuse(operations));
        // As far as it comes, with the reboots that it asks for.
        for _ in 0..4 {
            match advance(&mut device.process(), &wanted) {
                Ok(Outcome::RebootRequired(_)) if !device.has_struck() => device.reboot(),
                _ => break,
            }
        }
        let struck = device.has_struck();
        device.check(&wanted);
        if struck {
            after(&device);
        }
        device.check(&wanted);
        let end = settle(&device, &wanted).expect("the transaction is remembered to its end");
        device.check(&wanted);
        device.check_end(end, &wanted);
        ends.push(end);
        if !struck {
            assert!(operations > 20, "only {operations} operations were counted");
            return ends;
        }
    }
    unreachable!("the loop has no end of its own");
}

#[test]
fn a_kill_at_any_operation_delays_the_update_and_nothing_else() {
    let ends = at_every_operation(Fuse::Cut, |_| {}, false);
    assert!(ends.iter().all(|end| *end == Finished::Installed), "{ends:?}");
}

#[test]
fn a_power_cut_at_any_operation_delays_the_update_and_nothing_else() {
    let ends = at_every_operation(Fuse::Cut, Device::reboot, false);
    assert!(ends.iter().all(|end| *end == Finished::Installed), "{ends:?}");
}

#[test]
fn a_server_or_system_that_does_not_answer_delays_the_update_and_nothing_else() {
    let fuse = |n| Fuse::Once(n, Trouble(Kind::Unavailable));
    let ends = at_every_operation(fuse, |_| {}, false);
    // A health check that cannot be carried out has failed, and so has one after which nobody can
    // say what runs; all else is tried again. Two components have one check each.
    let back = ends.iter().filter(|end| **end == Finished::RolledBack).count();
    assert!(back <= 4, "{ends:?}");
}

#[test]
fn any_failure_of_any_operation_ends_on_all_new_or_all_old() {
    for kind in [Kind::Rejected, Kind::Exhausted, Kind::Conflict, Kind::Invalid] {
        let ends = at_every_operation(|n| Fuse::Once(n, Trouble(kind)), |_| {}, false);
        assert!(ends.contains(&Finished::RolledBack), "{kind}: nothing was taken back");
    }
}

#[test]
fn a_sick_system_is_left_wherever_the_power_is_cut() {
    for after in [|_: &Device| {}, Device::reboot as fn(&Device)] {
        let ends = at_every_operation(Fuse::Cut, after, true);
        assert!(ends.iter().all(|end| *end == Finished::RolledBack), "{ends:?}");
    }
}

#[test]
fn a_system_whose_tries_are_counted_is_tried_again_before_it_is_left() {
    let wanted = assignment("new");
    for (well_after, end, boots) in
        [(0, Finished::Installed, 1), (2, Finished::Installed, 2), (9, Finished::RolledBack, 4)]
    {
        let device = Device::counted(3, well_after);
        assert_eq!(settle(&device, &wanted), Some(end));
        device.check_end(end, &wanted);
        assert_eq!(device.boots(), boots);
    }
}

#[test]
fn a_boot_loader_that_fell_back_is_believed_and_its_reason_is_told() {
    // The system never comes as far as to check its health.
    let wanted = assignment("new");
    let device = Device::counted(0, 9);
    let outcome = advance(&mut device.process(), &wanted).unwrap();
    assert!(matches!(outcome, Outcome::RebootRequired(_)));
    device.reboot();
    let Outcome::Finished(record) = advance(&mut device.process(), &wanted).unwrap() else {
        panic!("it is not over")
    };
    assert_eq!(record.finished, Some(Finished::RolledBack));
    let failure = record.failure.unwrap();
    assert!(failure.image_at_fault && failure.action.starts_with("reboot into "), "{failure:?}");
    assert!(failure.message.ends_with("; no tries were left"), "{failure:?}");
    device.check_end(Finished::RolledBack, &wanted);
}

#[test]
fn an_assignment_that_changes_before_the_switch_is_followed_and_no_failure() {
    for operations in 0..TOO_MANY {
        let device = Device::on_old(false);
        device.set(Fuse::Cut(operations));
        let first = advance(&mut device.process(), &assignment("new"));
        device.set(Fuse::Never);
        if matches!(first, Ok(Outcome::RebootRequired(_))) {
            return;
        }
        let newer = assignment("newer");
        let outcome = advance(&mut device.process(), &newer).unwrap();
        let activated = device.next() != [OLD, OLD];
        if let Outcome::Finished(record) = &outcome {
            let failure = record.failure.as_ref().unwrap();
            assert!(failure.is_superseded() && !failure.image_at_fault, "{failure:?}");
            assert!(!activated, "the old transaction left something behind: {device:?}");
            device.acknowledge();
            settle(&device, &newer);
            device.check_end(Finished::Installed, &newer);
        }
    }
    panic!("the update never ends");
}
