//! Queries with a name.

use updraft_hawkbit::management::{AutoState, TargetFilter};

use super::{MAX_NAME, Wanted, check_text, parse};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::{By, auto_assignments, filters, sets};

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

    /// Changes a filter. Where automatic assignments need an approval, one of another query needs it
    /// again.
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
        let needs_approval = self.auto_needs_approval()?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let filter = self.database.write("change a filter", |tx| {
            filters::require(tx, id)?;
            filters::change(tx, id, name, query, by)?;
            let filter = filters::require(tx, id)?;
            if needs_approval && query.is_some() && filter.auto_assign_distribution_set.is_some() {
                let state = AutoState::WaitingForApproval;
                auto_assignments::renew(tx, id, state, by)?;
            }
            Ok(filter)
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

    /// Refuses what is no query about devices.
    pub(super) fn check_query(&self, query: &str) -> Result<()> {
        filter::condition(Entity::Target, &parse(query)?, self.times()?).map(drop)
    }
}
