//! The tenant's configuration: keys, defaults, and what they may be.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use updraft_api::EventKind;
use updraft_hawkbit::{Interval, PollingTime};

use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::configuration::{self as stored, SetValue};
use crate::storage::sql::{self, Connection};

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Boolean,
    Text,
    /// A polling time.
    Polling,
    /// A single interval.
    Interval,
    /// A whole number from the first to the second.
    Number(i64, i64),
}

/// Each key with what it may be and its default as JSON. Some are for a server's upkeep that is done
/// otherwise here: they are kept and given back, so that scripts which set them go on.
const KEYS: &[(&str, Sort, &str)] = &[
    ("authentication.header.enabled", Sort::Boolean, "false"),
    ("authentication.header.authority", Sort::Text, "\"\""),
    ("authentication.targettoken.enabled", Sort::Boolean, "false"),
    ("authentication.gatewaytoken.enabled", Sort::Boolean, "false"),
    ("authentication.gatewaytoken.key", Sort::Text, "\"\""),
    ("anonymous.download.enabled", Sort::Boolean, "false"),
    // Spread, so that devices that once came at the same time do not do so for ever.
    ("pollingTime", Sort::Polling, "\"00:05:00~10%\""),
    ("pollingOverdueTime", Sort::Interval, "\"00:05:00\""),
    ("maintenanceWindowPollCount", Sort::Number(0, 100), "3"),
    ("rollout.approval.enabled", Sort::Boolean, "false"),
    ("auto.assignment.approval.enabled", Sort::Boolean, "false"),
    ("repository.actions.autoclose.enabled", Sort::Boolean, "false"),
    ("action.cleanup.auto.expiry", Sort::Number(-1, i64::MAX), "-1"),
    ("action.cleanup.auto.status", Sort::Text, "\"CANCELED,ERROR\""),
    ("action.cleanup.onQuotaHit.percent", Sort::Number(0, 100), "0"),
    ("action.delete.allowed.statuses", Sort::Text, "\"CANCELED,ERROR,FINISHED\""),
    ("batch.assignments.enabled", Sort::Boolean, "false"),
    ("user.confirmation.flow.enabled", Sort::Boolean, "false"),
    ("implicit.lock.enabled", Sort::Boolean, "true"),
];

/// Whose value is never written to the log of events.
const SECRET: &str = "authentication.gatewaytoken.key";

/// A value, and whether somebody set it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationValue {
    /// The value.
    pub value: Value,
    /// Who set it, when; none when it is the default.
    pub set: Option<SetValue>,
}

/// What the configuration says, ready for use.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the configuration")]
pub struct Tenant {
    /// Authorities of a proxy's header; none when that is not to be trusted.
    pub authorities: Option<Vec<String>>,
    /// Whether a device's own token is good.
    pub target_token: bool,
    /// The token that all devices may use.
    pub gateway_token: Option<String>,
    /// Whether anybody may download.
    pub anonymous_download: bool,
    /// When devices poll.
    pub polling: PollingTime,
    /// How late a device may be.
    pub overdue: Duration,
    /// How often a device shall have polled before a maintenance window opens.
    pub window_polls: u32,
    /// Whether what is superseded ends without asking the device.
    pub autoclose: bool,
    /// Whether devices are asked to agree.
    pub confirmation: bool,
    /// Whether what was assigned does not change any more.
    pub implicit_lock: bool,
}

/// The last [`Tenant`] that was read, and how often the configuration was changed.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Cached(RwLock<(Option<Arc<Tenant>>, u64)>);

impl Cached {
    fn get(&self) -> (Option<Arc<Tenant>>, u64) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was read, unless it was changed since: what was switched off stays off.
    fn keep(&self, tenant: &Arc<Tenant>, changes: u64) {
        let mut cached = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if cached.1 == changes {
            cached.0 = Some(Arc::clone(tenant));
        }
    }

    fn forget(&self) {
        let mut cached = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *cached = (None, cached.1.wrapping_add(1));
    }
}

impl Fleet {
    /// What the configuration says.
    pub fn tenant(&self) -> Result<Arc<Tenant>> {
        let (cached, changes) = self.hawkbit.tenant.get();
        if let Some(tenant) = cached {
            return Ok(tenant);
        }
        let tenant = Arc::new(self.database.read("read the configuration", read)?);
        // Another server may change it without this one's knowledge.
        if !self.database.is_shared() {
            self.hawkbit.tenant.keep(&tenant, changes);
        }
        Ok(tenant)
    }

    /// All values, by key.
    pub fn configuration_values(&self) -> Result<Vec<(&'static str, ConfigurationValue)>> {
        self.database.read("read the configuration", |reader| {
            KEYS.iter().map(|(key, _, _)| Ok((*key, value(reader, key)?))).collect()
        })
    }

    /// One value.
    pub fn configuration_value(&self, key: &str) -> Result<ConfigurationValue> {
        known(key)?;
        self.database.read("read the configuration", |reader| value(reader, key))
    }

