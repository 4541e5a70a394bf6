//! Rollouts played through from scripts, and held against the trace that is written in them.
//!
//! A script in `scenarios/` is a story for people: what a rollout is like, what happens, and, indented,
//! what the planner does. The lines that can be written are in [`Player::line`]. After an intended
//! change, run the test, look at what it wrote, and take that over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use updraft_rollout::{
    Availability, Health, OnFailure, Progress, Rate, State, Threshold, WayBack, Window,
    parse_time_zone,
};

use crate::fleet::{Fleet, describe};

#[test]
fn scripts_go_as_they_are_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollout/scenarios");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("a folder of scripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut wrong = Vec::new();
    for path in paths {
        let written = std::fs::read_to_string(&path).expect("a script");
        let played = play(&written);
        if written != played {
            let name = path.file_name().expect("a name");
            let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::io::Write::write_all(
                &mut std::fs::File::create(&actual).expect("a file"),
                played.as_bytes(),
            )
            .expect("written");
            wrong.push(format!("diff {} {}", path.display(), actual.display()));
        }
    }
    assert!(wrong.is_empty(), "these go otherwise than they are written:\n{}", wrong.join("\n"));
}

/// The script with the trace that the planner gives today.
fn play(script: &str) -> String {
    let mut player = Player::default();
    let mut played = String::new();
    for line in script.lines().filter(|line| !line.starts_with("  ")) {
        played.push_str(line);
        played.push('\n');
        for trace in player.line(line) {
            played.push_str("  ");
            played.push_str(&trace);
            played.push('\n');
        }
    }
    played
}

#[derive(Default)]
struct Player {
    phases: Vec<Vec<String>>,
    fleet: Option<Fleet>,
}

impl Player {
    /// Does what a line says; gives what the planner does.
    fn line(&mut self, line: &str) -> Vec<String> {
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["phase", devices @ ..] = words.as_slice() {
            self.phases.push(devices.iter().map(|device| (*device).to_owned()).collect());
            return Vec::new();
        }
        if words.is_empty() {
            return Vec::new();
        }
        let fleet = self.fleet.get_or_insert_with(|| Fleet::new(&self.phases));
        let actions = match words.as_slice() {
            ["tick"] => fleet.apply(),
            ["stop"] => updraft_rollout::stop(&fleet.rollout, fleet.now),
            ["roll-back"] => updraft_rollout::roll_back(&fleet.rollout, fleet.now),
            _ => {
                assert!(
                    settings(fleet, &words) || story(fleet, &words),
                    "this cannot be written: {line}"
                );
                return Vec::new();
            }
        };
        if words != ["tick"] {
            fleet.apply_all(&actions);
        }
        actions.iter().map(describe).collect()
    }
}

/// How the rollout is.
fn settings(fleet: &mut Fleet, words: &[&str]) -> bool {
    let rollout = &mut fleet.rollout;
    match *words {
        // For all phases, or for one: `success 75%/2 in 1`.
        ["success", value, ref which @ ..] => {
            for phase in chosen(&mut rollout.phases, which) {
                phase.success = threshold(value);
            }
        }
        ["failure", value, ref which @ ..] => {
            for phase in chosen(&mut rollout.phases, which) {
                phase.failure = threshold(value);
            }
        }
        ["soak", value, ref which @ ..] => {
            for phase in chosen(&mut rollout.phases, which) {
                phase.soak = duration(value);
            }
        }
        ["timeout", value] => rollout.device_timeout = Some(duration(value)),
        ["on-failure", "pause"] => rollout.on_failure = OnFailure::Pause,
        ["on-failure", "roll-back"] => rollout.on_failure = OnFailure::RollBack,
        ["attempts", value] => rollout.limits.max_attempts = number(value),
        ["max-active", value] => rollout.limits.max_active = Some(number(value)),
        ["rate", value, "per", "minute"] => {
            rollout.limits.rate = Some(Rate::PerMinute(number(value)));
        }
        ["rate", start, "times", factor, "every", interval] => {
            rollout.limits.rate = Some(Rate::Exponential {
                start: number(start),
                factor_percent: number(factor.trim_end_matches('%')),
                interval: duration(interval),
            });
        }
        ["window", start, "for", length, ref days @ ..] => {
            let days: Vec<Weekday> = days.iter().map(|day| weekday(day)).collect();
            let start: Time = start.parse().expect("a time");
            let window = Window::new(&days, start, duration(length)).expect("valid");
            rollout.windows.windows.push(window);
        }
        ["zone", name] => rollout.windows.time_zone = parse_time_zone(name).expect("a zone"),
        ["starts", "in", value] => {
            rollout.state = State::Scheduled;
            rollout.begun_at = None;
            let after = jiff::SignedDuration::try_from(duration(value)).expect("short");
            rollout.starts_at = Some(fleet.now + after);
        }
        ["held"] => rollout.state = State::Held,
        _ => return false,
    }
    true
}

