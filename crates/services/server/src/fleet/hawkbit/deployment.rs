//! What a device is told to install.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use updraft_hawkbit::MaintenanceWindow;
use updraft_hawkbit::ddi::{
    ActionHistory, Artifact, Cancel, CancelActionToStop, Chunk, ConfirmationBaseAction, Deployment,
    DeploymentBase, Handling, Link, Links, Metadata, WindowStatus, part_of,
};
use updraft_hawkbit::management::{ActionKind, ActionStatus, SoftwareModule};

use super::access::Presented;
use super::poll::path_part;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::storage::hawkbit::actions::{self, ActionRecord, NewReport};
use crate::storage::hawkbit::notes::{self, About};
use crate::storage::hawkbit::{By, Listing, artifacts, modules};
use crate::storage::sql::Connection;
use crate::storage::values;

/// What the server notes when a device has asked for what it is to do.
const RETRIEVED: &str = "Target retrieved update action and should start now the download.";
/// The same of what it is to stop.
const CANCEL_RETRIEVED: &str =
    "Target retrieved cancel action and should start now the cancellation.";
/// The most messages of an action's history that are given.
const MAX_HISTORY: u32 = 1000;

/// How an action is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) struct Orders {
    pub(in crate::fleet) download: Handling,
    pub(in crate::fleet) update: Handling,
    pub(in crate::fleet) window: Option<WindowStatus>,
}

impl Orders {
    /// How an action is to be done at a time.
    pub(in crate::fleet) fn of(action: &ActionRecord, now: Timestamp) -> Self {
        let is_forced = match action.kind {
            ActionKind::Forced | ActionKind::DownloadOnly => true,
            ActionKind::Soft => false,
            ActionKind::TimeForced => action.forced_at.is_none_or(|from| from <= now),
        };
        let download = if is_forced { Handling::Forced } else { Handling::Attempt };
        let window = window_of(action).map(|window| {
            if window.is_open(now) { WindowStatus::Available } else { WindowStatus::Unavailable }
        });
        let is_closed = window == Some(WindowStatus::Unavailable);
        let skips = action.kind == ActionKind::DownloadOnly || is_closed;
        Self { download, update: if skips { Handling::Skip } else { download }, window }
    }

    /// A number that changes when the orders do; devices are told it in the link.
    pub(super) fn number(self, action: &ActionRecord) -> i32 {
        let text = format!("{} {:?} {}", action.id, self, values::word(action.status));
        let hash = Sha256::digest(text.as_bytes());
        hash.first_chunk().map_or(0, |first| i32::from_be_bytes(*first))
    }
}

/// The maintenance window of an action. What was checked when it was stored can be read.
pub(super) fn window_of(action: &ActionRecord) -> Option<MaintenanceWindow> {
    let body = action.window.as_ref()?;
    MaintenanceWindow::parse(&body.schedule, &body.duration, &body.timezone).ok()
}

