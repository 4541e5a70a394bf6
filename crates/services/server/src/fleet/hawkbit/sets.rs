//! Distribution sets, as operators make them.

use updraft_api::EventKind;
use updraft_hawkbit::management::{DistributionSet, Type};

use super::assignment::{begin_cancel, end_canceled};
use super::{MAX_DESCRIPTION, MAX_NAME, Wanted, check_optional, check_text};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::actions::{self, NewReport};
use crate::storage::hawkbit::filter::Entity;
use crate::storage::hawkbit::sets::SetValues;
use crate::storage::hawkbit::types::{self, Of, TypeValues};
use crate::storage::hawkbit::{By, Listing, devices, modules, sets};
use crate::storage::sql::Transaction;

/// The most modules of a set.
const MAX_MODULES: usize = 100;
/// The type of a set that names none.
const DEFAULT_TYPE: &str = "os";

/// A set to make.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSet {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The key of its type.
    #[serde(rename = "type", default)]
    pub set_type: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether devices install it even when a newer one was assigned in the meantime.
    #[serde(default)]
    pub required_migration_step: Option<bool>,
    /// Its modules.
    #[serde(default)]
    pub modules: Vec<ModuleId>,
}

/// What of a set may change.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetChange {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Whether devices install it even when a newer one was assigned in the meantime.
    pub required_migration_step: Option<bool>,
    /// From now on its content does not change any more.
    pub locked: Option<bool>,
}

/// The number of something.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct ModuleId {
    /// The number.
    pub id: i64,
}

/// How much of what a set was assigned for is to end with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancellation {
    /// Nothing.
    None,
    /// Devices are told to stop.
    Soft,
    /// Devices are not asked.
    Force,
}

