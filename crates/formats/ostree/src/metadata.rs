//! Dictionaries of named values, `a{sv}`: a commit's metadata, signatures, a summary's extensions.

use crate::Error;
use crate::gvariant::{Member, Type, Value};

/// An ordered `a{sv}`. Order is part of the bytes, so it is kept as read and as inserted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(Vec<(String, Value)>);

impl Metadata {
    /// An empty dictionary.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value under `key`; the first one, as with GLib, when there are several.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(have, _)| have == key).map(|(_, value)| value)
    }

    /// The text under `key`, when it is one.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The texts under `key`, when it is an `as`.
    #[must_use]
    pub fn get_strings(&self, key: &str) -> Option<Vec<&str>> {
        self.get(key)?.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Sets `key` in its place, or at the end when it is new.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        match self.0.iter_mut().find(|(have, _)| *have == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// Adds an entry at the end, also when there is one with this key.
    pub fn append(&mut self, key: impl Into<String>, value: Value) {
        self.0.push((key.into(), value));
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(have, _)| have == key)?;
        Some(self.0.remove(at).1)
    }

    /// Brings the entries into the order that libostree gives those of a `GVariantDict`, in which of
    /// several values of one key the last one counts.
    pub fn sort_as_dict(&mut self) {
        for (key, value) in std::mem::take(&mut self.0) {
            self.insert(key, value);
        }
        let keys: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
        let order = crate::hash_order::hash_order(&keys);
        let mut entries: Vec<Option<(String, Value)>> =
            std::mem::take(&mut self.0).into_iter().map(Some).collect();
        self.0 = order.into_iter().filter_map(|at| entries.get_mut(at)?.take()).collect();
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as a dynamic value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let entry_type = Type::DictEntry(Box::new((Type::String, Type::Variant)));
        let entries = self.0.iter().map(|(key, value)| {
            let key = Value::String(key.clone());
            Value::DictEntry(Box::new((key, Value::Variant(Box::new(value.clone())))))
        });
        Value::Array(entry_type, entries.collect())
    }

    /// The dictionary in a dynamic value of type `a{sv}`. A key may be there more than once, as in a
    /// commit whose author gave it twice.
    pub fn from_value(value: Value) -> Result<Self, Error> {
        let bad = || Error::malformed("metadata", "it is not a dictionary of names and variants");
        let Value::Array(_, entries) = value else { return Err(bad()) };
        let mut metadata = Self::new();
        for entry in entries {
            let Value::DictEntry(entry) = entry else { return Err(bad()) };
            let (Value::String(key), Value::Variant(value)) = *entry else { return Err(bad()) };
            metadata.0.push((key, *value));
        }
        Ok(metadata)
    }

    pub(crate) const MEMBER: Member = Member::variable(8);

    /// The serialised dictionary.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_value().encode()
    }

    /// Reads a serialised dictionary.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        Self::from_value(Value::decode(&Type::vardict(), data)?)
    }
}

impl FromIterator<(String, Value)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in entries {
            metadata.insert(key, value);
        }
        metadata
    }
}
