//! A JSON value whose texts are borrowed from where it was read.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// The members of an object, in their order; no name occurs twice.
pub type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// A JSON value. Unlike [`Value`] it makes no texts and no tables while it is read: of most files
/// only a part is kept.
#[derive(Debug, Clone)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number of up to 64 bits.
    Number(Number),
    /// A text.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(Members<'a>),
}

impl Json<'_> {
    /// The same value with texts of its own.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Number(number) => Value::Number(number),
            Self::String(text) => Value::String(text.into_owned()),
            Self::Array(items) => items.into_iter().map(Json::into_value).collect(),
            Self::Object(members) => Value::Object(into_map(members)),
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }
}

/// The members with texts of their own.
pub(crate) fn into_map(members: Members<'_>) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.into_owned(), value.into_value())).collect()
}

impl From<Value> for Json<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::String(Cow::Owned(text)),
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let owned = |(key, value)| (Cow::Owned(key), Self::from(value));
                Self::Object(members.into_iter().map(owned).collect())
            }
        }
    }
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String(Cow::Borrowed(text)),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                let borrowed = members.iter();
                let borrowed =
                    borrowed.map(|(key, value)| (Cow::Borrowed(key.as_str()), Self::from(value)));
                Self::Object(borrowed.collect())
            }
        }
    }
}
