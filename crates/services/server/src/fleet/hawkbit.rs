//! hawkBit's world: devices that speak its Direct Device Integration API, and the scripts that speak
//! its Management API.
//!
//! A device is told an *action*: to install a distribution set. Of several active ones it is told
//! the one with the greatest weight, of those the oldest. Source of all rules: Eclipse hawkBit's
//! documentation, and the behaviour of its server and clients.

pub mod access;
pub mod assignment;
pub mod attributes;
pub mod auto_assignments;
pub mod configuration;
pub mod confirmation;
pub mod deployment;
pub mod downloads;
pub mod feedback;
pub mod filters;
pub mod modules;
pub(super) mod orders;
pub mod poll;
pub mod polls;
pub mod rollouts;
pub mod sets;
pub mod statistics;
pub mod tags;
pub mod target_groups;
pub mod target_types;
pub mod targets;

use updraft_hawkbit::Query;

use super::Fleet;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::storage::hawkbit::Listing;
use crate::storage::hawkbit::filter::{self, Entity, Times};
use crate::storage::sql::Transaction;

/// The most characters of a name or a version.
const MAX_NAME: usize = 128;
/// The most characters of a description.
const MAX_DESCRIPTION: usize = 512;
/// The most characters of a value of metadata.
const MAX_VALUE: usize = 4000;

/// What is kept in memory of hawkBit's world.
#[derive(Debug, Default)]
pub struct Hawkbit {
    pub(super) tenant: configuration::Cached,
    pub(super) polls: polls::Polls,
    reports: feedback::Waiting,
}

/// What a list is asked for, as it came.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// RSQL.
    pub query: Option<String>,
    /// `field:ASC,other:DESC`.
    pub sort: Option<String>,
    /// How many are passed over.
    pub offset: u32,
    /// The most that are given; 50 where it is not said, 500 at most.
    pub limit: Option<u32>,
}

impl Fleet {
    /// Writes what devices are told, and forgets what they were.
    fn write_for<T>(
        &self,
        action: &'static str,
        device: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let done = self.database.write_together(action, work);
        // Also when it failed: forgetting costs a look at the database, and nothing else.
        self.hawkbit.polls.forget(device);
        done
    }

    /// Reads what a list is asked for.
    fn listing(&self, entity: Entity, wanted: &Wanted) -> Result<Listing> {
        let (condition, parameters) = match wanted.query.as_deref() {
            None | Some("") => (String::new(), Vec::new()),
            Some(text) => filter::condition(entity, &parse(text)?, self.times()?)?,
        };
        Ok(Listing {
            condition,
            parameters,
            order: filter::order(entity, wanted.sort.as_deref())?,
            offset: wanted.offset,
            limit: wanted.limit.unwrap_or(50).min(500),
        })
    }

    pub(super) fn times(&self) -> Result<Times> {
        let tenant = self.tenant()?;
        let now = self.now().as_millisecond();
        let late = tenant.polling.default.exact().saturating_add(tenant.overdue);
        let late = i64::try_from(late.as_millis()).unwrap_or(i64::MAX);
        Ok(Times { now, overdue: now.saturating_sub(late) })
    }
}

pub(super) fn parse(text: &str) -> Result<Query> {
    Query::parse(text).map_err(|error| Error::hawkbit(Trouble::QuerySyntax, error.to_string()))
}

/// Refuses text that is too long, empty where it must not be, or has control characters.
fn check_text(what: &str, text: &str, max: usize) -> Result<()> {
    let count = text.chars().count();
    if count == 0 || count > max || text.chars().any(char::is_control) {
        let message =
            format!("{what} must have 1 to {max} characters, none of them control characters");
        return Err(Error::hawkbit(Trouble::Value, message));
    }
    Ok(())
}

/// The same of text that may be left out; what is empty is left out.
fn check_optional(what: &str, text: Option<String>, max: usize) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > max {
        let message = format!("{what} must have at most {max} characters");
        return Err(Error::hawkbit(Trouble::Value, message));
    }
    Ok(Some(text))
}
