//! What devices of Uptane tell of an update that they have fetched and do not install.
//!
//! ```text
//! {"eventType": {"id": "UpdateHeld"}, "event": {"correlationId", "reason": "download-only" | "consent" | "declined"}}
//! {"eventType": {"id": "EcuInstallationStarted"}, "event": {"correlationId", …}}    it waits no longer
//! ```

use serde_json::Value;
use updraft_api::{RolloutAction, RolloutDeviceState};

use super::Fleet;
use super::reconcile::outcome::Outcome;
use super::reports;
use crate::error::Result;
use crate::storage::rollouts::{self, MemberRecord};
use crate::storage::sql::Connection;

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// It is there, and more was not ordered.
    Downloaded,
    /// It is there, and this is what it waits for.
    Waits(&'static str),
    /// It is being installed.
    Installs,
}

fn news(report: &Value) -> Option<News> {
    let text = |pointer: &str| report.pointer(pointer).and_then(Value::as_str);
    match (text("/eventType/id")?, text("/event/reason")) {
        ("UpdateHeld", Some("download-only")) => Some(News::Downloaded),
        ("UpdateHeld", Some("consent")) => Some(News::Waits("downloaded, waits for consent")),
        ("UpdateHeld", Some("declined")) => Some(News::Waits("declined at the device")),
        ("EcuInstallationStarted", _) => Some(News::Installs),
        _ => None,
    }
}

impl Fleet {
    /// Notes what a device's report says of what holds its update up. One that was only to be downloaded
    /// is done with that.
    pub(crate) fn take_held(&self, device: &str, report: &Value) -> Result<()> {
        let Some(news) = news(report) else { return Ok(()) };
        let correlation = report.pointer("/event/correlationId").and_then(Value::as_str);
        let correlation = correlation.unwrap_or_default();
        let is_about = self.database.read("read a device's assignment", |reader| {
            concerned(reader, device, correlation, news)
        })?;
        if is_about.is_none() {
            return Ok(());
        }
        let now = self.now();
        self.database.write_together("note what holds up an update", |tx| {
            let Some(member) = concerned(tx, device, correlation, news)? else { return Ok(()) };
            let reason = match news {
                News::Downloaded => return reports::end(tx, &member, Outcome::Has, now),
                News::Waits(reason) => Some(reason),
                News::Installs => None,
            };
            let state = RolloutDeviceState::Started;
            rollouts::set_member_state(tx, &member.rollout, device, state, reason, now)
        })?;
        self.kick();
        Ok(())
    }
}

/// The assignment that the news are about, when they change anything of it.
fn concerned(
    reader: &Connection,
    device: &str,
    correlation: &str,
    news: News,
) -> Result<Option<MemberRecord>> {
    let Some(member) = rollouts::active(reader, device)? else { return Ok(None) };
    let is_it = member.state == RolloutDeviceState::Started
        && member.assignment.as_ref().is_some_and(|one| one.correlation == correlation);
    let changes = is_it
        && match news {
            News::Waits(reason) => member.reason.as_deref() != Some(reason),
            News::Installs => member.reason.is_some(),
            News::Downloaded => {
                let action = rollouts::require(reader, &member.rollout)?.request.action;
                action == RolloutAction::DownloadOnly
            }
        };
    Ok(changes.then_some(member))
}
