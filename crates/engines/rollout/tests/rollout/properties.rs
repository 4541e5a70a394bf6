//! What holds for every rollout, whatever its devices do.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use updraft_rollout::{
    Action, Availability, Health, Limits, OnFailure, Progress, Rate, State, Tally, Threshold,
    Verdict, WayBack, plan,
};

use crate::fleet::Fleet;

/// One thing that happens to one device between two ticks.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Fetch,
    Succeed,
    Fail,
    Leave,
    Availability(Availability),
    Health(Health),
    WayBack(WayBack),
    Freeze(bool),
    Pass(i64),
    Pause,
    Resume,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Fetch),
        6 => Just(Happening::Succeed),
        2 => Just(Happening::Fail),
        1 => Just(Happening::Leave),
        1 => Just(Happening::Availability(Availability::Busy)),
        1 => Just(Happening::Availability(Availability::Pinned)),
        2 => Just(Happening::Availability(Availability::Free)),
        1 => Just(Happening::Health(Health::Failing)),
        1 => Just(Happening::Health(Health::Pending)),
        2 => Just(Happening::Health(Health::Good)),
        2 => Just(Happening::WayBack(WayBack::Needed)),
        1 => Just(Happening::WayBack(WayBack::Impossible)),
        1 => any::<bool>().prop_map(Happening::Freeze),
        3 => (1_i64..100).prop_map(Happening::Pass),
        1 => Just(Happening::Pause),
        2 => Just(Happening::Resume),
    ]
}

fn happen(fleet: &mut Fleet, index: usize, happening: Happening) {
    match happening {
        Happening::Pass(seconds) => return fleet.pass(seconds),
        Happening::Pause if fleet.rollout.state == State::Running => {
            fleet.rollout.state = State::Paused;
        }
        Happening::Resume if fleet.rollout.state == State::Paused => fleet.resume(),
        _ => {}
    }
    let Some(member) = fleet.rollout.members.get_mut(index) else { return };
    match happening {
        Happening::Fetch if member.progress == Progress::Assigned => {
            member.progress = Progress::Started;
        }
        Happening::Succeed => match member.progress {
            Progress::Assigned | Progress::Started => member.progress = Progress::Succeeded,
            Progress::RollingBack => member.progress = Progress::RolledBack,
            _ => {}
        },
        Happening::Fail => match member.progress {
            Progress::Assigned | Progress::Started => member.progress = Progress::Failed,
            Progress::RollingBack => member.progress = Progress::RollbackFailed,
            _ => {}
        },
        Happening::Leave => member.availability = Availability::Gone,
        Happening::Availability(availability) if member.availability != Availability::Gone => {
            member.availability = availability;
        }
        Happening::Health(health) => member.health = health,
        Happening::WayBack(way_back) => member.way_back = way_back,
        Happening::Freeze(frozen) => member.frozen = frozen,
        _ => {}
    }
}

prop_compose! {
    fn limits()(
        rate in prop_oneof![
            Just(None),
            (1_u32..4).prop_map(|count| Some(Rate::PerMinute(count))),
            (1_u32..3, 50_u32..250, 1_u64..90).prop_map(|(start, factor_percent, seconds)| {
                let interval = Duration::from_secs(seconds);
                Some(Rate::Exponential { start, factor_percent, interval })
            }),
        ],
        max_active in proptest::option::of(1_u32..4),
        max_attempts in 1_u32..4,
    ) -> Limits {
        Limits { rate, max_active, max_attempts }
    }
}

/// What was assigned when.
#[derive(Default)]
struct Log {
    of_device: BTreeMap<String, u32>,
    times: Vec<Timestamp>,
}

/// One tick, and everything that must hold after it.
fn tick(fleet: &mut Fleet, log: &mut Log) {
    let before = fleet.rollout.clone();
    let actions = fleet.apply();
    let after = &fleet.rollout;
    for action in &actions {
        match action {
            Action::Assign { device } => {
                let count = log.of_device.entry(device.clone()).or_default();
                *count += 1;
                log.times.push(fleet.now);
                assert!(*count <= before.limits.max_attempts, "{device}: {count} attempts");
                assert!(matches!(before.state, State::Running | State::Scheduled));
                let member = after.members.iter().find(|member| member.device == *device);
                let member = member.expect("known");
                assert!(member.phase <= after.current_phase);
                assert!(!member.frozen && member.availability == Availability::Free);
            }
            Action::Withdraw { device } => {
                *log.of_device.get_mut(device).expect("was assigned") -= 1;
            }
            Action::Advance { phase } => {
                let left = phase - 1;
                assert!(good(after, left), "phase {left} was left open");
                let soak = after.phases[left as usize].soak;
                let has_members = after
                    .members
                    .iter()
                    .any(|member| member.phase == left && member.progress != Progress::Skipped);
                if !soak.is_zero() && has_members {
                    let since = before.soaking_since.expect("it soaked");
                    assert_eq!(before.current_phase, left);
                    assert!(fleet.now.duration_since(since).unsigned_abs() >= soak);
                }
            }
            _ => {}
        }
    }
    within_limits(fleet, log, !actions.is_empty());
    let after = &fleet.rollout;
    assert!(after.current_phase >= before.current_phase);
    assert!((after.current_phase as usize) < after.phases.len());
    for (old, new) in before.members.iter().zip(&after.members) {
        let moved = old.progress != new.progress;
        let retried = old.progress == Progress::Failed;
        let taken_back = before.state == State::RollingBack;
        assert!(!(moved && old.progress.is_final()) || retried || taken_back, "{old:?} {new:?}");
    }
    if before.state != State::RollingBack && after.state == State::RollingBack {
        // Who is taken back is decided in the round after.
        fleet.apply();
    }
    assert_eq!(plan(&fleet.rollout, fleet.now), [], "not a fixed point");
}