impl Fleet {
    /// Makes sets, all or none.
    pub fn make_sets(&self, operator: &Operator, new: Vec<NewSet>) -> Result<Vec<DistributionSet>> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("make distribution sets", |tx| {
            let by = By { actor: &actor, at: now };
            let mut made = Vec::new();
            for one in new {
                check_text("a set's name", &one.name, MAX_NAME)?;
                check_text("a set's version", &one.version, MAX_NAME)?;
                let key = one.set_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned());
                let set_type = types::by_key(tx, Of::Sets, &key)?
                    .ok_or_else(|| Error::not_found("distribution set type", key))?;
                let values = SetValues {
                    set_type: set_type.id,
                    description: check_optional("a description", one.description, MAX_DESCRIPTION)?,
                    required_migration_step: one.required_migration_step.unwrap_or(false),
                    name: one.name,
                    version: one.version,
                };
                let id = sets::insert(tx, &values, by)?;
                let ids: Vec<i64> = one.modules.iter().map(|module| module.id).collect();
                add_modules(tx, id, &set_type, &ids)?;
                let message =
                    format!("distribution set {} {} was made", values.name, values.version);
                events::append(
                    tx,
                    now,
                    &NewEvent::new(EventKind::SoftwareChanged, &actor, message),
                )?;
                made.push(sets::require(tx, id)?);
            }
            Ok(made)
        })
    }

    /// One set.
    pub fn set(&self, id: i64) -> Result<DistributionSet> {
        self.database.read("read a distribution set", |reader| sets::require(reader, id))
    }

    /// A page of sets, and how many there are.
    pub fn sets(&self, wanted: &Wanted) -> Result<(Vec<DistributionSet>, u64)> {
        let listing = self.listing(Entity::Set, wanted)?;
        self.database.read("list distribution sets", |reader| sets::list(reader, &listing))
    }

    /// Changes a set.
    pub fn change_set(
        &self,
        operator: &Operator,
        id: i64,
        change: &SetChange,
    ) -> Result<DistributionSet> {
        for (what, text) in [("a set's name", &change.name), ("a set's version", &change.version)] {
            if let Some(text) = text {
                check_text(what, text, MAX_NAME)?;
            }
        }
        check_optional("a description", change.description.clone(), MAX_DESCRIPTION)?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("change a distribution set", |tx| {
            let set = sets::require(tx, id)?;
            let changes_content = change.name.as_ref().is_some_and(|name| *name != set.name)
                || change.version.as_ref().is_some_and(|version| *version != set.version)
                || change
                    .required_migration_step
                    .is_some_and(|required| required != set.required_migration_step);
            if set.locked && changes_content {
                return Err(locked(id));
            }
            let texts =
                (change.name.as_deref(), change.version.as_deref(), change.description.as_deref());
            sets::change(tx, id, texts, change.required_migration_step, by)?;
            if change.locked == Some(true) {
                sets::lock(tx, id)?;
            }
            sets::require(tx, id)
        })
    }

    /// Gives a set more modules.
    pub fn add_set_modules(&self, id: i64, new: &[i64]) -> Result<()> {
        self.database.write("change a distribution set", |tx| {
            let set = sets::require(tx, id)?;
            if set.locked {
                return Err(locked(id));
            }
            let set_type = types::by_key(tx, Of::Sets, &set.set_type)?
                .ok_or_else(|| Error::not_found("distribution set type", set.set_type))?;
            add_modules(tx, id, &set_type, new)
        })
    }

    /// Takes a module from a set.
    pub fn remove_set_module(&self, id: i64, module: i64) -> Result<()> {
        self.database.write("change a distribution set", |tx| {
            if sets::require(tx, id)?.locked {
                return Err(locked(id));
            }
            if sets::remove_module(tx, id, module)? {
                return Ok(());
            }
            Err(Error::not_found("software module of the set", module.to_string()))
        })
    }

    /// Deletes a set. Devices that were told it go on.
    pub fn delete_set(&self, operator: &Operator, id: i64) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("delete a distribution set", |tx| {
            let set = sets::require(tx, id)?;
            sets::end_auto_assignments(tx, id)?;
            sets::remove(tx, id)?;
            let message = format!("distribution set {} {} was deleted", set.name, set.version);
            events::append(tx, now, &NewEvent::new(EventKind::SoftwareChanged, &actor, message))
        })
    }

    /// No device is told a set any more; what was told may end with that.
    pub fn invalidate_set(
        &self,
        operator: &Operator,
        id: i64,
        cancellation: Cancellation,
    ) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        let by = By { actor: &actor, at: now };
        self.database.write("invalidate a distribution set", |tx| {
            let set = sets::require(tx, id)?;
            sets::end_auto_assignments(tx, id)?;
            sets::invalidate(tx, id)?;
            let message = format!("distribution set {} {} was invalidated", set.name, set.version);
            events::append(tx, now, &NewEvent::new(EventKind::SoftwareChanged, &actor, message))?;
            if cancellation == Cancellation::None {
                return Ok(());
            }
            let listing = Listing {
                condition: "a.active = 1 AND a.set_id = ?1".to_owned(),
                parameters: vec![crate::storage::sql::Value::Integer(id)],
                order: "a.id".to_owned(),
                limit: u32::MAX,
                offset: 0,
            };
            for mut action in actions::list(tx, None, &listing)?.0 {
                let message = "the distribution set was invalidated";
                if cancellation == Cancellation::Soft {
                    if !action.is_canceling_or_canceled() {
                        begin_cancel(tx, &mut action, message, by)?;
                    }
                    continue;
                }
                let mut device = devices::require(tx, &action.device)?;
                let status = updraft_hawkbit::management::ActionStatus::Canceled;
                actions::append(tx, action.id, &NewReport::of_server(status, message), now)?;
                end_canceled(tx, &mut device, &mut action, by)?;
                devices::update(tx, &device, None)?;
            }
            Ok(())
        })?;
        self.hawkbit.polls.forget_all();
        Ok(())
    }

    /// Makes types, all or none. For sets with the module types that they may and must have.
    pub fn make_types(
        &self,
        operator: &Operator,
        of: Of,
        new: Vec<(TypeValues, Vec<i64>, Vec<i64>)>,
    ) -> Result<Vec<Type>> {
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("make types", |tx| {
            let mut made = Vec::new();
            for (values, mandatory, optional) in new {
                check_text("a type's key", &values.key, 64)?;
                check_text("a type's name", &values.name, MAX_NAME)?;
                let id = types::insert(tx, of, &values, by)?;
                for (modules, is_mandatory) in [(mandatory, true), (optional, false)] {
                    for module in modules {
                        types::require(tx, Of::Modules, module)?;
                        types::allow_module(tx, id, module, is_mandatory)?;
                    }
                }
                made.push(types::require(tx, of, id)?);
            }
            Ok(made)
        })
    }

    /// Changes a type's name, description and colour, where given.
    pub fn change_type(
        &self,
        operator: &Operator,
        of: Of,
        id: i64,
        (name, description, colour): (Option<&str>, Option<&str>, Option<&str>),
    ) -> Result<Type> {
        if let Some(name) = name {
            check_text("a type's name", name, MAX_NAME)?;
        }
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("change a type", |tx| {
            types::require(tx, of, id)?;
            types::change(tx, of, id, (name, description, colour), by)?;
            types::require(tx, of, id)
        })
    }

    /// Deletes a type that nothing is of.
    pub fn delete_type(&self, of: Of, id: i64) -> Result<()> {
        self.database.write("delete a type", |tx| {
            types::require(tx, of, id)?;
            types::remove(tx, of, id)
        })
    }

    /// The module types of a set type: those it must have, or those it may.
    pub fn type_modules(&self, set_type: i64, mandatory: bool) -> Result<Vec<Type>> {
        self.database.read("read a type's modules", |reader| {
            types::require(reader, Of::Sets, set_type)?;
            types::modules_of(reader, set_type, mandatory)
        })
    }

    /// Lets sets of a type have modules of another (`Some`), or takes that back.
    pub fn set_type_module(
        &self,
        set_type: i64,
        module_type: i64,
        mandatory: Option<bool>,
    ) -> Result<()> {
        self.database.write("change a type's modules", |tx| {
            types::require(tx, Of::Sets, set_type)?;
            types::require(tx, Of::Modules, module_type)?;
            match mandatory {
                Some(mandatory) => types::allow_module(tx, set_type, module_type, mandatory),
                None => types::forbid_module(tx, set_type, module_type),
            }
        })
    }
}

