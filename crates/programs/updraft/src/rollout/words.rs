//! Phases, rates, windows and times as people write them.

use std::time::Duration;

use updraft_api::{ExponentialRate, MaintenanceWindow, NewPhase, Rate, Threshold, Weekday};

/// `20%`, `group:NAME`, `device:ID,ID`, and behind it what is so in this phase alone.
pub(super) fn phase(text: &str) -> Result<NewPhase, String> {
    let mut phase = NewPhase::default();
    let mut who = text;
    while let Some((rest, (key, value))) = last_rule(who) {
        match key {
            "success" => phase.success_threshold = Some(threshold(value)?),
            "failure" => phase.failure_threshold = Some(threshold(value)?),
            _ => phase.soak_seconds = Some(duration(value)?.as_secs()),
        }
        who = rest;
    }
    if let Some(group) = who.strip_prefix("group:") {
        phase.group = Some(group.to_owned());
    } else if let Some(devices) = who.strip_prefix("device:") {
        phase.devices = Some(devices.split(',').map(str::to_owned).collect());
    } else {
        match percent(who) {
            Ok(percent) if percent > 0 => phase.percent = Some(percent),
            _ => {
                return Err("a phase is `20%`, `group:NAME` or `device:ID,ID`, and behind it \
                            `/success=95%`, `/failure=5%:3` or `/soak=1d`"
                    .into());
            }
        }
    }
    Ok(phase)
}

/// The last rule behind a phase; ids of devices may have slashes.
fn last_rule(text: &str) -> Option<(&str, (&str, &str))> {
    let (rest, rule) = text.rsplit_once('/')?;
    let (key, value) = rule.split_once('=')?;
    matches!(key, "success" | "failure" | "soak").then_some((rest, (key, value)))
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let (share, minimum) = text.split_once(':').unwrap_or((text, "1"));
    let minimum = minimum.parse().map_err(|_| "a threshold is `5%` or `5%:3`".to_owned())?;
    Ok(Threshold { percent: percent(share)?, minimum })
}

/// `20%`, or `20`.
pub(super) fn percent(text: &str) -> Result<u8, String> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    match digits.parse() {
        Ok(percent @ 0..=100) => Ok(percent),
        _ => Err("a share is a whole number from 0% to 100%".into()),
    }
}

/// `90s`, `15m`, `2h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number with one of s, m, h, d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|n| *n > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// `100`, or `5x200%/1h`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || "a rate is `100` (a minute) or `5x200%/1h`".to_owned();
    let Some((start, rest)) = text.split_once('x') else {
        return text.parse().map(Rate::PerMinute).map_err(|_| wrong());
    };
    let (factor, interval) = rest.split_once('/').ok_or_else(wrong)?;
    let factor = factor.strip_suffix('%').ok_or_else(wrong)?;
    Ok(Rate::Exponential(ExponentialRate {
        start: start.parse().map_err(|_| wrong())?,
        factor_percent: factor.parse().map_err(|_| wrong())?,
        interval_seconds: duration(interval)?.as_secs(),
    }))
}

/// `20000`, `500k`, `20M`, `1G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "a number of bytes is a whole number, and perhaps one of k, M, G".to_owned();
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.get(..at), 1_000),
        Some((at, 'M')) => (text.get(..at), 1_000_000),
        Some((at, 'G')) => (text.get(..at), 1_000_000_000),
        _ => (Some(text), 1),
    };
    let count: u64 = digits.unwrap_or_default().parse().map_err(|_| wrong())?;
    count.checked_mul(unit).ok_or_else(wrong)
}

/// `02:00+2h`, or `sat,sun@02:00+2h`.
pub(super) fn window(text: &str) -> Result<MaintenanceWindow, String> {
    let wrong = || "a window is `02:00+2h` or `sat,sun@02:00+2h`".to_owned();
    let (days, rest) = match text.split_once('@') {
        Some((days, rest)) => (days.split(',').map(weekday).collect::<Option<Vec<_>>>(), rest),
        None => (Some(Vec::new()), text),
    };
    let (start, length) = rest.split_once('+').ok_or_else(wrong)?;
    Ok(MaintenanceWindow {
        days: days.ok_or_else(wrong)?,
        start: start.to_owned(),
        duration_seconds: duration(length)?.as_secs(),
    })
}

fn weekday(text: &str) -> Option<Weekday> {
    serde_json::from_value(serde_json::Value::String(text.to_ascii_lowercase())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_api::PhaseSelector;

    #[test]
    fn phases_are_written_three_ways() {
        let selector = |text| phase(text).expect("valid").selector();
        assert_eq!(selector("20%"), Some(PhaseSelector::Percent(20)));
        assert_eq!(selector("group:lab"), Some(PhaseSelector::Group("lab".into())));
        let two = PhaseSelector::Devices(vec!["a".into(), "b/c".into()]);
        assert_eq!(selector("device:a,b/c"), Some(two));
        for wrong in ["", "0%", "101%", "lab", "20%/soak=x", "20%/other=1"] {
            assert!(phase(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_phase_has_rules_of_its_own() {
        let phase = phase("group:canary/soak=1d/failure=5%:3/success=99%").expect("valid");
        assert_eq!(phase.soak_seconds, Some(86_400));
        assert_eq!(phase.failure_threshold, Some(Threshold { percent: 5, minimum: 3 }));
        assert_eq!(phase.success_threshold, Some(Threshold { percent: 99, minimum: 1 }));
        assert_eq!(phase.group.as_deref(), Some("canary"));
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        for wrong in ["", "15", "m", "0s", "99999999999999999999d", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_bytes() {
        let read = ["1500", "500k", "20M", "1G"].map(bytes);
        assert_eq!(read, [Ok(1500), Ok(500_000), Ok(20_000_000), Ok(1_000_000_000)]);
        for wrong in ["", "k", "1.5M", "-1", "1T", "99999999999999999999", "18446744073709551615G"]
        {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_windows() {
        assert_eq!(rate("100"), Ok(Rate::PerMinute(100)));
        let growing = ExponentialRate { start: 5, factor_percent: 150, interval_seconds: 3600 };
        assert_eq!(rate("5x150%/1h"), Ok(Rate::Exponential(growing)));
        for wrong in ["", "x", "5x2/1h", "5x200%", "-1"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        let night = window("Sat,sun@02:00+2h").expect("valid");
        assert_eq!(night.days, [Weekday::Sat, Weekday::Sun]);
        assert_eq!((night.start.as_str(), night.duration_seconds), ("02:00", 7200));
        assert!(window("02:00+30m").expect("valid").days.is_empty());
        for wrong in ["", "02:00", "someday@02:00+1h", "@02:00+1h"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
