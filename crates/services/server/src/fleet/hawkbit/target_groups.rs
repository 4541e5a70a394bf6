//! Groups of devices as hawkBit has them: a device is in one at most, whose name is a path such as
//! `Europe/East`.

use updraft_hawkbit::management::Target;

use super::{Wanted, check_text};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::filter::Entity;
use crate::storage::hawkbit::{By, Listing, devices};
use crate::storage::sql::Value;

/// The most characters of a group's name.
pub(super) const MAX_GROUP: usize = 256;
/// The most devices that one request names.
const MAX_TARGETS: usize = 5000;

/// Which devices are put in a group.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// Those of these ids.
    Named(Vec<String>),
    /// Those that meet a query (RSQL).
    Query(String),
}

impl Fleet {
    /// The groups that devices are in, by name.
    pub fn target_groups(&self) -> Result<Vec<String>> {
        self.database.read("list target groups", devices::groups)
    }

    /// A page of the devices of a group, and how many there are; with those of the groups below it where
    /// these are wanted.
    pub fn targets_of_group(
        &self,
        group: &str,
        with_subgroups: bool,
        wanted: &Wanted,
    ) -> Result<(Vec<Target>, u64)> {
        if !with_subgroups {
            return self.targets_where("t.group_path = ?", group.to_owned(), wanted);
        }
        // What begins with the name and a slash: a slash is followed by the digit 0.
        let condition =
            "(t.group_path = ? OR (t.group_path > ? || '/' AND t.group_path < ? || '0'))";
        self.targets_where(condition, group.to_owned(), wanted)
    }

    /// Puts devices in a group, or in none, all at once.
    pub fn put_targets_in_group(
        &self,
        operator: &Operator,
        group: Option<&str>,
        chosen: Chosen,
    ) -> Result<()> {
        if let Some(group) = group {
            check_text("a group", group, MAX_GROUP)?;
        }
        let listing = match chosen {
            Chosen::Named(ids) => named(ids)?,
            Chosen::Query(query) => {
                self.listing(Entity::Target, &Wanted { query: Some(query), ..Wanted::default() })?
            }
        };
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database
            .write("put targets in a group", |tx| devices::put_in_group(tx, &listing, group, by))?;
        // Polling times may depend on it.
        self.hawkbit.polls.forget_all();
        self.kick();
        Ok(())
    }
}

fn named(ids: Vec<String>) -> Result<Listing> {
    if ids.is_empty() || ids.len() > MAX_TARGETS {
        let message = format!("name 1 to {MAX_TARGETS} targets");
        return Err(Error::hawkbit(Trouble::Value, message));
    }
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("?{place}")).collect();
    Ok(Listing {
        condition: format!("t.device IN ({})", places.join(", ")),
        parameters: ids.into_iter().map(Value::Text).collect(),
        ..Listing::default()
    })
}