fn within_limits(fleet: &Fleet, log: &Log, acted: bool) {
    let rollout = &fleet.rollout;
    let limits = rollout.limits;
    let active = rollout
        .members
        .iter()
        .filter(|member| matches!(member.progress, Progress::Assigned | Progress::Started));
    assert!(limits.max_active.is_none_or(|most| active.count() <= most as usize));
    if !acted {
        return;
    }
    match limits.rate {
        None => {}
        Some(Rate::PerMinute(count)) => {
            let minute_ago = fleet.now - SignedDuration::from_mins(1);
            let told = log.times.iter().filter(|at| **at > minute_ago).count();
            assert!(told <= count as usize, "{told} in a minute");
        }
        Some(Rate::Exponential { start, factor_percent, interval }) => {
            let begun = rollout.begun_at.expect("it began");
            let length = interval.as_secs();
            let number = fleet.now.duration_since(begun).unsigned_abs().as_secs() / length;
            let mut allowed = u64::from(start);
            for _ in 0..number.min(200) {
                let next = (allowed * u64::from(factor_percent)).div_ceil(100);
                allowed = next.clamp(1, u64::from(u32::MAX));
            }
            let first = begun + Duration::from_secs(number * length);
            let told = log.times.iter().filter(|at| **at >= first).count() as u64;
            assert!(told <= allowed, "{told} in interval {number}, {allowed} allowed");
        }
    }
}

fn good(rollout: &updraft_rollout::Rollout, phase: u32) -> bool {
    // Devices are judged as they were before the next phase had any say.
    let mut tally = Tally::default();
    rollout.members.iter().filter(|one| one.phase == phase).for_each(|one| tally.add(one));
    tally.verdict(&rollout.phases[phase as usize]) == Verdict::Succeeded
}

proptest! {
    #[test]
    fn rollouts_keep_their_promises(
        sizes in proptest::collection::vec(0_usize..6, 1..5),
        success in (0_u8..=100, 0_u32..4),
        failure in (0_u8..=100, 0_u32..4),
        soak in prop_oneof![Just(0_u64), 1_u64..100],
        limits in limits(),
        on_failure in prop_oneof![
            Just(OnFailure::Stop), Just(OnFailure::Pause), Just(OnFailure::RollBack)
        ],
        timeout in any::<bool>(),
        scheduled in any::<bool>(),
        story in proptest::collection::vec((0_usize..24, happening()), 0..120),
    ) {
        let names: Vec<Vec<String>> = sizes
            .iter()
            .enumerate()
            .map(|(phase, size)| (0..*size).map(|n| format!("{phase}-{n}")).collect())
            .collect();
        let mut fleet = Fleet::new(&names);
        for phase in &mut fleet.rollout.phases {
            phase.success = Threshold::new(success.0, success.1).expect("valid");
            phase.failure = Threshold::new(failure.0, failure.1).expect("valid");
            phase.soak = Duration::from_secs(soak);
        }
        fleet.rollout.limits = limits;
        fleet.rollout.on_failure = on_failure;
        fleet.rollout.device_timeout = timeout.then_some(Duration::from_mins(1));
        if scheduled {
            fleet.rollout.state = State::Scheduled;
            fleet.rollout.begun_at = None;
            fleet.rollout.starts_at = Some(fleet.now + SignedDuration::from_secs(30));
        }
        let mut log = Log::default();
        for (index, what) in story {
            happen(&mut fleet, index, what);
            tick(&mut fleet, &mut log);
        }

        // Whatever came before: once every device can and does end, the rollout ends.
        let mut rounds = 0;
        while fleet.rollout.state != State::Ended {
            rounds += 1;
            prop_assert!(rounds < 400, "does not end: {:?}", fleet.rollout);
            if fleet.rollout.state == State::Paused {
                fleet.resume();
            }
            for index in 0..fleet.rollout.members.len() {
                let member = &mut fleet.rollout.members[index];
                member.frozen = false;
                member.health = Health::Good;
                if member.availability == Availability::Busy {
                    member.availability = Availability::Free;
                }
            }
            tick(&mut fleet, &mut log);
            for index in 0..fleet.rollout.members.len() {
                happen(&mut fleet, index, Happening::Succeed);
            }
            fleet.pass(60);
            tick(&mut fleet, &mut log);
        }
    }
}
