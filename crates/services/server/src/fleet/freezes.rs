//! Times in which rollouts tell devices nothing.

use updraft_api::{EventKind, Freeze, NewFreeze};

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::{freezes, groups};

/// The most freezes that there may be.
const MAX_FREEZES: usize = 1000;
/// The most characters of what people note.
const MAX_REASON: usize = 1000;

impl Fleet {
    /// All freezes, by name: those that hold, and past and later ones.
    pub fn freezes(&self) -> Result<Vec<Freeze>> {
        self.database.read("list freezes", freezes::list)
    }

    /// Sets a freeze; it takes the place of one of the same name.
    pub fn put_freeze(&self, operator: &Operator, name: &str, new: &NewFreeze) -> Result<Freeze> {
        names::name("freeze name", name)?;
        check_reason(&new.reason)?;
        if new.ends_at <= new.starts_at {
            return Err(Error::invalid("the freeze", "it must end after its start"));
        }
        let now = self.now();
        let freeze = Freeze {
            name: name.to_owned(),
            groups: new.groups.clone(),
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            reason: new.reason.clone(),
            created_by: operator.actor(),
            created_at: now,
        };
        self.database.write("set a freeze", |tx| {
            for group in &freeze.groups {
                groups::require(tx, group)?;
            }
            let all = freezes::list(tx)?;
            if all.len() >= MAX_FREEZES && !all.iter().any(|one| one.name == name) {
                let reason = format!("there are {MAX_FREEZES} already; remove those that are over");
                return Err(Error::invalid("the freeze", reason));
            }
            freezes::put(tx, &freeze)?;
            let message = format!(
                "nothing is told to {} from {:.0} to {:.0}",
                whom(&freeze),
                freeze.starts_at,
                freeze.ends_at
            );
            let actor = operator.actor();
            events::append(tx, now, &NewEvent::new(EventKind::FreezeChanged, &actor, message))
        })?;
        self.kick();
        Ok(freeze)
    }

    /// Removes a freeze.
    pub fn remove_freeze(&self, operator: &Operator, name: &str) -> Result<()> {
        let now = self.now();
        self.database.write("remove a freeze", |tx| {
            if !freezes::remove(tx, name)? {
                return Err(Error::not_found("freeze", name));
            }
            let actor = operator.actor();
            let message = format!("the freeze {name} was removed");
            events::append(tx, now, &NewEvent::new(EventKind::FreezeChanged, &actor, message))
        })?;
        self.kick();
        Ok(())
    }
}

fn whom(freeze: &Freeze) -> String {
    match freeze.groups.as_slice() {
        [] => "any device".to_owned(),
        groups => format!("devices of {}", groups.join(", ")),
    }
}

/// Refuses a note for people that is too long.
pub(super) fn check_reason(reason: &str) -> Result<()> {
    if reason.chars().count() > MAX_REASON {
        let message = format!("it must have at most {MAX_REASON} characters");
        return Err(Error::invalid("the reason", message));
    }
    Ok(())
}