    /// Sets values, all or none.
    pub fn set_configuration(&self, operator: &Operator, new: &[(String, Value)]) -> Result<()> {
        let mut checked = Vec::new();
        for (key, value) in new {
            checked.push((key.as_str(), check(key, value)?));
        }
        self.change_configuration(operator, |tx, by| {
            checked.iter().try_for_each(|(key, value)| stored::put(tx, key, value, by))?;
            let shown: Vec<String> =
                checked
                    .iter()
                    .map(|(key, value)| {
                        if *key == SECRET { (*key).to_owned() } else { format!("{key} = {value}") }
                    })
                    .collect();
            Ok(shown.join(", "))
        })
    }

    /// Goes back to the default of a key.
    pub fn reset_configuration(&self, operator: &Operator, key: &str) -> Result<()> {
        known(key)?;
        self.change_configuration(operator, |tx, _| {
            stored::remove(tx, key)?;
            Ok(format!("{key} is the default again"))
        })
    }

    fn change_configuration(
        &self,
        operator: &Operator,
        work: impl FnOnce(&sql::Transaction<'_>, By<'_>) -> Result<String>,
    ) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("change the configuration", |tx| {
            let what = work(tx, By { actor: &actor, at: now })?;
            let message = format!("the configuration was changed: {what}");
            events::append(
                tx,
                now,
                &NewEvent::new(EventKind::ConfigurationChanged, &actor, message),
            )
        })?;
        self.hawkbit.tenant.forget();
        self.hawkbit.polls.forget_all();
        Ok(())
    }
}

fn known(key: &str) -> Result<(Sort, Value)> {
    let found = KEYS.iter().find(|(known, _, _)| *known == key);
    let (_, sort, default) = found.ok_or_else(|| {
        let message = format!("there is no configuration key \"{key}\"");
        Error::hawkbit(Trouble::ConfigurationKey, message)
    })?;
    Ok((*sort, serde_json::from_str(default).unwrap_or(Value::Null)))
}

/// The value as it is kept; scripts also send booleans and numbers as text.
fn check(key: &str, value: &Value) -> Result<Value> {
    let (sort, _) = known(key)?;
    let wrong = |what: &str| {
        let message = format!("{key} must be {what}");
        Error::hawkbit(Trouble::ConfigurationValue, message)
    };
    match (sort, value) {
        (Sort::Boolean, Value::Bool(_)) => Ok(value.clone()),
        (Sort::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(json!(true)),
            "false" => Ok(json!(false)),
            _ => Err(wrong("true or false")),
        },
        (Sort::Boolean, _) => Err(wrong("true or false")),
        (Sort::Number(least, most), value) => {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            let number = number.filter(|number| (least..=most).contains(number));
            number.map(Value::from).ok_or_else(|| wrong(&format!("a whole number from {least}")))
        }
        (Sort::Text, Value::String(text)) if text.len() <= 4000 => Ok(value.clone()),
        (Sort::Text, _) => Err(wrong("text of at most 4000 bytes")),
        (Sort::Polling, Value::String(text)) => {
            PollingTime::parse(text).map_err(|error| wrong(&error.to_string()))?;
            Ok(value.clone())
        }
        (Sort::Interval, Value::String(text)) => {
            Interval::parse(text).map_err(|error| wrong(&error.to_string()))?;
            Ok(value.clone())
        }
        (Sort::Polling | Sort::Interval, _) => Err(wrong("text like 00:05:00")),
    }
}

fn value(reader: &Connection, key: &str) -> Result<ConfigurationValue> {
    let (_, default) = known(key)?;
    let set = stored::get(reader, key)?;
    Ok(ConfigurationValue { value: set.as_ref().map_or(default, |set| set.value.clone()), set })
}

fn read(reader: &Connection) -> Result<Tenant> {
    // Where servers share a database, it is read whenever it is needed: all of it at once.
    let set = stored::all(reader)?;
    let get = |key: &str| match set.get(key) {
        Some(value) => Ok(value.clone()),
        None => known(key).map(|(_, default)| default),
    };
    let flag = |key: &str| Ok::<_, Error>(get(key)? == Value::Bool(true));
    let text = |key: &str| Ok::<_, Error>(get(key)?.as_str().unwrap_or_default().to_owned());
    let stored = |what, reason: String| Error::Stored { what, reason };
    let polling = text("pollingTime")?;
    let overdue = text("pollingOverdueTime")?;
    let authorities = text("authentication.header.authority")?;
    let gateway = text("authentication.gatewaytoken.key")?;
    Ok(Tenant {
        authorities: flag("authentication.header.enabled")?.then(|| {
            let parts = authorities.split([';', ',']).map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_ascii_lowercase).collect()
        }),
        target_token: flag("authentication.targettoken.enabled")?,
        gateway_token: Some(gateway)
            .filter(|token| !token.is_empty())
            .filter(|_| flag("authentication.gatewaytoken.enabled").unwrap_or(false)),
        anonymous_download: flag("anonymous.download.enabled")?,
        polling: PollingTime::parse(&polling)
            .map_err(|error| stored("the polling time", error.to_string()))?,
        overdue: Interval::parse(&overdue)
            .map_err(|error| stored("the overdue time", error.to_string()))?
            .exact(),
        window_polls: get("maintenanceWindowPollCount")?
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
        autoclose: flag("repository.actions.autoclose.enabled")?,
        confirmation: flag("user.confirmation.flow.enabled")?,
        implicit_lock: flag("implicit.lock.enabled")?,
    })
}
