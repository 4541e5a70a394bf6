//! What a rollout is asked to be, as the planner wants it; what makes no sense is refused.

use std::time::Duration;

use jiff::civil::{Time, Weekday as Day};
use updraft_api::{NewRollout, OnFailure, Weekday};
use updraft_rollout::{Limits, Phase, Rate, Threshold, Window, Windows, parse_time_zone};

use crate::error::{Error, Result};

/// The longest time-out or soak time, in seconds: ten years.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;
/// The most attempts of one device.
const MAX_ATTEMPTS: u32 = 100;
/// With less, connections would seem to be dead.
const LEAST_BYTES_PER_SECOND: u64 = 1000;
const WHAT: &str = "the rollout";

/// Refuses what makes no sense, whatever devices there are.
pub(in crate::fleet) fn check(new: &NewRollout) -> Result<()> {
    phases(new, &[])?;
    windows(new)?;
    let timeout = new.device_timeout_seconds;
    if timeout.is_some_and(|seconds| seconds == 0 || seconds > MAX_SECONDS) {
        let reason = format!("device_timeout_seconds must be 1 to {MAX_SECONDS}");
        return Err(Error::invalid(WHAT, reason));
    }
    let soaks = new.phases.iter().filter_map(|phase| phase.soak_seconds);
    if soaks.chain(new.soak_seconds).any(|seconds| seconds > MAX_SECONDS) {
        return Err(Error::invalid(WHAT, format!("soak_seconds must be at most {MAX_SECONDS}")));
    }
    if new.max_active == Some(0) {
        return Err(Error::invalid(WHAT, "max_active must be at least 1"));
    }
    if new.max_bytes_per_second.is_some_and(|most| most < LEAST_BYTES_PER_SECOND) {
        let reason = format!("max_bytes_per_second must be at least {LEAST_BYTES_PER_SECOND}");
        return Err(Error::invalid(WHAT, reason));
    }
    if new.max_attempts == 0 || new.max_attempts > MAX_ATTEMPTS {
        return Err(Error::invalid(WHAT, format!("max_attempts must be 1 to {MAX_ATTEMPTS}")));
    }
    check_rate(new)
}

fn check_rate(new: &NewRollout) -> Result<()> {
    let senseless = match new.rate {
        None => false,
        Some(updraft_api::Rate::PerMinute(count)) => count == 0,
        Some(updraft_api::Rate::Exponential(rate)) => {
            rate.start == 0
                || !(1..=10_000).contains(&rate.factor_percent)
                || !(1..=MAX_SECONDS).contains(&rate.interval_seconds)
        }
    };
    if senseless {
        let reason = "a rate must let at least one device through: per_minute, start, \
                      factor_percent (at most 10000) and interval_seconds must be at least 1";
        return Err(Error::invalid(WHAT, reason));
    }
    Ok(())
}

/// The phases, with how many failures of each a person has let go.
pub(in crate::fleet) fn phases(new: &NewRollout, accepted: &[u32]) -> Result<Vec<Phase>> {
    let threshold = |wire: updraft_api::Threshold| {
        Threshold::new(wire.percent, wire.minimum).map_err(Error::Rollout)
    };
    new.all_phases()
        .iter()
        .enumerate()
        .map(|(index, phase)| {
            let soak = phase.soak_seconds.or(new.soak_seconds).unwrap_or(0);
            Ok(Phase {
                success: threshold(phase.success_threshold.unwrap_or(new.success_threshold))?,
                failure: threshold(phase.failure_threshold.unwrap_or(new.failure_threshold))?,
                soak: Duration::from_secs(soak),
                accepted_failures: accepted.get(index).copied().unwrap_or(0),
            })
        })
        .collect()
}

/// What happens when it fails.
pub(in crate::fleet) fn on_failure(new: &NewRollout) -> updraft_rollout::OnFailure {
    match new.on_failure {
        OnFailure::Stop => updraft_rollout::OnFailure::Stop,
        OnFailure::Pause => updraft_rollout::OnFailure::Pause,
        OnFailure::Rollback => updraft_rollout::OnFailure::RollBack,
    }
}

/// How many devices are told at a time.
pub(in crate::fleet) fn limits(new: &NewRollout) -> Limits {
    let rate = new.rate.map(|rate| match rate {
        updraft_api::Rate::PerMinute(count) => Rate::PerMinute(count),
        updraft_api::Rate::Exponential(rate) => Rate::Exponential {
            start: rate.start,
            factor_percent: rate.factor_percent,
            interval: Duration::from_secs(rate.interval_seconds),
        },
    });
    Limits { rate, max_active: new.max_active, max_attempts: new.max_attempts }
}

/// When devices may be told.
pub(in crate::fleet) fn windows(new: &NewRollout) -> Result<Windows> {
    if new.windows.len() > updraft_rollout::window::MAX_WINDOWS {
        let most = updraft_rollout::window::MAX_WINDOWS;
        return Err(Error::invalid(WHAT, format!("it may have {most} windows")));
    }
    let windows = new
        .windows
        .iter()
        .map(|window| {
            let days: Vec<Day> = window.days.iter().map(|day| weekday(*day)).collect();
            let start = clock(&window.start).ok_or_else(|| {
                let start: String = window.start.chars().take(20).collect();
                let reason = format!("a window starts at HH:MM, not at {start:?}");
                Error::invalid(WHAT, reason)
            })?;
            let length = Duration::from_secs(window.duration_seconds);
            Window::new(&days, start, length).map_err(Error::Rollout)
        })
        .collect::<Result<_>>()?;
    let time_zone = match &new.time_zone {
        Some(name) => parse_time_zone(name).map_err(Error::Rollout)?,
        None => jiff::tz::TimeZone::UTC,
    };
    Ok(Windows { time_zone, windows })
}

fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| is_number)
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

fn weekday(day: Weekday) -> Day {
    match day {
        Weekday::Mon => Day::Monday,
        Weekday::Tue => Day::Tuesday,
        Weekday::Wed => Day::Wednesday,
        Weekday::Thu => Day::Thursday,
        Weekday::Fri => Day::Friday,
        Weekday::Sat => Day::Saturday,
        Weekday::Sun => Day::Sunday,
    }
}
