//! Alarms: which devices somebody should look at.
//!
//! Each rule says when a device is worth one. A condition that holds for long enough raises an alarm,
//! which is an event, and so told to [subscriptions](super::subscriptions); when it holds no more, the
//! alarm is over, which is another.

mod decide;
mod look;

use jiff::Timestamp;
use serde_json::json;
use updraft_api::{Alert, AlertCondition, AlertQuery, AlertRule, EventKind, Page};

use self::decide::{Change, changes};
use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql;
use crate::storage::{alerts, groups};

/// The most rules of a server.
const MAX_RULES: usize = 200;
/// The longest name of a metric, in bytes.
const MAX_METRIC: usize = 128;
const WHAT: &str = "the rule";

impl Fleet {
    /// All rules, by name.
    pub fn alert_rules(&self) -> Result<Vec<AlertRule>> {
        self.database.read("list rules", alerts::rules)
    }

    /// One rule.
    pub fn alert_rule(&self, name: &str) -> Result<AlertRule> {
        let found = self.database.read("show a rule", |reader| alerts::rule(reader, name))?;
        found.ok_or_else(|| Error::not_found("alert rule", name))
    }

    /// Makes a rule, or changes the one of its name. True when it is new.
    pub fn put_alert_rule(&self, operator: &Operator, rule: &AlertRule) -> Result<bool> {
        names::name("rule name", &rule.name)?;
        check(&rule.condition)?;
        let now = self.now();
        self.database.write("make a rule", |tx| {
            for group in &rule.groups {
                groups::require(tx, group)?;
            }
            let is_new = alerts::rule(tx, &rule.name)?.is_none();
            if is_new && alerts::rules(tx)?.len() >= MAX_RULES {
                let reason = format!("there are {MAX_RULES} already; remove one");
                return Err(Error::invalid(WHAT, reason));
            }
            alerts::put_rule(tx, rule, now)?;
            let done = if is_new { "made" } else { "changed" };
            tell(tx, now, operator, &rule.name, done)?;
            Ok(is_new)
        })
    }

    /// Removes a rule with its alarms.
    pub fn delete_alert_rule(&self, operator: &Operator, name: &str) -> Result<()> {
        let now = self.now();
        self.database.write("delete a rule", |tx| {
            if !alerts::delete_rule(tx, name)? {
                return Err(Error::not_found("alert rule", name));
            }
            tell(tx, now, operator, name, "deleted")
        })
    }

    /// Alarms, oldest first.
    pub fn alerts(&self, query: &AlertQuery, (after, limit): (u64, u32)) -> Result<Page<Alert>> {
        self.database.read("list alarms", |reader| alerts::list(reader, query, (after, limit)))
    }

    /// Notes that somebody knows of an alarm. The first one who says so stays.
    pub fn acknowledge_alert(&self, operator: &Operator, id: u64) -> Result<Alert> {
        let now = self.now();
        self.database.write("acknowledge an alarm", |tx| {
            let actor = operator.actor();
            let alert = alerts::require(tx, id)?;
            if !alerts::acknowledge(tx, id, &actor, now)? {
                return Ok(alert);
            }
            let message = format!("alarm {} about {} is known", alert.rule, alert.device);
            let event = NewEvent::new(EventKind::AlertAcknowledged, &actor, message);
            events::append(tx, now, &event.device(&alert.device))?;
            alerts::require(tx, id)
        })
    }

    /// Looks at all rules: raises alarms, and ends them. Called again, it changes nothing. What is only
    /// in memory is not seen: [`flush`](Self::flush) goes before.
    pub fn look_for_alerts(&self) -> Result<()> {
        let now = self.now();
        let (metrics_since, _) = self.metrics_kept_since(now);
        for rule in self.alert_rules()? {
            // Most of the time nothing changes, and nothing is to be written.
            let due = self.database.read("look for alarms", |reader| {
                let matches = look::matches(reader, &rule, metrics_since, now)?;
                Ok(changes(&alerts::open(reader, &rule.name)?, matches, rule.for_seconds, now))
            })?;
            if due.is_empty() {
                continue;
            }
            self.database.write("raise alarms", |tx| {
                // Somebody may have changed the rule meanwhile.
                if alerts::rule(tx, &rule.name)?.as_ref() != Some(&rule) {
                    return Ok(());
                }
                let matches = look::matches(tx, &rule, metrics_since, now)?;
                let open = alerts::open(tx, &rule.name)?;
                for change in changes(&open, matches, rule.for_seconds, now) {
                    apply(tx, &rule, &change, now)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn apply(
    tx: &sql::Transaction<'_>,
    rule: &AlertRule,
    change: &Change,
    now: Timestamp,
) -> Result<()> {
    match change {
        Change::Begin { device, message } => {
            alerts::begin(tx, (&rule.name, device), message, now).map(drop)
        }
        Change::Fire { id, device, message } => {
            let id = match id {
                Some(id) => *id,
                None => alerts::begin(tx, (&rule.name, device), message, now)?,
            };
            alerts::fire(tx, id, message, now)?;
            let text = format!("{}: {device}: {message}", rule.name);
            let data = json!({ "alert": id, "rule": rule.name, "severity": rule.severity });
            let event = NewEvent::new(EventKind::AlertFired, "server", text);
            events::append(tx, now, &event.device(device).data(data))
        }
        Change::Resolve { id, device, is_fired } => {
            alerts::resolve(tx, *id, now)?;
            if !is_fired {
                return Ok(());
            }
            let text = format!("{}: {device}: is over", rule.name);
            let data = json!({ "alert": id, "rule": rule.name, "severity": rule.severity });
            let event = NewEvent::new(EventKind::AlertResolved, "server", text);
            events::append(tx, now, &event.device(device).data(data))
        }
    }
}

fn check(condition: &AlertCondition) -> Result<()> {
    let wrong = |reason: &str| Err(Error::invalid(WHAT, reason));
    match condition {
        AlertCondition::Metric { name, .. } if name.is_empty() || name.len() > MAX_METRIC => {
            wrong("the metric's name is empty, or longer than any")
        }
        AlertCondition::Metric { above: None, below: None, .. } => {
            wrong("it names neither `above` nor `below`")
        }
        AlertCondition::Silent { seconds: 0 } => wrong("`seconds` must be at least 1"),
        _ => Ok(()),
    }
}

fn tell(
    tx: &sql::Transaction<'_>,
    now: Timestamp,
    operator: &Operator,
    name: &str,
    done: &str,
) -> Result<()> {
    let actor = operator.actor();
    let message = format!("alert rule {name} was {done}");
    events::append(tx, now, &NewEvent::new(EventKind::AlertRuleChanged, &actor, message))
}