impl Fleet {
    /// What a device is to install; it is noted that the device knows.
    pub fn ddi_deployment(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
        (action, history): (i64, i32),
    ) -> Result<DeploymentBase> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.write_for("tell a device what to install", id, |tx| {
            let mut action = actions::require(tx, id, action)?;
            let waits = action.status == ActionStatus::WaitForConfirmation;
            if action.is_canceling_or_canceled() || waits {
                return Err(Error::not_found("deployment of action", action.id.to_string()));
            }
            if action.active && action.status == ActionStatus::Running {
                let report = NewReport::of_server(ActionStatus::Retrieved, RETRIEVED);
                if actions::last_report(tx, action.id)?
                    .is_none_or(|last| last.status != ActionStatus::Retrieved)
                {
                    actions::append(tx, action.id, &report, now)?;
                }
                action.status = ActionStatus::Retrieved;
                let actor = format!("device:{id}");
                let by = By { actor: &actor, at: now };
                actions::update(tx, &action, by)?;
                super::orders::fetched(tx, action.id, by)?;
            }
            let (deployment, history) = told(tx, &action, now, &at(root, id), history)?;
            Ok(DeploymentBase { id: action.id.to_string(), deployment, history })
        })
    }

    /// What a device has installed.
    pub fn ddi_installed(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
        (action, history): (i64, i32),
    ) -> Result<DeploymentBase> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.database.read("read what a device installed", |reader| {
            let action = actions::require(reader, id, action)?;
            if action.active || action.is_canceling_or_canceled() {
                return Err(Error::not_found("installed action", action.id.to_string()));
            }
            let (deployment, history) = told(reader, &action, now, &at(root, id), history)?;
            Ok(DeploymentBase { id: action.id.to_string(), deployment, history })
        })
    }

    /// What waits for somebody at the device to agree.
    pub fn ddi_to_confirm(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
        (action, history): (i64, i32),
    ) -> Result<ConfirmationBaseAction> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.database.read("read what is to be confirmed", |reader| {
            let action = actions::require(reader, id, action)?;
            if !action.active || action.status != ActionStatus::WaitForConfirmation {
                return Err(Error::not_found("confirmation of action", action.id.to_string()));
            }
            let (confirmation, history) = told(reader, &action, now, &at(root, id), history)?;
            Ok(ConfirmationBaseAction { id: action.id.to_string(), confirmation, history })
        })
    }

    /// What a device is to stop; it is noted that the device knows.
    pub fn ddi_cancel(&self, id: &str, presented: &Presented, action: i64) -> Result<Cancel> {
        self.ddi_device(id, presented)?;
        let now = self.now();
        self.write_for("tell a device what to stop", id, |tx| {
            let action = actions::require(tx, id, action)?;
            if !action.active || action.status != ActionStatus::Canceling {
                return Err(Error::not_found("cancellation of action", action.id.to_string()));
            }
            if actions::last_report(tx, action.id)?
                .is_none_or(|last| last.status != ActionStatus::Retrieved)
            {
                let report = NewReport::of_server(ActionStatus::Retrieved, CANCEL_RETRIEVED);
                actions::append(tx, action.id, &report, now)?;
            }
            let stop_id = action.id.to_string();
            Ok(Cancel { id: stop_id.clone(), cancel_action: CancelActionToStop { stop_id } })
        })
    }

    /// The files of a module that a device may have.
    pub fn ddi_artifacts(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
        module: i64,
    ) -> Result<Vec<Artifact>> {
        let device = self.ddi_device(id, presented)?;
        self.database.read("list a module's artifacts", |reader| {
            super::downloads::require_told(reader, &device, module)?;
            files(reader, module, &at(root, id))
        })
    }
}

/// The address of a device below the root of all.
fn at(root: &str, id: &str) -> String {
    format!("{root}/{}", path_part(id))
}

fn told(
    reader: &Connection,
    action: &ActionRecord,
    now: Timestamp,
    device: &str,
    history: i32,
) -> Result<(Deployment, Option<ActionHistory>)> {
    let orders = Orders::of(action, now);
    let chunks = modules::of_set(reader, action.set)?
        .into_iter()
        .map(|module| chunk(reader, module, device))
        .collect::<Result<_>>()?;
    let deployment = Deployment {
        download: orders.download,
        update: orders.update,
        maintenance_window: orders.window,
        chunks,
    };
    Ok((deployment, self::history(reader, action, history)?))
}

fn chunk(reader: &Connection, module: SoftwareModule, device: &str) -> Result<Chunk> {
    let metadata = notes::list(reader, &About::Module(module.id))?
        .into_iter()
        .filter(|note| note.target_visible == Some(true))
        .map(|note| Metadata { key: note.key, value: note.value })
        .collect();
    Ok(Chunk {
        part: part_of(&module.module_type).to_owned(),
        artifacts: files(reader, module.id, device)?,
        version: module.version,
        name: module.name,
        encrypted: module.encrypted.then_some(true),
        metadata,
    })
}

fn files(reader: &Connection, module: i64, device: &str) -> Result<Vec<Artifact>> {
    Ok(artifacts::of_module(reader, module)?
        .into_iter()
        .map(|file| {
            let name = path_part(&file.provided_filename);
            let href = format!("{device}/softwaremodules/{module}/artifacts/{name}");
            Artifact {
                links: download_links(&href),
                filename: file.provided_filename,
                hashes: file.hashes,
                size: file.size,
            }
        })
        .collect())
}

