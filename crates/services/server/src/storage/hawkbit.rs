//! What hawkBit's interfaces are about: devices that speak DDI, software modules, distribution sets,
//! actions, and the tenant's configuration.

pub mod actions;
pub mod artifacts;
pub mod auto_assignments;
pub mod configuration;
pub mod devices;
pub mod filter;
pub mod filters;
pub mod modules;
pub mod notes;
pub mod reports;
pub mod rollouts;
pub mod sets;
pub mod tags;
pub mod types;

use jiff::Timestamp;
use updraft_hawkbit::management::Stamp;

use super::values;
use crate::storage::sql::{self, Row, Value};

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// A condition, with its parameters; empty for all.
    pub condition: String,
    /// The parameters of the condition.
    pub parameters: Vec<Value>,
    /// `ORDER BY` without these words.
    pub order: String,
    /// How many are passed over.
    pub offset: u32,
    /// The most that are given.
    pub limit: u32,
}

impl Listing {
    /// The rest of a statement: `WHERE …`, and `ORDER BY … LIMIT … OFFSET …` where entries are wanted.
    fn conditions(&self, always: &str) -> String {
        match (always, self.condition.as_str()) {
            ("", "") => String::new(),
            (one, "") | ("", one) => format!(" WHERE {one}"),
            (one, other) => format!(" WHERE {one} AND ({other})"),
        }
    }

    /// Asks for this as well; `?` in it is the value.
    pub fn also(&mut self, condition: &str, value: impl Into<Value>) {
        self.parameters.push(value.into());
        let condition = condition.replace('?', &format!("?{}", self.parameters.len()));
        self.condition = match self.condition.as_str() {
            "" => condition,
            other => format!("({other}) AND {condition}"),
        };
    }

    fn page(&self) -> String {
        format!(" ORDER BY {} LIMIT {} OFFSET {}", self.order, self.limit, self.offset)
    }
}

/// Who and when, of a row that has these columns.
fn stamp(row: &Row<'_>) -> sql::Result<Stamp> {
    Ok(Stamp {
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        last_modified_by: row.get("modified_by")?,
        last_modified_at: row.get("modified_at")?,
    })
}

/// Who does something, and when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The name.
    pub actor: &'a str,
    /// The time.
    pub at: Timestamp,
}

impl By<'_> {
    fn millis(&self) -> i64 {
        values::millis(self.at)
    }
}
