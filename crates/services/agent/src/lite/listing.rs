//! What `check` and `list` show, in aktualizr-lite's JSON: members that are false are left out.

use serde::Serialize;

use super::checkin::CheckedIn;
use super::selection::Choice;
use super::{LiteSettings, LiteTarget, StatusCode};
use crate::Result;
use crate::session::Session;

/// The targets for this device, lowest version first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What scripts are told.
    pub code: StatusCode,
    /// The targets.
    pub targets: Vec<ListedTarget>,
}

/// One target.
#[expect(clippy::struct_excessive_bools, reason = "the JSON has them")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedTarget {
    /// Its apps.
    pub apps: Vec<ListedApp>,
    /// Whether this version runs.
    #[serde(skip_serializing_if = "is_false")]
    pub current: bool,
    /// Whether it failed on this device.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Its name.
    pub name: String,
    /// Whether its version is higher than what runs.
    #[serde(skip_serializing_if = "is_false")]
    pub newer: bool,
    /// Why it is selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether `update` would install it.
    #[serde(skip_serializing_if = "is_false")]
    pub selected: bool,
    /// Its version.
    pub version: i64,
    /// The commit; not in the JSON.
    #[serde(skip)]
    pub sha256: String,
}

/// An app of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedApp {
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
    /// Where it is.
    pub uri: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Why a target is installed, as the server and scripts are told.
pub(super) fn reason(running: &LiteTarget, target: &LiteTarget) -> String {
    format!("Updating from {} to {}", running.name, target.name)
}

/// The listing of what was found; `choice` is what would be done without a wish.
pub(super) fn listing(
    lite: &LiteSettings,
    session: &Session,
    running: &LiteTarget,
    checked: &CheckedIn,
    choice: &Choice,
) -> Result<Listing> {
    let selected = match choice {
        Choice::Update(candidate) => Some(&candidate.target),
        _ => None,
    };
    let failures = session.store.failures()?;
    let targets = checked.candidates.iter().map(|candidate| {
        let target = &candidate.target;
        let is_selected = selected == Some(target);
        let is_failing =
            failures.iter().any(|one| one.filepath == target.name && one.sha256 == target.sha256);
        let apps = target.apps().into_iter().map(|app| {
            let on = lite.is_on(&app.name);
            ListedApp { name: app.name, on, uri: app.uri }
        });
        ListedTarget {
            apps: apps.collect(),
            current: target.version == running.version && !running.is_unknown(),
            failed: is_failing,
            name: target.name.clone(),
            newer: target.version > running.version,
            reason: is_selected.then(|| reason(running, target)),
            selected: is_selected,
            version: target.version,
            sha256: target.sha256.clone(),
        }
    });
    let code = if selected.is_some() { StatusCode::CheckinUpdateNewVersion } else { checked.code };
    Ok(Listing { code, targets: targets.collect() })
}
