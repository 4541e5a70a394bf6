//! Polls: what there is to do for a device, in one answer that it can compare with the last one.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use updraft_api::EventKind;
use updraft_hawkbit::Interval;
use updraft_hawkbit::ddi::{Config, ControllerBase, Link, Links, Polling};
use updraft_hawkbit::management::{ActionKind, ActionStatus, UpdateStatus};

use super::access::{Admitted, Presented, admit, check_id};
use super::configuration::Tenant;
use super::deployment::{Orders, window_of};
use super::polls::Told;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::actions::{self, ActionRecord, NewReport};
use crate::storage::hawkbit::devices::{self, ActionDevice, DeviceValues, Protocol};
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::{By, Listing};
use crate::storage::sql::{Connection, Transaction};

/// The least time between two polls near a maintenance window.
const LEAST_SLEEP: Duration = Duration::from_secs(30);

impl Fleet {
    /// What a device that polls is answered, JSON, without a look at the database; none when it
    /// takes one.
    pub fn ddi_poll_from_memory(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
    ) -> Option<Vec<u8>> {
        let told = self.hawkbit.polls.get(id, self.now())?;
        if told.root != root || told.address != address(presented) {
            return None;
        }
        let tenant = self.tenant().ok()?;
        admit(&tenant, id, Some(&told.security_token), presented).ok()?;
        self.note_seen(id);
        Some(told.body.clone())
    }

    /// What a device that polls is answered, JSON. One that shows what is good for all devices is
    /// registered when it is new.
    pub fn ddi_poll(&self, id: &str, presented: &Presented, root: &str) -> Result<Vec<u8>> {
        check_id(id)?;
        let tenant = self.tenant()?;
        let look = self.hawkbit.polls.look(id);
        let now = self.now();
        let look_up = |reader: &Connection| -> Result<Option<(ActionDevice, Vec<ActionRecord>)>> {
            let Some(device) = devices::get(reader, id)? else { return Ok(None) };
            let active = actions::active(reader, id)?;
            Ok(Some((device, active)))
        };
        let found = self.database.read("look up a device that polls", look_up)?;
        let own_token = found.as_ref().map(|(device, _)| device.security_token.as_str());
        let admitted = admit(&tenant, id, own_token, presented)?;
        // Before anything is noted: what holds for any device must not touch these.
        if let Some((device, _)) = &found {
            if device.revoked {
                return Err(Error::Unauthenticated { reason: "the device was revoked".to_owned() });
            }
            if device.protocol != Protocol::Ddi {
                return Err(Error::not_found("target", id));
            }
        }
        let address = address(presented);
        let changes = found.as_ref().is_none_or(|(device, active)| {
            device.status == UpdateStatus::Unknown
                || (address.is_some() && device.address != address)
                || active.first().is_some_and(|action| is_over(action, now))
        });
        let (device, active) = match found {
            Some(found) if !changes => found,
            None if admitted == Admitted::AsThisDevice => {
                return Err(Error::not_found("target", id));
            }
            _ => {
                let found = self.database.write_together("note a device that polls", |tx| {
                    self.note_first_poll(tx, id, address.as_deref(), now)?;
                    look_up(tx)?.ok_or_else(|| Error::not_found("target", id))
                })?;
                // It may meet a filter now.
                self.kick();
                found
            }
        };
        self.note_seen(id);
        let (base, until) = self.database.read("look up what a device is told", |reader| {
            let base = base(reader, &tenant, &device, &active, now, root)?;
            Ok((base, holds_until(&tenant, active.first(), now)))
        })?;
        let body = serde_json::to_vec(&base).map_err(|error| Error::Internal {
            action: "write an answer",
            reason: error.to_string(),
        })?;
        let told = Told {
            security_token: device.security_token,
            address,
            root: root.to_owned(),
            body: body.clone(),
            until,
        };
        // Another server would not be told of what this one is.
        if !self.database.is_shared() {
            self.hawkbit.polls.keep(look, id, told);
        }
        Ok(body)
    }

    /// What changes in the database when a device polls for the first time, from elsewhere, or
    /// after its maintenance window is over for good.
    fn note_first_poll(
        &self,
        tx: &Transaction<'_>,
        id: &str,
        address: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let actor = format!("device:{id}");
        let by = By { actor: &actor, at: now };
        let Some(mut device) = devices::get(tx, id)? else {
            let secret = self.environment.secret().map_err(Error::random)?;
            let new = DeviceValues {
                id: id.to_owned(),
                protocol: Protocol::Ddi,
                name: id.to_owned(),
                description: Some("Plug and Play target: ".to_owned() + id),
                security_token: secret.chars().take(32).collect(),
                address: address.map(str::to_owned),
                group: None,
                target_type: None,
                status: UpdateStatus::Registered,
            };
            devices::insert(tx, &new, by)?;
            let message = format!("device {id} registered by its first poll");
            let event = NewEvent::new(EventKind::DeviceRegistered, &actor, message).device(id);
            return events::append(tx, now, &event);
        };
        if device.status == UpdateStatus::Unknown {
            device.status = UpdateStatus::Registered;
        }
        if address.is_some() {
            device.address = address.map(str::to_owned);
        }
        for mut action in actions::active(tx, id)?.into_iter().filter(|one| is_over(one, now)) {
            let message = "the maintenance window is over and does not open again";
            let report = NewReport::of_server(ActionStatus::Canceled, message);
            actions::append(tx, action.id, &report, now)?;
            super::assignment::end_canceled(tx, &mut device, &mut action, by)?;
        }
        devices::update(tx, &device, None)
    }
}

