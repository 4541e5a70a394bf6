//! For which devices a rule's condition holds now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use updraft_api::{AlertCondition, AlertRule};

use crate::error::Result;
use crate::storage::sql::Connection;
use crate::storage::{alerts, groups};

/// These devices, with what is the matter in words. Metrics count that were measured since then.
pub(super) fn matches(
    reader: &Connection,
    rule: &AlertRule,
    metrics_since: Timestamp,
    now: Timestamp,
) -> Result<BTreeMap<String, String>> {
    let found = match &rule.condition {
        AlertCondition::Metric { name, above, below } => {
            let beyond = alerts::beyond(reader, name, (*above, *below), metrics_since)?;
            let text = |value: f64| format!("{name} is {value}, {}", limits(*above, *below));
            beyond.into_iter().map(|(device, value)| (device, text(value))).collect()
        }
        AlertCondition::Silent { seconds } => {
            let since = SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(i64::MAX));
            let since = now.checked_sub(since).unwrap_or(Timestamp::MIN);
            let silent = alerts::silent(reader, since)?;
            let text = |seen: Option<Timestamp>| match seen {
                Some(seen) => format!("it was last seen at {seen:.0}"),
                None => "it was never seen".to_owned(),
            };
            silent.into_iter().map(|(device, seen)| (device, text(seen))).collect()
        }
        AlertCondition::Failed => {
            let failed = alerts::failed(reader)?;
            let text =
                |rollout: String| format!("its last assignment failed, in rollout {rollout}");
            failed.into_iter().map(|(device, rollout)| (device, text(rollout))).collect()
        }
    };
    within_groups(reader, &rule.groups, found)
}

fn within_groups(
    reader: &Connection,
    names: &[String],
    mut found: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    if names.is_empty() || found.is_empty() {
        return Ok(found);
    }
    let mut members = BTreeSet::new();
    for name in names {
        members.extend(groups::devices(reader, name)?);
    }
    found.retain(|device, _| members.contains(device));
    Ok(found)
}

fn limits(above: Option<f64>, below: Option<f64>) -> String {
    let parts = [above.map(|it| format!("above {it}")), below.map(|it| format!("below {it}"))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" or ")
}