/// Over TLS there are both kinds of links, for clients that look for only one of them; over plain
/// HTTP only those that say so, and their twins.
fn download_links(href: &str) -> Links {
    let link = |href: String| Link { href };
    Links::from([
        ("download".to_owned(), link(href.to_owned())),
        ("md5sum".to_owned(), link(format!("{href}.MD5SUM"))),
        ("download-http".to_owned(), link(href.to_owned())),
        ("md5sum-http".to_owned(), link(format!("{href}.MD5SUM"))),
    ])
}

/// The newest `wanted` messages; all when it is negative, none when it is 0.
fn history(
    reader: &Connection,
    action: &ActionRecord,
    wanted: i32,
) -> Result<Option<ActionHistory>> {
    if wanted == 0 {
        return Ok(None);
    }
    let limit = u32::try_from(wanted).unwrap_or(MAX_HISTORY).min(MAX_HISTORY);
    let order = "r.id DESC".to_owned();
    let listing = Listing { order, limit, ..Listing::default() };
    let (reports, _) = actions::reports(reader, action.id, &listing)?;
    let mut messages: Vec<String> =
        reports.into_iter().flat_map(|report| report.messages).collect();
    messages.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let status = values::word(action.status).to_ascii_uppercase();
    Ok(Some(ActionHistory { status, messages }))
}

/// Refuses a window that is none, or that never comes.
pub(super) fn check_window(
    window: &updraft_hawkbit::management::WindowBody,
    now: Timestamp,
) -> Result<()> {
    let wrong = |message: String| Error::hawkbit(Trouble::Window, message);
    let read = MaintenanceWindow::parse(&window.schedule, &window.duration, &window.timezone)
        .map_err(|error| wrong(error.to_string()))?;
    match read.current(now) {
        Some(_) => Ok(()),
        None => Err(wrong("the maintenance window never opens again".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_hawkbit::management::{Stamp, WindowBody};

    fn action(kind: ActionKind) -> ActionRecord {
        ActionRecord {
            stamp: Stamp {
                created_by: String::new(),
                created_at: 0,
                last_modified_by: String::new(),
                last_modified_at: 0,
            },
            id: 7,
            device: "d".to_owned(),
            set: 1,
            kind,
            forced_at: Some(Timestamp::from_second(100).unwrap()),
            weight: None,
            status: ActionStatus::Running,
            active: true,
            last_code: None,
            window: None,
            external_ref: None,
        }
    }

    #[test]
    fn kinds_and_windows_become_orders() {
        use Handling::{Attempt, Forced, Skip};
        let at = |second| Timestamp::from_second(second).unwrap();
        let orders = |action: &ActionRecord, second| {
            let orders = Orders::of(action, at(second));
            (orders.download, orders.update)
        };
        assert_eq!(orders(&action(ActionKind::Forced), 0), (Forced, Forced));
        assert_eq!(orders(&action(ActionKind::Soft), 0), (Attempt, Attempt));
        assert_eq!(orders(&action(ActionKind::DownloadOnly), 0), (Forced, Skip));
        let timed = action(ActionKind::TimeForced);
        assert_eq!(orders(&timed, 99), (Attempt, Attempt));
        assert_eq!(orders(&timed, 100), (Forced, Forced));
        assert_ne!(
            Orders::of(&timed, at(99)).number(&timed),
            Orders::of(&timed, at(100)).number(&timed)
        );
        let mut windowed = action(ActionKind::Soft);
        windowed.window = Some(WindowBody {
            schedule: "0 0 2 * * ?".to_owned(),
            duration: "01:00:00".to_owned(),
            timezone: "+00:00".to_owned(),
            next_start_at: None,
        });
        assert_eq!(orders(&windowed, 0), (Attempt, Skip));
        assert_eq!(Orders::of(&windowed, at(0)).window, Some(WindowStatus::Unavailable));
        assert_eq!(orders(&windowed, 2 * 3600), (Attempt, Attempt));
        assert_eq!(Orders::of(&windowed, at(7200)).window, Some(WindowStatus::Available));
    }
}
