//! Offline bundles: a folder with metadata, a repository and, beside them, which of the targets it
//! may be used for.
//!
//! ```text
//! DIR/tuf/N.root.json timestamp.json snapshot.json targets.json
//! DIR/tuf/bundle-targets.json   {"signatures": […], "signed": {"_type", "expires", "version",
//!     "x-fio-offline-bundle": {"type": "ci"|"prod", "tag": TAG, "targets": [NAME, …]}}}
//! DIR/ostree_repo               an OSTree repository of any mode
//! ```
//! `bundle-targets.json` is signed like `targets.json`, by the keys of the newest root. A bundle
//! without it is one of an old tool: it is warned of, and all targets are allowed.

use std::path::Path;

use updraft_crypto::Verifier;
use updraft_fs::Dir;
use updraft_tuf::{
    Dialect, Envelope, Payload as _, Reason, RoleFiles, RoleName, Root, check_threshold, parse_time,
};

use super::metadata::dialect_of;
use super::roots::DeviceType;
use super::{Halt, LiteSettings, StatusCode};
use crate::Error;
use crate::session::Session;

const FILE: &str = "bundle-targets.json";
const MEMBER: &str = "x-fio-offline-bundle";
/// It lists names.
const MAX_FILE: u64 = 8 << 20;

/// The names of the targets that a bundle may be used for. `None`: all.
pub(super) fn allowed(
    lite: &LiteSettings,
    session: &Session,
    folder: &Path,
    trusted: &RoleFiles,
) -> Result<Option<Vec<String>>, Halt> {
    let bytes = Dir::open(folder)
        .and_then(|dir| dir.try_read(FILE, MAX_FILE))
        .map_err(|error| Halt::with(StatusCode::CheckinMetadataNotFound, &Error::from(error)))?;
    let Some(bytes) = bytes else {
        tracing::warn!("the bundle has no {FILE}: it is of an old tool");
        return Ok(None);
    };
    let root = trusted.get(&RoleName::Root).unwrap_or_default();
    let statement =
        Statement::read(dialect_of(root), root, &bytes).map_err(|problem| invalid(&problem))?;
    if statement.expires <= session.now() {
        let problem = format!("{FILE} expired at {}", statement.expires);
        return Err(Halt::saying(StatusCode::CheckinExpiredMetadata, problem));
    }
    let device = DeviceType::of(session)?.name();
    if let Some(device) = device
        && device != statement.kind
    {
        return Err(invalid(&format!("it is of type {}, the device of {device}", statement.kind)));
    }
    if !lite.tags.is_empty() && !lite.tags.contains(&statement.tag) {
        let tags = lite.tags.join(",");
        return Err(invalid(&format!("its tag is {}, those of the device {tags}", statement.tag)));
    }
    Ok(Some(statement.targets))
}

fn invalid(problem: &str) -> Halt {
    let problem = format!("the bundle cannot be used: {problem}");
    Halt::saying(StatusCode::CheckinInvalidBundleMetadata, problem)
}

#[derive(Debug, PartialEq)]
struct Statement {
    expires: jiff::Timestamp,
    kind: String,
    tag: String,
    targets: Vec<String>,
}

impl Statement {
    /// Reads the file once its signatures are good.
    fn read(dialect: Dialect, root: &[u8], bytes: &[u8]) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let root = Envelope::parse(dialect, root, root.len())
            .and_then(|envelope| {
                Root::from_value(dialect, envelope.signed).map_err(|reason| match reason {
                    Reason::Malformed(error) => error,
                    other => updraft_tuf::FormatError::Field {
                        field: "root".to_owned(),
                        problem: other.to_string(),
                    },
                })
            })
            .map_err(|error| said(&error))?;
        let keys = root.role(&RoleName::Targets).ok_or("the root names no keys for targets")?;
        let envelope =
            Envelope::parse(dialect, bytes, bytes.len()).map_err(|error| said(&error))?;
        check_threshold(dialect, &root.keys, keys, &envelope, &Verifier)
            .map_err(|reason| format!("{FILE}: {reason}"))?;
        let signed = &envelope.signed;
        let about = signed.get(MEMBER).ok_or(format!("{FILE} has no {MEMBER}"))?;
        let text = |name: &str| about.get(name).and_then(serde_json::Value::as_str);
        let expires = signed.get("expires").and_then(serde_json::Value::as_str);
        let targets = about.get("targets").and_then(serde_json::Value::as_array);
        Ok(Self {
            expires: parse_time("expires", expires.unwrap_or_default())
                .map_err(|error| said(&error))?,
            kind: text("type").ok_or("it has no type")?.to_owned(),
            tag: text("tag").ok_or("it has no tag")?.to_owned(),
            targets: targets
                .ok_or("it lists no targets")?
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        })
    }
}