fn locked(id: i64) -> Error {
    let message = format!("distribution set {id} was assigned and does not change any more");
    Error::hawkbit(Trouble::Locked, message)
}

fn add_modules(tx: &Transaction<'_>, set: i64, set_type: &Type, new: &[i64]) -> Result<()> {
    let mut allowed = types::modules_of(tx, set_type.id, true)?;
    allowed.extend(types::modules_of(tx, set_type.id, false)?);
    for id in new {
        let module = modules::require(tx, *id)?;
        let kind = allowed.iter().find(|one| one.key == module.module_type).ok_or_else(|| {
            let message = format!(
                "a set of type {} cannot have a module of type {}",
                set_type.key, module.module_type
            );
            Error::hawkbit(Trouble::Unsupported, message)
        })?;
        // As many of one type as it allows; of one that allows a single one, the new one counts.
        let alike: Vec<i64> = modules::of_set(tx, set)?
            .into_iter()
            .filter(|other| other.module_type == kind.key && other.id != *id)
            .map(|other| other.id)
            .collect();
        let most = usize::try_from(kind.max_assignments.unwrap_or(1)).unwrap_or(usize::MAX);
        if alike.len() >= most
            && let Some(oldest) = alike.first()
        {
            sets::remove_module(tx, set, *oldest)?;
        }
        sets::add_module(tx, set, *id)?;
    }
    if modules::of_set(tx, set)?.len() > MAX_MODULES {
        let message = format!("a set may have {MAX_MODULES} modules");
        return Err(Error::hawkbit(Trouble::Quota, message));
    }
    Ok(())
}
