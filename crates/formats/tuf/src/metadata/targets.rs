//! Targets: what there is to install, and who else may say so.
//!
//! ```text
//! {…, "targets": {PATH: {"length", "hashes": {"sha256": HEX}, "custom"?: {…}}}, "delegations"?}
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Delegations, Header, Payload};
use crate::fields::Fields;
use crate::json::Json;
use crate::{Dialect, FormatError, Hashes, Reason};

/// Longest target path that is accepted, in bytes.
const MAX_TARGET_PATH: usize = 4096;

/// One target file.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Length in bytes; 0 for an OSTree commit.
    pub length: u64,
    /// Hashes; for an OSTree commit, sha256 is the commit.
    pub hashes: Hashes,
    /// What the standards leave to others.
    pub custom: Option<Value>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl Target {
    /// A target without custom fields.
    #[must_use]
    pub fn new(length: u64, hashes: Hashes) -> Self {
        Self { length, hashes, custom: None, extra: Map::new() }
    }

    /// A member of `custom`.
    #[must_use]
    pub fn custom_field(&self, name: &str) -> Option<&Value> {
        self.custom.as_ref()?.get(name)
    }

    /// `custom.shallMatch`: what both repositories of Uptane, and all roles of a multi-role
    /// delegation, must say alike (Uptane 2.1.0, U-M8).
    #[must_use]
    pub fn shall_match(&self) -> Option<&Value> {
        self.custom_field("shallMatch")
    }

    /// `custom.releaseCounter`: never goes down on one ECU.
    #[must_use]
    pub fn release_counter(&self) -> Option<u64> {
        self.custom_field("releaseCounter")?.as_u64()
    }

    /// The texts in `custom.hardwareIds`.
    #[must_use]
    pub fn hardware_ids(&self) -> Vec<&str> {
        let listed = self.custom_field("hardwareIds").and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("target", value)?;
        let length = fields.unsigned("length")?;
        let hashes = Hashes::from_members(fields.object("hashes")?)?;
        let custom = fields.take_optional("custom").map(Json::into_value);
        Ok(Self { length, hashes, custom, extra: fields.rest() })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        if let Some(custom) = &self.custom {
            members.insert("custom".to_owned(), custom.clone());
        }
        members.insert("hashes".to_owned(), self.hashes.to_value());
        members.insert("length".to_owned(), self.length.into());
        members.extend(self.extra.clone());
        Value::Object(members)
    }
}

/// The payload of a targets file, top-level or delegated.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Version and expiry.
    pub header: Header,
    /// Target path → target.
    pub targets: BTreeMap<String, Target>,
    /// Roles that may speak for some paths.
    pub delegations: Option<Delegations>,
    /// Unknown fields, and `custom` of the Director.
    pub extra: Map<String, Value>,
}

/// When a Director wants its targets installed: `signed.custom.installation`. A client that does not
/// know the member installs at once, as it would without it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum InstallOrder {
    /// As soon as it can be; there is no such member.
    #[default]
    AtOnce,
    /// When somebody at the device agrees: `consent`.
    Consent,
    /// Not at all; it is to be there when that is ordered: `download-only`.
    DownloadOnly,
}

impl InstallOrder {
    /// The member's name.
    pub const MEMBER: &str = "installation";

    /// The member's value, if it is there.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::AtOnce => None,
            Self::Consent => Some("consent"),
            Self::DownloadOnly => Some("download-only"),
        }
    }

    /// What a value means. One that is not known is no reason to install.
    fn of(value: Option<&Value>) -> Self {
        match value.map(Value::as_str) {
            None => Self::AtOnce,
            Some(Some("consent")) => Self::Consent,
            Some(_) => Self::DownloadOnly,
        }
    }
}

impl Targets {
    /// A file without targets and delegations.
    #[must_use]
    pub fn empty(header: Header) -> Self {
        Self { header, targets: BTreeMap::new(), delegations: None, extra: Map::new() }
    }

    /// `signed.custom.correlationId` of a Director.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.extra.get("custom")?.get("correlationId")?.as_str()
    }

    /// `signed.custom.installation` of a Director.
    #[must_use]
    pub fn install_order(&self) -> InstallOrder {
        let custom = self.extra.get("custom");
        InstallOrder::of(custom.and_then(|custom| custom.get(InstallOrder::MEMBER)))
    }

    /// `signed.custom.vehicleId` of a Director: whose these targets are, empty ones above all.
    #[must_use]
    pub fn vehicle_id(&self) -> Option<&str> {
        self.extra.get("custom")?.get("vehicleId")?.as_str()
    }
}

impl Payload for Targets {
    const TYPE: &'static str = "targets";

    fn header(&self) -> &Header {
        &self.header
    }

    fn read(_: Dialect, header: Header, mut fields: Fields<'_>) -> Result<Self, FormatError> {
        let listed = fields.object("targets")?;
        let mut targets = Vec::with_capacity(listed.len());
        for (path, value) in listed {
            if path.is_empty() || path.len() > MAX_TARGET_PATH {
                return Err(FormatError::field("targets", "has a path that is empty or too long"));
            }
            targets.push((path.into_owned(), Target::from_json(value)?));
        }
        // In order already, mostly: the table is then made at once.
        let targets = targets.into_iter().collect();
        let delegations =
            fields.take_optional("delegations").filter(|value| !matches!(value, Json::Null));
        let delegations = delegations.map(Delegations::from_json).transpose()?;
        Ok(Self { header, targets, delegations, extra: fields.rest() })
    }

    /// Refuses delegated roles that name keys which are not there.
    fn check(&self) -> Result<(), Reason> {
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
    }

    fn write(&self, members: &mut Map<String, Value>) {
        let targets = self.targets.iter().map(|(path, target)| (path.clone(), target.to_value()));
        members.insert("targets".to_owned(), Value::Object(targets.collect()));
        if let Some(delegations) = &self.delegations {
            members.insert("delegations".to_owned(), delegations.to_value());
        }
        members.extend(self.extra.clone());
    }
}