/// What happens.
fn story(fleet: &mut Fleet, words: &[&str]) -> bool {
    match *words {
        ["wait", value] => {
            fleet.pass(i64::try_from(duration(value).as_secs()).expect("short"));
        }
        ["clock", "back", value] => {
            fleet.pass(-i64::try_from(duration(value).as_secs()).expect("short"));
        }
        ["pause"] => fleet.rollout.state = State::Paused,
        ["resume"] => fleet.resume(),
        ["fetch", ref devices @ ..] => each(fleet, devices, |member| {
            assert_eq!(member.progress, Progress::Assigned, "{} has nothing", member.device);
            member.progress = Progress::Started;
        }),
        ["succeed", ref devices @ ..] => each(fleet, devices, |member| {
            assert!(member.progress.is_active(), "{} has nothing to do", member.device);
            member.progress = match member.progress {
                Progress::RollingBack => Progress::RolledBack,
                _ => Progress::Succeeded,
            };
        }),
        ["fail", ref devices @ ..] => each(fleet, devices, |member| {
            assert!(member.progress.is_active(), "{} has nothing to do", member.device);
            member.progress = match member.progress {
                Progress::RollingBack => Progress::RollbackFailed,
                _ => Progress::Failed,
            };
        }),
        ["busy", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Busy);
        }
        ["free", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Free);
        }
        ["runs-it", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Current);
        }
        ["unfit", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Unfit);
        }
        ["unable", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Unable);
        }
        ["pinned", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Pinned);
        }
        ["gone", ref devices @ ..] => {
            each(fleet, devices, |one| one.availability = Availability::Gone);
        }
        ["frozen", ref devices @ ..] => each(fleet, devices, |one| one.frozen = true),
        ["thawed", ref devices @ ..] => each(fleet, devices, |one| one.frozen = false),
        ["in", zone, ref devices @ ..] => {
            let zone = parse_time_zone(zone).expect("a zone");
            each(fleet, devices, |one| one.time_zone = Some(zone.clone()));
        }
        ["healthy", ref devices @ ..] => each(fleet, devices, |one| one.health = Health::Good),
        ["ill", ref devices @ ..] => each(fleet, devices, |one| one.health = Health::Failing),
        ["unjudged", ref devices @ ..] => {
            each(fleet, devices, |one| one.health = Health::Pending);
        }
        ["has-it", ref devices @ ..] => {
            each(fleet, devices, |one| one.way_back = WayBack::Needed);
        }
        ["no-way-back", ref devices @ ..] => {
            each(fleet, devices, |one| one.way_back = WayBack::Impossible);
        }
        _ => return false,
    }
    true
}

fn each(fleet: &mut Fleet, devices: &[&str], change: impl Fn(&mut updraft_rollout::Member)) {
    assert!(!devices.is_empty(), "which devices?");
    for device in devices {
        change(fleet.member(device));
    }
}

fn chosen<'a>(
    phases: &'a mut [updraft_rollout::Phase],
    which: &[&str],
) -> &'a mut [updraft_rollout::Phase] {
    match *which {
        [] => phases,
        ["in", number] => {
            let index: usize = number.parse().expect("the number of a phase");
            &mut phases[index - 1..index]
        }
        _ => panic!("which phase is {which:?}?"),
    }
}

fn threshold(text: &str) -> Threshold {
    let (percent, minimum) = text.split_once("%/").unwrap_or((text.trim_end_matches('%'), "1"));
    Threshold::new(percent.parse().expect("a percentage"), number(minimum)).expect("valid")
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn duration(text: &str) -> Duration {
    let (value, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => panic!("{text} is no duration"),
    };
    Duration::from_secs(u64::from(number(value)) * seconds)
}

fn weekday(text: &str) -> Weekday {
    match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => panic!("{text} is no day"),
    }
}
