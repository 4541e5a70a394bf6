//! The four roles' payloads: typed views that keep unknown fields.

mod agreement;
mod delegations;
mod offline;
mod root;
mod snapshot;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use jiff::Timestamp as Time;
use serde_json::{Map, Value};

pub use agreement::Agreement;
pub use delegations::{DelegatedPaths, DelegatedRole, Delegations, SuccinctRoles};
pub use offline::{OfflineSnapshot, OfflineUpdates};
pub use root::Root;
pub use snapshot::{FileMeta, Snapshot, Timestamp};
pub use targets::{InstallOrder, Target, Targets};

use crate::dialect::parse_expiry;
use crate::fields::{Extra, Fields};
use crate::json::{Json, Members};
use crate::{Dialect, FormatError, Key, KeyId, Reason, format_time};

/// The version of the TUF specification that we write.
const SPEC_VERSION: &str = "1.0.34";

/// A role whose file is fetched and stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleName {
    /// Holds the keys and thresholds of all top-level roles.
    Root,
    /// Says which snapshot is current.
    Timestamp,
    /// Says which version of each targets file is current.
    Snapshot,
    /// Lists targets, and delegates.
    Targets,
    /// A delegated targets role; any non-empty text but a top-level name.
    Delegated(String),
    /// Of a Director: lists what may be installed from media without a network.
    OfflineSnapshot,
    /// Of a Director: the targets of one such medium.
    OfflineUpdates,
}

impl RoleName {
    /// The name as it stands in metadata.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Delegated(name) => name,
            Self::OfflineSnapshot => "offline-snapshot",
            Self::OfflineUpdates => "offline-updates",
        }
    }

    /// The name of the file in a store: `targets.json`; delegated names are percent-encoded, so
    /// that the result never holds a `/`.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Delegated(name) => format!("delegated.{}.json", percent_encode(name)),
            top => format!("{}.json", top.as_str()),
        }
    }

    /// The role of a file that [`RoleName::file_name`] named.
    #[must_use]
    pub fn of_file_name(file_name: &str) -> Option<Self> {
        match file_name {
            "root.json" => Some(Self::Root),
            "timestamp.json" => Some(Self::Timestamp),
            "snapshot.json" => Some(Self::Snapshot),
            "targets.json" => Some(Self::Targets),
            "offline-snapshot.json" => Some(Self::OfflineSnapshot),
            "offline-updates.json" => Some(Self::OfflineUpdates),
            other => {
                let encoded = other.strip_prefix("delegated.")?.strip_suffix(".json")?;
                percent_decode(encoded).map(Self::Delegated)
            }
        }
    }

    /// The key of this role in a snapshot's `meta`.
    pub(crate) fn meta_name(&self) -> String {
        format!("{}.json", self.as_str())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Encodes all bytes but unreserved ones (RFC 3986) as `%XX`.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = tail.get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What every payload begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Starts at 1 and rises by 1.
    pub version: u64,
    /// From this moment on the file is refused.
    pub expires: Time,
    /// `spec_version` as the file has it; required in the TUF dialect.
    pub spec_version: Option<String>,
}

impl Header {
    /// A header as `dialect` writes it.
    #[must_use]
    pub fn new(dialect: Dialect, version: u64, expires: Time) -> Self {
        let spec_version = (dialect == Dialect::Tuf).then(|| SPEC_VERSION.to_owned());
        Self { version, expires, spec_version }
    }

    fn read(dialect: Dialect, fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let version = fields.unsigned("version")?;
        if version == 0 {
            return Err(FormatError::field("version", "is zero"));
        }
        let expires = parse_expiry(dialect, &fields.string("expires")?)?;
        let spec_version = match dialect {
            Dialect::Tuf => Some(fields.string("spec_version")?),
            Dialect::Uptane => fields.optional_string("spec_version")?,
        };
        if dialect == Dialect::Tuf && !spec_version.as_deref().is_some_and(is_supported) {
            return Err(FormatError::field("spec_version", "is not 1.x"));
        }
        Ok(Self { version, expires, spec_version })
    }

    fn write(&self, type_name: &str, members: &mut Map<String, Value>) {
        members.insert("_type".to_owned(), type_name.into());
        members.insert("expires".to_owned(), format_time(self.expires).into());
        members.insert("version".to_owned(), self.version.into());
        if let Some(spec_version) = &self.spec_version {
            members.insert("spec_version".to_owned(), spec_version.as_str().into());
        }
    }
}

fn is_supported(spec_version: &str) -> bool {
    let mut parts = spec_version.split('.');
    let numbers = spec_version.split('.').all(|part| part.parse::<u32>().is_ok());
    parts.next() == Some("1") && parts.count() >= 1 && numbers
}

/// A role's payload.
pub trait Payload: Sized {
    /// The `_type` in lower case.
    const TYPE: &'static str;

    /// Version and expiry.
    fn header(&self) -> &Header;

    /// Reads the fields that are left after `_type` and the header were taken.
    #[doc(hidden)]
    fn read(dialect: Dialect, header: Header, fields: Fields<'_>) -> Result<Self, FormatError>;

    /// Writes all fields but `_type` and the header's.
    #[doc(hidden)]
    fn write(&self, members: &mut Map<String, Value>);

    /// Refuses a payload whose parts contradict each other.
    #[doc(hidden)]
    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }

    /// The `_type` that files of this dialect carry.
    #[must_use]
    fn type_name(dialect: Dialect) -> String {
        match dialect {
            Dialect::Tuf => Self::TYPE.to_owned(),
            Dialect::Uptane => {
                let mut name = Self::TYPE.to_owned();
                name[..1].make_ascii_uppercase();
                name
            }
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`Reason::WrongRoleType`] for another role's payload, else [`Reason::Malformed`].
    fn from_value(dialect: Dialect, value: Value) -> Result<Self, Reason> {
        Self::from_json(dialect, value.into())
    }

    /// [`Payload::from_value`] for what the reader made.
    #[doc(hidden)]
    fn from_json(dialect: Dialect, value: Json<'_>) -> Result<Self, Reason> {
        let mut fields = Fields::of("signed", value)?;
        let found = fields.string("_type")?;
        let expected = Self::type_name(dialect);
        // aktualizr accepts a root in either case, and some servers rely on it.
        let root_in_lower_case = dialect == Dialect::Uptane && found == "root";
        if found != expected && !(root_in_lower_case && Self::TYPE == "root") {
            return Err(Reason::WrongRoleType { expected, found });
        }
        let header = Header::read(dialect, &mut fields)?;
        let payload = Self::read(dialect, header, fields)?;
        payload.check()?;
        Ok(payload)
    }

    /// The payload as JSON, unknown fields included.
    fn to_value(&self, dialect: Dialect) -> Value {
        let mut members = Map::new();
        self.header().write(&Self::type_name(dialect), &mut members);
        self.write(&mut members);
        Value::Object(members)
    }
}

/// The keys that may sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleKeys {
    /// Ids of the keys; each occurs once.
    pub key_ids: Vec<KeyId>,
    /// How many distinct keys must sign; at least 1.
    pub threshold: u64,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl RoleKeys {
    /// A role signed by `threshold` of `key_ids`.
    #[must_use]
    pub fn new(key_ids: Vec<KeyId>, threshold: u64) -> Self {
        Self { key_ids, threshold, extra: Map::new() }
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let mut key_ids: Vec<KeyId> = Vec::new();
        let mut seen = BTreeSet::new();
        for text in fields.strings("keyids")? {
            let key_id: KeyId = text.parse()?;
            if !seen.insert(key_id.clone()) {
                return Err(FormatError::field("keyids", format!("has {key_id} twice")));
            }
            key_ids.push(key_id);
        }
        let threshold = fields.unsigned("threshold")?;
        if threshold == 0 {
            return Err(FormatError::field("threshold", "is zero"));
        }
        Ok(Self { key_ids, threshold, extra: Extra::new() })
    }

    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("role", value)?;
        let mut role = Self::read(&mut fields)?;
        role.extra = fields.rest();
        Ok(role)
    }

    fn write(&self, members: &mut Map<String, Value>) {
        let ids: Vec<Value> = self.key_ids.iter().map(|id| id.as_str().into()).collect();
        members.insert("keyids".to_owned(), ids.into());
        members.insert("threshold".to_owned(), self.threshold.into());
        members.extend(self.extra.clone());
    }

    /// Refuses a role that names a key id without a key.
    pub(crate) fn check_known(
        &self,
        role: &str,
        keys: &BTreeMap<KeyId, Key>,
    ) -> Result<(), Reason> {
        match self.key_ids.iter().find(|id| !keys.contains_key(id)) {
            None => Ok(()),
            Some(id) => Err(Reason::UnknownKey { role: role.to_owned(), key_id: id.to_string() }),
        }
    }
}

fn read_keys(members: Members<'_>) -> Result<BTreeMap<KeyId, Key>, FormatError> {
    let keys = members.into_iter();
    keys.map(|(id, json)| Ok((id.parse()?, Key::from_json(json.into_value())?))).collect()
}

fn write_keys(keys: &BTreeMap<KeyId, Key>) -> Value {
    Value::Object(keys.iter().map(|(id, key)| (id.to_string(), key.json().clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::{RoleName, is_supported};

    #[test]
    fn any_role_name_makes_a_safe_file_name_and_reads_back() {
        for name in ["a", "?", "#", "/delegatedrole", "../delegatedrole", "ü%", ".."] {
            let role = RoleName::Delegated(name.to_owned());
            let file_name = role.file_name();
            assert!(!file_name.contains(['/', '?', '#']), "{file_name}");
            assert_eq!(RoleName::of_file_name(&file_name), Some(role));
        }
        assert_eq!(RoleName::of_file_name("delegated.%4.json"), None);
        assert_eq!(RoleName::of_file_name("other"), None);
    }

    #[test]
    fn only_the_first_number_of_the_specification_counts() {
        assert!(is_supported("1.0.34") && is_supported("1.99.0") && is_supported("1.0"));
        assert!(!is_supported("2.0.0") && !is_supported("1") && !is_supported("1.x"));
        assert!(!is_supported("") && !is_supported("10.0.0"));
    }
}
