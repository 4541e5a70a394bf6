//! Taking named fields out of a JSON object; what is left over is kept as it came.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::FormatError;
use crate::json::{Json, Members, into_map};

/// Unknown members of an object: covered by signatures, written back unchanged.
pub(crate) type Extra = Map<String, Value>;

/// A JSON object that is being taken apart.
#[derive(Debug)]
pub struct Fields<'a> {
    members: Members<'a>,
}

impl<'a> Fields<'a> {
    /// The members of `value`, which `name` names in errors.
    pub(crate) fn of(name: &str, value: impl Into<Json<'a>>) -> Result<Self, FormatError> {
        match value.into() {
            Json::Object(members) => Ok(Self { members }),
            _ => Err(FormatError::field(name, "is not an object")),
        }
    }

    /// Members that nobody has taken.
    pub(crate) fn rest(self) -> Extra {
        into_map(self.members)
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Json<'a>, FormatError> {
        self.take_optional(name).ok_or_else(|| FormatError::missing(name))
    }

    pub(crate) fn take_optional(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(index).1)
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, FormatError> {
        string(name, self.take(name)?).map(Cow::into_owned)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, FormatError> {
        self.take_optional(name).map(|value| string(name, value).map(Cow::into_owned)).transpose()
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
            Some(Json::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(FormatError::field(name, "is not a boolean")),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Members<'a>, FormatError> {
        Ok(Self::of(name, self.take(name)?)?.members)
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Json<'a>>, FormatError> {
        array(name, self.take(name)?)
    }

    pub(crate) fn optional_strings(
        &mut self,
        name: &str,
    ) -> Result<Option<Vec<String>>, FormatError> {
        self.take_optional(name).map(|value| strings(name, value)).transpose()
    }

    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<String>, FormatError> {
        self.optional_strings(name)?.ok_or_else(|| FormatError::missing(name))
    }
}

/// The text that `value` is.
pub(crate) fn string<'a>(name: &str, value: Json<'a>) -> Result<Cow<'a, str>, FormatError> {
    match value {
        Json::String(text) => Ok(text),
        _ => Err(FormatError::field(name, "is not a string")),
    }
}

/// The texts in the array that `value` is.
pub(crate) fn strings(name: &str, value: Json<'_>) -> Result<Vec<String>, FormatError> {
    let items = array(name, value)?.into_iter();
    items.map(|item| string(name, item).map(Cow::into_owned)).collect()
}

fn array<'a>(name: &str, value: Json<'a>) -> Result<Vec<Json<'a>>, FormatError> {
    match value {
        Json::Array(items) => Ok(items),
        _ => Err(FormatError::field(name, "is not an array")),
    }
}

fn unsigned(name: &str, value: &Json<'_>) -> Result<u64, FormatError> {
    value.as_u64().ok_or_else(|| FormatError::field(name, "is not a non-negative integer"))
}
