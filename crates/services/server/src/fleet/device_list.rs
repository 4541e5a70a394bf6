//! The list of devices: filtered, in an order, and counted.

use updraft_api::DevicePage;

use super::Fleet;
use super::hawkbit::parse;
use crate::error::{Error, Result};
use crate::storage::device_list::{self, Selection};
use crate::storage::groups;
use crate::storage::hawkbit::filter::{self, Entity};

/// Which devices a list is about.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only those of this group.
    pub group: Option<String>,
    /// Only those that this query chooses.
    pub filter: Option<String>,
    /// In this order, `field:ASC,other:DESC`; by id when absent.
    pub sort: Option<String>,
    /// Only those after this id; goes with the order by id only.
    pub after: Option<String>,
    /// How many are left out at the beginning.
    pub skip: u64,
    /// The most that are given.
    pub limit: u32,
}

impl Fleet {
    /// One page of the devices, and how many there are on all pages.
    pub fn device_list(&self, wanted: &Wanted) -> Result<DevicePage> {
        let (mut condition, mut parameters) = self.device_condition(wanted.filter.as_deref())?;
        if let Some(group) = &wanted.group {
            parameters.push(group.clone().into());
            condition = format!(
                "{condition} AND d.id IN \
                 (SELECT device FROM group_devices WHERE group_name = ?{})",
                parameters.len()
            );
        }
        let sort = wanted.sort.as_deref().filter(|sort| !sort.is_empty());
        let after = wanted.after.as_deref().filter(|after| !after.is_empty());
        if after.is_some() && (sort.is_some() || wanted.skip > 0) {
            return Err(Error::invalid(
                "the query",
                "`after` goes through devices by id; with `sort`, use `skip`",
            ));
        }
        let order = filter::order(Entity::Device, sort)?;
        self.database.read("list devices", |reader| {
            if let Some(group) = &wanted.group {
                groups::require(reader, group)?;
            }
            let total = device_list::count(reader, &condition, &parameters)?;
            if let Some(after) = after {
                parameters.push(after.to_owned().into());
                condition = format!("{condition} AND d.id > ?{}", parameters.len());
            }
            let selection = Selection {
                condition,
                parameters,
                order,
                skip: wanted.skip,
                limit: wanted.limit.saturating_add(1),
            };
            let mut records = device_list::list(reader, &selection)?;
            let more = records.len() > wanted.limit as usize;
            records.truncate(wanted.limit as usize);
            let last = records.last().map(|record| record.id.clone());
            let items = records
                .iter()
                .map(|record| self.summary(reader, record))
                .collect::<Result<Vec<_>>>()?;
            let by_id = sort.is_none() && wanted.skip == 0;
            Ok(DevicePage { items, next: last.filter(|_| more && by_id), total })
        })
    }

    /// The condition of a query and its parameters.
    pub(super) fn device_condition(
        &self,
        query: Option<&str>,
    ) -> Result<(String, Vec<crate::storage::sql::Value>)> {
        match query.map(str::trim).filter(|query| !query.is_empty()) {
            None => Ok(("true".to_owned(), Vec::new())),
            Some(query) => filter::condition(Entity::Device, &parse(query)?, self.times()?),
        }
    }
}
