//! What a Director signs for updates from a medium, without a network.
//!
//! ```text
//! Offline-Snapshot  {…, "meta": {"NAME.json": {"version", "length"?, "hashes"?}, …}}
//! Offline-Updates   {…, "targets": {PATH: {…, "custom": {"hardwareIds": […]}}}}
//! ```
//! They are a snapshot and targets by form, of the root's roles `offline-snapshot` and
//! `offline-updates`. One snapshot lists the media of all; a target is for hardware, not for one
//! vehicle. The form is that of the Torizon family of aktualizr.

use serde_json::{Map, Value};

use super::{Header, Payload, Snapshot, Targets};
use crate::fields::Fields;
use crate::{Dialect, FormatError, Reason};

/// The payload of `offline-snapshot.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineSnapshot(pub Snapshot);

impl Payload for OfflineSnapshot {
    const TYPE: &'static str = "offline-snapshot";

    fn header(&self) -> &Header {
        self.0.header()
    }

    fn read(dialect: Dialect, header: Header, fields: Fields<'_>) -> Result<Self, FormatError> {
        Snapshot::read(dialect, header, fields).map(Self)
    }

    fn write(&self, members: &mut Map<String, Value>) {
        self.0.write(members);
    }

    fn type_name(dialect: Dialect) -> String {
        type_name(dialect, Self::TYPE, "Offline-Snapshot")
    }
}

/// The payload of a medium's targets file, which may have any name.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineUpdates(pub Targets);

impl Payload for OfflineUpdates {
    const TYPE: &'static str = "offline-updates";

    fn header(&self) -> &Header {
        self.0.header()
    }

    fn read(dialect: Dialect, header: Header, fields: Fields<'_>) -> Result<Self, FormatError> {
        Targets::read(dialect, header, fields).map(Self)
    }

    fn check(&self) -> Result<(), Reason> {
        self.0.check()
    }

    fn write(&self, members: &mut Map<String, Value>) {
        self.0.write(members);
    }

    fn type_name(dialect: Dialect) -> String {
        type_name(dialect, Self::TYPE, "Offline-Updates")
    }
}

fn type_name(dialect: Dialect, tuf: &str, uptane: &str) -> String {
    match dialect {
        Dialect::Tuf => tuf.to_owned(),
        Dialect::Uptane => uptane.to_owned(),
    }
}
