//! Queries with a name; those with a set have all devices told that meet them and never were.

use updraft_hawkbit::management::{ActionKind, AssignmentBody, TargetFilter};

use super::assignment::check_set;
use super::{MAX_NAME, Wanted, check_text, parse};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::filters::{self, AutoAssignment};
use crate::storage::hawkbit::{By, Listing, devices, sets};

/// How many devices are told at once; the rest follows in the next run.
const AT_ONCE: u32 = 1000;

impl Fleet {
    /// Makes a filter.
    pub fn make_filter(
        &self,
        operator: &Operator,
        name: &str,
        query: &str,
    ) -> Result<TargetFilter> {
        check_text("a filter's name", name, MAX_NAME)?;
        self.check_query(query)?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("make a filter", |tx| {
            let id = filters::insert(tx, name, query, by)?;
            filters::require(tx, id)
        })
    }

    /// One filter.
    pub fn filter(&self, id: i64) -> Result<TargetFilter> {
        self.database.read("read a filter", |reader| filters::require(reader, id))
    }

    /// A page of filters, and how many there are.
    pub fn filters(&self, wanted: &Wanted) -> Result<(Vec<TargetFilter>, u64)> {
        let listing = self.listing(Entity::Filter, wanted)?;
        self.database.read("list filters", |reader| filters::list(reader, &listing))
    }

    /// The filters by which devices are told a set.
    pub fn filters_of_set(&self, set: i64, wanted: &Wanted) -> Result<(Vec<TargetFilter>, u64)> {
        let mut listing = self.listing(Entity::Filter, wanted)?;
        listing.also("f.auto_set = ?", set);
        self.database.read("list filters", |reader| {
            sets::require(reader, set)?;
            filters::list(reader, &listing)
        })
    }

    /// Changes a filter.
    pub fn change_filter(
        &self,
        operator: &Operator,
        id: i64,
        name: Option<&str>,
        query: Option<&str>,
    ) -> Result<TargetFilter> {
        if let Some(name) = name {
            check_text("a filter's name", name, MAX_NAME)?;
        }
        if let Some(query) = query {
            self.check_query(query)?;
        }
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let filter = self.database.write("change a filter", |tx| {
            filters::require(tx, id)?;
            filters::change(tx, id, name, query, by)?;
            filters::require(tx, id)
        })?;
        self.kick();
        Ok(filter)
    }

    /// Deletes a filter. What was told because of it stays so.
    pub fn delete_filter(&self, id: i64) -> Result<()> {
        self.database.write("delete a filter", |tx| {
            filters::require(tx, id)?;
            filters::remove(tx, id)
        })
    }

    /// Has devices told a set that meet a filter, now and later; or no more.
    pub fn set_auto_assignment(
        &self,
        operator: &Operator,
        id: i64,
        auto: Option<&AutoAssignment>,
    ) -> Result<TargetFilter> {
        if let Some(auto) = auto {
            if auto.kind == ActionKind::TimeForced {
                let message = "what is assigned by itself cannot be forced from a time on";
                return Err(Error::hawkbit(Trouble::Value, message));
            }
            if auto.weight.is_some_and(|weight| !(0..=1000).contains(&weight)) {
                return Err(Error::hawkbit(Trouble::Value, "a weight must be 0 to 1000"));
            }
        }
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let filter = self.database.write("change a filter", |tx| {
            filters::require(tx, id)?;
            if let Some(auto) = auto {
                check_set(&sets::require(tx, auto.set)?)?;
            }
            filters::set_auto_assignment(tx, id, auto, by)?;
            filters::require(tx, id)
        })?;
        self.kick();
        Ok(filter)
    }

    /// Refuses what is no query about devices.
    fn check_query(&self, query: &str) -> Result<()> {
        filter::condition(Entity::Target, &parse(query)?, self.times()?).map(drop)
    }

    /// Tells devices what filters say. One filter that cannot be followed does not stop others.
    pub(in crate::fleet) fn assign_by_filters(&self) -> Result<()> {
        let listing = Listing {
            condition: "f.auto_set IS NOT NULL".to_owned(),
            order: "f.id".to_owned(),
            limit: u32::MAX,
            ..Listing::default()
        };
        let (found, _) =
            self.database.read("list filters", |reader| filters::list(reader, &listing))?;
        for filter in found {
            while match self.assign_by(&filter) {
                Ok(more) => more,
                Err(error) => {
                    let reason = crate::error::chain(&error);
                    tracing::warn!(filter = filter.name, reason, "a filter assigned nothing");
                    false
                }
            } {}
        }
        Ok(())
    }

    /// True when there may be more devices to tell.
    fn assign_by(&self, filter: &TargetFilter) -> Result<bool> {
        let Some(set) = filter.auto_assign_distribution_set else { return Ok(false) };
        let (condition, parameters) =
            filter::condition(Entity::Target, &parse(&filter.query)?, self.times()?)?;
        let mut listing = Listing {
            condition,
            parameters,
            order: "t.device".to_owned(),
            limit: AT_ONCE,
            offset: 0,
        };
        // Who was told once is not told again, whatever came of it.
        listing.also(
            "d.revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM actions x
                 WHERE x.device = t.device AND x.set_id = ?)",
            set,
        );
        listing.also(
            "(t.target_type IS NULL OR EXISTS (SELECT 1 FROM target_type_set_types c
                 JOIN distribution_sets s ON s.type = c.set_type
                 WHERE c.target_type = t.target_type AND s.id = ?))",
            set,
        );
        let (found, _) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        if found.is_empty() {
            return Ok(false);
        }
        let wanted: Vec<AssignmentBody<String>> = found
            .into_iter()
            .map(|device| AssignmentBody {
                id: device.id,
                kind: filter.auto_assign_action_type,
                weight: filter.auto_assign_weight,
                confirmation_required: filter.confirmation_required,
                ..AssignmentBody::default()
            })
            .collect();
        let assigned = self.assign_set(&Operator::itself(), set, &wanted, false)?;
        // Where nothing was assigned, nothing would be the next time.
        Ok(!assigned.actions.is_empty())
    }
}
