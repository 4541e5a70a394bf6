//! Rollouts played through, step by step, against what a person would write down.

use crate::fleet::Fleet;
use updraft_rollout::{Action, Availability, Progress, SkipReason, State, StopReason, Threshold};

#[test]
fn two_phases_go_through() {
    let mut fleet = Fleet::new(&[&["a", "b"], &["c", "d", "e"]]);
    fleet.expect(&["assign a", "assign b"]);
    fleet.start("a").succeed("a");
    fleet.expect(&[]);
    fleet.succeed("b");
    fleet.expect(&["advance 1", "assign c", "assign d", "assign e"]);
    fleet.succeed("c").succeed("d").succeed("e");
    fleet.expect(&["finish"]);
    fleet.expect(&[]);
}

#[test]
fn one_failure_stops_and_takes_back_what_has_not_started() {
    let mut fleet = Fleet::new(&[&["a", "b", "c"], &["d"]]);
    fleet.expect(&["assign a", "assign b", "assign c"]);
    fleet.start("a").start("b").fail("b");
    fleet.expect(&[
        "cancel c",
        "cancel d",
        "stop: 1 of 3 devices of phase 1 failed, which reaches the failure threshold",
    ]);
    assert!(matches!(fleet.progress("a"), Progress::Started { .. }));
    fleet.expect(&[]);
}

#[test]
fn a_failure_below_the_threshold_is_survived() {
    let mut fleet = Fleet::new(&[&["a", "b", "c", "d"], &["e"]]);
    fleet.rollout.failure = Threshold::new(50, 1).expect("valid");
    fleet.rollout.success = Threshold::new(75, 1).expect("valid");
    fleet.apply();
    fleet.fail("a");
    fleet.expect(&[]);
    fleet.succeed("b").succeed("c");
    fleet.expect(&[]);
    fleet.succeed("d");
    fleet.expect(&["advance 1", "assign e"]);
    fleet.succeed("e");
    fleet.expect(&["finish"]);
}

#[test]
fn a_phase_that_ends_below_its_success_threshold_stops() {
    let mut fleet = Fleet::new(&[&["a", "b"], &["c"]]);
    fleet.rollout.failure = Threshold::new(100, 1).expect("valid");
    fleet.apply();
    fleet.fail("a").succeed("b");
    fleet.expect(&[
        "cancel c",
        "stop: only 1 of 2 devices of phase 1 succeeded, below the success threshold",
    ]);
}

#[test]
fn a_straggler_of_an_earlier_phase_can_still_stop_the_rollout() {
    let mut fleet = Fleet::new(&[&["a", "b"], &["c", "d"]]);
    fleet.rollout.success = Threshold::new(50, 1).expect("valid");
    fleet.rollout.failure = Threshold::new(50, 1).expect("valid");
    fleet.apply();
    fleet.succeed("a");
    fleet.expect(&["advance 1", "assign c", "assign d"]);
    fleet.start("c").fail("b");
    fleet.expect(&[
        "cancel d",
        "stop: 1 of 2 devices of phase 1 failed, which reaches the failure threshold",
    ]);
}

#[test]
fn least_numbers_keep_a_single_early_failure_from_stopping_a_large_phase() {
    let mut fleet = Fleet::new(&[&["a", "b", "c", "d"]]);
    fleet.rollout.failure = Threshold::new(25, 2).expect("valid");
    fleet.rollout.success = Threshold::new(50, 1).expect("valid");
    fleet.apply();
    fleet.fail("a");
    fleet.expect(&[]);
    fleet.fail("b");
    fleet.expect(&[
        "cancel c",
        "cancel d",
        "stop: 2 of 4 devices of phase 1 failed, which reaches the failure threshold",
    ]);
}

#[test]
fn devices_that_need_nothing_or_fit_nothing_do_not_hold_it_up() {
    let mut fleet = Fleet::new(&[&["a", "b", "c"], &[], &["d"]]);
    fleet.available("a", Availability::Current);
    fleet.available("b", Availability::Unfit);
    fleet.available("c", Availability::Gone);
    fleet.expect(&[
        "skip c: the device was deleted or revoked",
        "complete a",
        "skip b: no target of the release fits the device's hardware",
        "advance 1",
        "advance 2",
        "assign d",
    ]);
}

#[test]
fn a_busy_device_waits_for_its_other_rollout() {
    let mut fleet = Fleet::new(&[&["a", "b"]]);
    fleet.available("a", Availability::Busy);
    fleet.expect(&["assign b"]);
    fleet.succeed("b");
    fleet.expect(&[]);
    fleet.available("a", Availability::Free);
    fleet.expect(&["assign a"]);
}

#[test]
fn no_news_in_time_is_a_failure() {
    let mut fleet = Fleet::new(&[&["a", "b"]]);
    fleet.rollout.device_timeout = Some(std::time::Duration::from_mins(1));
    fleet.rollout.failure = Threshold::new(100, 1).expect("valid");
    fleet.apply();
    fleet.start("a");
    fleet.pass_seconds(59);
    fleet.expect(&[]);
    fleet.succeed("b").pass_seconds(1);
    fleet.expect(&[
        "time out a",
        "stop: only 1 of 2 devices of phase 1 succeeded, below the success threshold",
    ]);
}

#[test]
fn a_clock_that_jumped_back_times_nobody_out() {
    let mut fleet = Fleet::new(&[&["a"]]);
    fleet.rollout.device_timeout = Some(std::time::Duration::from_mins(1));
    fleet.apply();
    fleet.pass_seconds(-3600);
    fleet.expect(&[]);
}

#[test]
fn a_paused_rollout_assigns_nothing_but_still_stops() {
    let mut fleet = Fleet::new(&[&["a"], &["b"]]);
    fleet.apply();
    fleet.rollout.state = State::Paused;
    fleet.succeed("a");
    fleet.expect(&[]);
    fleet.rollout.state = State::Running;
    fleet.expect(&["advance 1", "assign b"]);
    fleet.rollout.state = State::Paused;
    fleet.fail("b");
    fleet.expect(&["stop: 1 of 1 devices of phase 2 failed, which reaches the failure threshold"]);
}

#[test]
fn a_person_stops() {
    let mut fleet = Fleet::new(&[&["a", "b"], &["c"]]);
    fleet.apply();
    fleet.start("a");
    let actions = updraft_rollout::stop(&fleet.rollout);
    assert_eq!(
        actions,
        [
            Action::Cancel { device: "b".into() },
            Action::Cancel { device: "c".into() },
            Action::Stop { reason: StopReason::Requested }
        ]
    );
    fleet.rollout.state = State::Ended;
    assert!(updraft_rollout::stop(&fleet.rollout).is_empty());
}

#[test]
fn a_device_that_goes_away_while_updating_is_left_out() {
    let mut fleet = Fleet::new(&[&["a", "b"]]);
    fleet.apply();
    fleet.start("a").succeed("b").available("a", Availability::Gone);
    let actions = fleet.apply();
    assert_eq!(
        actions,
        [Action::Skip { device: "a".into(), reason: SkipReason::Gone }, Action::Finish]
    );
}

#[test]
fn an_empty_rollout_finishes_at_once() {
    Fleet::new(&[&[], &[]]).expect(&["advance 1", "finish"]);
}
