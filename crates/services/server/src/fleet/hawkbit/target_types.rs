//! Types of devices: which types of distribution sets a device takes.

use updraft_hawkbit::management::Type;

use super::{MAX_NAME, check_text};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::types::{self, Of, TypeValues};

impl Fleet {
    /// Makes types with the types of sets that their devices take, all or none.
    pub fn make_target_types(
        &self,
        operator: &Operator,
        new: Vec<(TypeValues, Vec<i64>)>,
    ) -> Result<Vec<Type>> {
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("make target types", |tx| {
            let mut made = Vec::new();
            for (values, set_types) in new {
                check_text("a type's key", &values.key, 64)?;
                check_text("a type's name", &values.name, MAX_NAME)?;
                let id = types::insert(tx, Of::Targets, &values, by)?;
                for set_type in set_types {
                    types::require(tx, Of::Sets, set_type)?;
                    types::allow_set_type(tx, id, set_type)?;
                }
                made.push(types::require(tx, Of::Targets, id)?);
            }
            Ok(made)
        })
    }

    /// The types of sets that devices of a type take.
    pub fn compatible_set_types(&self, target_type: i64) -> Result<Vec<Type>> {
        self.database.read("read a target type's set types", |reader| {
            types::require(reader, Of::Targets, target_type)?;
            types::compatible(reader, target_type)
        })
    }

    /// Lets devices of a type take sets of these types, too.
    pub fn add_compatible_set_types(&self, target_type: i64, set_types: &[i64]) -> Result<()> {
        self.database.write("change a target type", |tx| {
            types::require(tx, Of::Targets, target_type)?;
            for set_type in set_types {
                types::require(tx, Of::Sets, *set_type)?;
                types::allow_set_type(tx, target_type, *set_type)?;
            }
            Ok(())
        })
    }

    /// Has devices of a type take sets of another no more. What they were told stays so.
    pub fn remove_compatible_set_type(&self, target_type: i64, set_type: i64) -> Result<()> {
        self.database.write("change a target type", |tx| {
            types::require(tx, Of::Targets, target_type)?;
            types::require(tx, Of::Sets, set_type)?;
            types::forbid_set_type(tx, target_type, set_type).map(drop)
        })
    }
}
