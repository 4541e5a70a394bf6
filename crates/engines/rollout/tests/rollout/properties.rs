//! What holds for every rollout, whatever its devices do.

use crate::fleet::Fleet;
use proptest::prelude::*;
use std::collections::BTreeSet;
use updraft_rollout::{Action, Availability, Progress, State, Threshold, plan};

/// One thing that happens to one device between two ticks.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Start,
    Succeed,
    Fail,
    Leave,
    Busy,
    Free,
    Late,
    Pause,
    Resume,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Start),
        6 => Just(Happening::Succeed),
        2 => Just(Happening::Fail),
        1 => Just(Happening::Leave),
        1 => Just(Happening::Busy),
        2 => Just(Happening::Free),
        1 => Just(Happening::Late),
        1 => Just(Happening::Pause),
        2 => Just(Happening::Resume),
    ]
}

fn happen(fleet: &mut Fleet, index: usize, happening: Happening) {
    let Some(member) = fleet.rollout.members.get(index) else { return };
    let (device, progress) = (member.device.clone(), member.progress);
    let told = matches!(progress, Progress::Assigned { .. } | Progress::Started { .. });
    match happening {
        Happening::Start => {
            if matches!(progress, Progress::Assigned { .. }) {
                fleet.start(&device);
            }
        }
        Happening::Succeed if told => drop(fleet.succeed(&device)),
        Happening::Fail if told => drop(fleet.fail(&device)),
        Happening::Leave => drop(fleet.available(&device, Availability::Gone)),
        Happening::Busy => drop(fleet.available(&device, Availability::Busy)),
        Happening::Free => drop(fleet.available(&device, Availability::Free)),
        Happening::Late => drop(fleet.pass_seconds(61)),
        Happening::Pause if fleet.rollout.state == State::Running => {
            fleet.rollout.state = State::Paused;
        }
        Happening::Resume if fleet.rollout.state == State::Paused => {
            fleet.rollout.state = State::Running;
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn rollouts_keep_their_promises(
        sizes in proptest::collection::vec(0_usize..6, 1..5),
        success in (0_u8..=100, 0_u32..4),
        failure in (0_u8..=100, 0_u32..4),
        timeout in any::<bool>(),
        story in proptest::collection::vec((0_usize..24, happening()), 0..120),
    ) {
        let names: Vec<Vec<String>> = sizes
            .iter()
            .enumerate()
            .map(|(phase, size)| (0..*size).map(|n| format!("{phase}-{n}")).collect())
            .collect();
        let borrowed: Vec<Vec<&str>> =
            names.iter().map(|phase| phase.iter().map(String::as_str).collect()).collect();
        let phases: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
        let mut fleet = Fleet::new(&phases);
        fleet.rollout.success = Threshold::new(success.0, success.1).expect("valid");
        fleet.rollout.failure = Threshold::new(failure.0, failure.1).expect("valid");
        fleet.rollout.device_timeout = timeout.then_some(std::time::Duration::from_mins(1));

        let mut assigned = BTreeSet::new();
        let mut tick = |fleet: &mut Fleet| {
            let before = fleet.rollout.clone();
            let actions = fleet.apply();
            for action in &actions {
                if let Action::Assign { device } = action {
                    assert!(assigned.insert(device.clone()), "{device} assigned twice");
                    assert_eq!(before.state, State::Running);
                    let member =
                        fleet.rollout.members.iter().find(|member| member.device == *device);
                    assert!(member.expect("known").phase <= fleet.rollout.current_phase);
                }
            }
            assert!(fleet.rollout.current_phase >= before.current_phase);
            assert!(fleet.rollout.current_phase < fleet.rollout.phases);
            for (old, new) in before.members.iter().zip(&fleet.rollout.members) {
                assert!(!old.progress.is_final() || old.progress == new.progress);
            }
            assert_eq!(plan(&fleet.rollout, fleet.now), [], "not a fixed point");
        };
        for (index, what) in story {
            happen(&mut fleet, index, what);
            tick(&mut fleet);
        }

        // Whatever came before: once every device can and does end, the rollout ends.
        for round in 0..=sizes.len() {
            if fleet.rollout.state == State::Paused {
                fleet.rollout.state = State::Running;
            }
            for index in 0..fleet.rollout.members.len() {
                if fleet.rollout.members[index].availability == Availability::Busy {
                    happen(&mut fleet, index, Happening::Free);
                }
            }
            tick(&mut fleet);
            for index in 0..fleet.rollout.members.len() {
                happen(&mut fleet, index, Happening::Succeed);
            }
            tick(&mut fleet);
            prop_assert!(round < sizes.len() || fleet.rollout.state == State::Ended);
        }
    }
}
