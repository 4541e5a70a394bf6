//! Taking named fields out of a JSON object; what is left over is kept as it came.

use serde_json::{Map, Value};

use crate::FormatError;

/// Unknown members of an object: covered by signatures, written back unchanged.
pub(crate) type Extra = Map<String, Value>;

/// A JSON object that is being taken apart.
#[derive(Debug)]
pub(crate) struct Fields {
    members: Map<String, Value>,
}

impl Fields {
    /// The members of `value`, which `name` names in errors.
    pub(crate) fn of(name: &str, value: Value) -> Result<Self, FormatError> {
        match value {
            Value::Object(members) => Ok(Self { members }),
            _ => Err(FormatError::field(name, "is not an object")),
        }
    }

    /// Members that nobody has taken.
    pub(crate) fn rest(self) -> Extra {
        self.members
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Value, FormatError> {
        self.take_optional(name).ok_or_else(|| FormatError::missing(name))
    }

    pub(crate) fn take_optional(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name)
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, FormatError> {
        string(name, self.take(name)?)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, FormatError> {
        self.take_optional(name).map(|value| string(name, value)).transpose()
    }

    pub(crate) fn unsigned(&mut self, name: &str) -> Result<u64, FormatError> {
        unsigned(name, &self.take(name)?)
    }

    pub(crate) fn optional_unsigned(&mut self, name: &str) -> Result<Option<u64>, FormatError> {
        self.take_optional(name).map(|value| unsigned(name, &value)).transpose()
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, FormatError> {
        match self.take_optional(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(FormatError::field(name, "is not a boolean")),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Map<String, Value>, FormatError> {
        Ok(Self::of(name, self.take(name)?)?.members)
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, FormatError> {
        array(name, self.take(name)?)
    }

    pub(crate) fn optional_strings(
        &mut self,
        name: &str,
    ) -> Result<Option<Vec<String>>, FormatError> {
        self.take_optional(name)
            .map(|value| array(name, value)?.into_iter().map(|item| string(name, item)).collect())
            .transpose()
    }

    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<String>, FormatError> {
        self.optional_strings(name)?.ok_or_else(|| FormatError::missing(name))
    }
}

pub(crate) fn string(name: &str, value: Value) -> Result<String, FormatError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(FormatError::field(name, "is not a string")),
    }
}

fn array(name: &str, value: Value) -> Result<Vec<Value>, FormatError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(FormatError::field(name, "is not an array")),
    }
}

fn unsigned(name: &str, value: &Value) -> Result<u64, FormatError> {
    value.as_u64().ok_or_else(|| FormatError::field(name, "is not a non-negative integer"))
}
