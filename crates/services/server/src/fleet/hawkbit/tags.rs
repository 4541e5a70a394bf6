//! Tags of devices and of distribution sets.

use updraft_hawkbit::management::{DistributionSet, Tag, Target};

use super::{MAX_DESCRIPTION, MAX_NAME, Wanted, check_optional, check_text};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::filter::Entity;
use crate::storage::hawkbit::tags::{self, Tagged};
use crate::storage::hawkbit::{By, devices, sets};
use crate::storage::sql::Value;

/// A tag to make, or what of one is to change.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct TagValues {
    /// Its name.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// For lists on screens.
    pub colour: Option<String>,
}

impl TagValues {
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.name {
            check_text("a tag's name", name, MAX_NAME)?;
        }
        check_optional("a description", self.description.clone(), MAX_DESCRIPTION)?;
        check_optional("a colour", self.colour.clone(), 16).map(drop)
    }
}

impl Fleet {
    /// Makes tags, all or none.
    pub fn make_tags(
        &self,
        operator: &Operator,
        of: Tagged,
        new: &[TagValues],
    ) -> Result<Vec<Tag>> {
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("make tags", |tx| {
            let mut made = Vec::new();
            for one in new {
                one.check()?;
                let name = one.name.as_deref().unwrap_or_default();
                check_text("a tag's name", name, MAX_NAME)?;
                let values = (name, one.description.as_deref(), one.colour.as_deref());
                let id = tags::insert(tx, of, values, by)?;
                made.push(tags::require(tx, of, id)?);
            }
            Ok(made)
        })
    }

    /// One tag.
    pub fn tag(&self, of: Tagged, id: i64) -> Result<Tag> {
        self.database.read("read a tag", |reader| tags::require(reader, of, id))
    }

    /// A page of tags, and how many there are.
    pub fn named_tags(&self, of: Tagged, wanted: &Wanted) -> Result<(Vec<Tag>, u64)> {
        let listing = self.listing(Entity::Tag, wanted)?;
        self.database.read("list tags", |reader| tags::list(reader, of, &listing))
    }

    /// Changes a tag.
    pub fn change_tag(
        &self,
        operator: &Operator,
        of: Tagged,
        id: i64,
        change: &TagValues,
    ) -> Result<Tag> {
        change.check()?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let tag = self.database.write("change a tag", |tx| {
            tags::require(tx, of, id)?;
            let values =
                (change.name.as_deref(), change.description.as_deref(), change.colour.as_deref());
            tags::change(tx, id, values, by)?;
            tags::require(tx, of, id)
        })?;
        self.selection_changed();
        Ok(tag)
    }

    /// Deletes a tag; what had it has it no more.
    pub fn delete_named_tag(&self, of: Tagged, id: i64) -> Result<()> {
        self.database.write("delete a tag", |tx| {
            tags::require(tx, of, id)?;
            tags::remove(tx, id)
        })?;
        self.selection_changed();
        Ok(())
    }

    /// Gives devices a tag, or takes it away; all or none.
    pub fn tag_targets(&self, tag: i64, ids: &[String], assigned: bool) -> Result<()> {
        self.database.write("tag targets", |tx| {
            tags::require(tx, Tagged::Devices, tag)?;
            for id in ids {
                devices::require(tx, id)?;
                tags::assign(tx, Tagged::Devices, tag, &Value::Text(id.clone()), assigned)?;
            }
            Ok(())
        })?;
        self.selection_changed();
        Ok(())
    }

    /// The same of sets.
    pub fn tag_sets(&self, tag: i64, ids: &[i64], assigned: bool) -> Result<()> {
        self.database.write("tag distribution sets", |tx| {
            tags::require(tx, Tagged::Sets, tag)?;
            for id in ids {
                sets::require(tx, *id)?;
                tags::assign(tx, Tagged::Sets, tag, &Value::Integer(*id), assigned)?;
            }
            Ok(())
        })
    }

    /// A page of the devices with a tag, and how many there are.
    pub fn tagged_targets(&self, tag: i64, wanted: &Wanted) -> Result<(Vec<Target>, u64)> {
        self.tag(Tagged::Devices, tag)?;
        let column = "t.device IN (SELECT device FROM action_device_tags WHERE tag = ?)";
        self.targets_where(column, tag, wanted)
    }

    /// A page of the sets with a tag, and how many there are.
    pub fn tagged_sets(&self, tag: i64, wanted: &Wanted) -> Result<(Vec<DistributionSet>, u64)> {
        self.tag(Tagged::Sets, tag)?;
        let mut listing = self.listing(Entity::Set, wanted)?;
        listing.also("s.id IN (SELECT set_id FROM distribution_set_tags WHERE tag = ?)", tag);
        self.database.read("list distribution sets", |reader| sets::list(reader, &listing))
    }

    /// The tags of a device.
    pub fn tags_of_target(&self, id: &str) -> Result<Vec<Tag>> {
        self.database.read("read a target's tags", |reader| {
            devices::require(reader, id)?;
            tags::of_device(reader, id)
        })
    }

    /// Devices may meet other queries than before: those of polling times, and those of filters.
    pub(super) fn selection_changed(&self) {
        self.hawkbit.polls.forget_all();
        self.kick();
    }
}