fn address(presented: &Presented) -> Option<String> {
    presented.address.map(|address| match address.to_canonical() {
        std::net::IpAddr::V4(four) => format!("http://{four}"),
        std::net::IpAddr::V6(six) => format!("http://[{six}]"),
    })
}

/// Whether an action can never be installed any more.
fn is_over(action: &ActionRecord, now: Timestamp) -> bool {
    window_of(action).is_some_and(|window| window.current(now).is_none())
}

fn base(
    reader: &Connection,
    tenant: &Tenant,
    device: &ActionDevice,
    active: &[ActionRecord],
    now: Timestamp,
    root: &str,
) -> Result<ControllerBase> {
    let at = format!("{root}/{}", path_part(&device.id));
    let mut links = Links::new();
    let mut link = |name: &str, rest: String| {
        links.insert(name.to_owned(), Link { href: format!("{at}/{rest}") });
    };
    if device.request_attributes {
        link("configData", "configData".to_owned());
    }
    let first = active.first();
    if let Some(action) = first {
        let (id, number) = (action.id, Orders::of(action, now).number(action));
        match action.status {
            ActionStatus::Canceling => link("cancelAction", format!("cancelAction/{id}")),
            ActionStatus::WaitForConfirmation => {
                link("confirmationBase", format!("confirmationBase/{id}?c={number}"));
            }
            _ => link("deploymentBase", format!("deploymentBase/{id}?c={number}")),
        }
    }
    if let Some(set) = device.installed
        && let Some(installed) = actions::installed(reader, &device.id, set)?
    {
        link("installedBase", format!("installedBase/{}", installed.id));
    }
    let sleep = sleep(reader, tenant, device, first, now)?;
    Ok(ControllerBase { config: Config { polling: Polling { sleep } }, links })
}

/// How long the device is to sleep.
fn sleep(
    reader: &Connection,
    tenant: &Tenant,
    device: &ActionDevice,
    action: Option<&ActionRecord>,
    now: Timestamp,
) -> Result<String> {
    let mut interval = tenant.polling.default;
    for (query, other) in &tenant.polling.overrides {
        let millis = now.as_millisecond();
        let times = filter::Times { now: millis, overdue: millis };
        let (condition, parameters) = filter::condition(Entity::Target, query, times)?;
        let listing = Listing { condition, parameters, ..Listing::default() };
        if devices::meets(reader, &device.id, &listing)? {
            interval = *other;
            break;
        }
    }
    let hash = Sha256::digest(device.id.as_bytes());
    let chance = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let mut sleep = interval.spread(chance);
    if let Some(opens) = action.and_then(|action| opens_at(action, now)) {
        // So that it polls a few times before the window opens, and soon after.
        let wait = now.duration_until(opens).unsigned_abs();
        let polls = tenant.window_polls.max(1);
        sleep = sleep.min((wait / polls).max(LEAST_SLEEP));
    }
    Ok(Interval::clock(sleep).unwrap_or_else(|_| "23:59:59".to_owned()))
}

/// When the maintenance window of an action opens that is closed.
fn opens_at(action: &ActionRecord, now: Timestamp) -> Option<Timestamp> {
    let (opens, _) = window_of(action)?.current(now)?;
    (opens > now).then_some(opens)
}

/// Until when an answer holds by itself; none for ever.
fn holds_until(
    tenant: &Tenant,
    action: Option<&ActionRecord>,
    now: Timestamp,
) -> Option<Timestamp> {
    // An override may ask for anything that changes by itself.
    if !tenant.polling.overrides.is_empty() {
        return Some(now);
    }
    let action = action?;
    if action.kind == ActionKind::TimeForced
        && let Some(forced) = action.forced_at
        && forced > now
    {
        return Some(forced);
    }
    let (opens, closes) = window_of(action)?.current(now)?;
    Some(if opens > now { now } else { closes })
}

/// A name as one part of a path (RFC 3986, section 3.3).
pub fn path_part(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                part.push(char::from(byte));
            }
            _ => {
                part.push('%');
                part.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    part
}
