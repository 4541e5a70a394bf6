//! What devices of Mender are told, and report.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use updraft_hawkbit::ddi::Handling;
use updraft_hawkbit::management::{ActionKind, ActionStatus, Artifact};

use super::artifact::ArtifactHeader;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::hawkbit::assignment::end_canceled;
use crate::fleet::hawkbit::deployment::Orders;
use crate::fleet::hawkbit::feedback::{fail, finish};
use crate::fleet::hawkbit::orders;
use crate::storage::hawkbit::actions::{self, ActionRecord, NewReport};
use crate::storage::hawkbit::devices;
use crate::storage::hawkbit::{By, artifacts, modules, notes as attributes};
use crate::storage::notes;
use crate::storage::sql::{Connection, Transaction};

/// The setting that holds the key with which links are signed.
const LINK_KEY: &str = "download_link_key";
/// How long a link is good.
const LINK_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// The end of the name of a Mender Artifact.
const SUFFIX: &str = ".mender";
/// The most attributes of a device, and bytes of one of them.
const MAX_ATTRIBUTES: usize = 500;
const MAX_ATTRIBUTE: usize = 4096;
/// The most lines of a log that are kept, and characters of one of them.
const MAX_LOG: usize = 5000;
const MAX_LINE: usize = 2048;

/// What a device runs and is, as it asks for more.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Provides {
    /// The name of the Artifact that it runs.
    pub artifact_name: String,
    /// Its type.
    pub device_type: String,
}

/// What a device is to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The action.
    pub action: i64,
    /// What the Artifact says about itself.
    pub header: ArtifactHeader,
    /// The file.
    pub artifact: Artifact,
    /// Until when the link is good.
    pub until: Timestamp,
    /// What shows that the link is ours.
    pub code: String,
}

/// How far a device says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of Mender's API")]
pub enum DeploymentStatus {
    Downloading,
    Installing,
    Rebooting,
    PauseBeforeInstalling,
    PauseBeforeCommitting,
    PauseBeforeRebooting,
    Success,
    Failure,
    #[serde(rename = "already-installed")]
    AlreadyInstalled,
}

impl Fleet {
    /// A device tells its inventory; with `replace`, all of it.
    pub fn mender_inventory(
        &self,
        id: &str,
        told: &BTreeMap<String, String>,
        replace: bool,
    ) -> Result<()> {
        let too_large = told.iter().any(|(key, value)| key.len() + value.len() > MAX_ATTRIBUTE);
        if too_large || told.len() > MAX_ATTRIBUTES {
            let message = format!("an inventory may have {MAX_ATTRIBUTES} attributes of 4 KiB");
            return Err(Error::hawkbit(Trouble::Quota, message));
        }
        let known = self
            .database
            .read("read a device's attributes", |reader| attributes::attributes(reader, id))?;
        let mut all = if replace { BTreeMap::new() } else { known.clone() };
        all.extend(told.iter().map(|(key, value)| (key.clone(), value.clone())));
        if all.len() > MAX_ATTRIBUTES {
            let message = format!("an inventory may have {MAX_ATTRIBUTES} attributes");
            return Err(Error::hawkbit(Trouble::Quota, message));
        }
        // Devices tell the same again and again.
        if all == known {
            return Ok(());
        }
        self.database
            .write("store a device's attributes", |tx| attributes::set_attributes(tx, id, &all))
    }

    /// What a device is to install next, if anything.
    pub fn mender_next(&self, id: &str, provides: &Provides) -> Result<Option<Offer>> {
        let now = self.now();
        // Most of the time there is nothing to do, and then nothing is written.
        let nothing = self
            .database
            .read("look for an action", |reader| Ok(actions::active(reader, id)?.is_empty()))?;
        if nothing {
            return Ok(None);
        }
        let key = self.link_key()?;
        let actor = format!("device:{id}");
        let by = By { actor: &actor, at: now };
        // They are read before the transaction, which must not wait for a slow store.
        let known = self.artifact_headers(id)?;
        let headers = |artifact: &Artifact| match known.get(&artifact.hashes.sha256) {
            Some(header) => header.clone(),
            None => Err("it was added a moment ago".to_owned()),
        };
        self.database.write_together("offer a deployment", |tx| {
            let mut device = devices::require(tx, id)?;
            for mut action in actions::active(tx, id)? {
                if action.status == ActionStatus::Canceling {
                    // It asks for work, so it does none that it would have to stop.
                    let message = "The device does not work on it.";
                    let report = NewReport::of_server(ActionStatus::Canceled, message);
                    actions::append(tx, action.id, &report, now)?;
                    end_canceled(tx, &mut device, &mut action, by)?;
                    devices::update(tx, &device, None)?;
                    continue;
                }
                let waits = action.status == ActionStatus::WaitForConfirmation;
                let orders = Orders::of(&action, now);
                let is_later =
                    orders.update == Handling::Skip || action.kind == ActionKind::DownloadOnly;
                if waits || is_later {
                    return Ok(None);
                }
                match choose(tx, &action, provides, headers)? {
                    Choice::Offer(header, artifact) => {
                        return self.offer(tx, action, header, artifact, &key, by).map(Some);
                    }
                    Choice::Runs => {
                        let message = "The device runs this already.";
                        let report = NewReport::of_server(ActionStatus::Finished, message);
                        actions::append(tx, action.id, &report, now)?;
                        finish(tx, &mut device, &mut action, by)?;
                    }
                    Choice::Unfit(reason) => {
                        let report = NewReport::of_server(ActionStatus::Error, &reason);
                        actions::append(tx, action.id, &report, now)?;
                        fail(tx, &mut device, &mut action, by)?;
                    }
                }
                devices::update(tx, &device, None)?;
            }
            Ok(None)
        })
    }

    fn offer(
        &self,
        tx: &Transaction<'_>,
        mut action: ActionRecord,
        header: ArtifactHeader,
        artifact: Artifact,
        key: &[u8; 32],
        by: By<'_>,
    ) -> Result<Offer> {
        if action.status == ActionStatus::Running {
            action.status = ActionStatus::Retrieved;
            let message = "Device retrieved the deployment and should start now the download.";
            let report = NewReport::of_server(ActionStatus::Retrieved, message);
            actions::append(tx, action.id, &report, by.at)?;
            actions::update(tx, &action, by)?;
            orders::fetched(tx, action.id, by)?;
        }
        let until = self.now().checked_add(LINK_LIFE).unwrap_or(Timestamp::MAX);
        let code = updraft_crypto::hmac_sha256_hex(key, &signed(action.id, artifact.id, until));
        Ok(Offer { action: action.id, header, artifact, until, code })
    }

    /// The file of a link that [`mender_next`](Self::mender_next) gave.
    pub fn mender_file(
        &self,
        (action, artifact): (i64, i64),
        until: i64,
        code: &str,
    ) -> Result<Artifact> {
        let refused =
            || Error::Unauthenticated { reason: "the link is not ours or has ended".to_owned() };
        let key = self.link_key()?;
        let until = Timestamp::from_second(until).map_err(|_| refused())?;
        let message = signed(action, artifact, until);
        if until <= self.now() || !updraft_crypto::is_hmac_sha256(&key, &message, code) {
            return Err(refused());
        }
        self.database.read("find an artifact", |reader| {
            let action = actions::get(reader, action)?.ok_or_else(refused)?;
            let files = files(reader, action.set)?;
            files.into_iter().find(|file| file.id == artifact).ok_or_else(refused)
        })
    }

    /// A device reports how far it is. False when it is to stop.
    pub fn mender_status(
        &self,
        id: &str,
        action: i64,
        status: DeploymentStatus,
        substate: Option<&str>,
    ) -> Result<bool> {
        let now = self.now();
        let actor = format!("device:{id}");
        let by = By { actor: &actor, at: now };
        let goes_on = self.database.write_together("store what a device reports", |tx| {
            let mut device = devices::require(tx, id)?;
            let mut action = actions::require(tx, id, action)?;
            let becomes = match status {
                DeploymentStatus::Success | DeploymentStatus::AlreadyInstalled => {
                    ActionStatus::Finished
                }
                DeploymentStatus::Failure => ActionStatus::Error,
                DeploymentStatus::Downloading => ActionStatus::Download,
                _ => ActionStatus::Running,
            };
            if !action.active {
                // A report may come twice.
                return Ok(action.status == becomes);
            }
            let is_end = matches!(becomes, ActionStatus::Finished | ActionStatus::Error);
            if action.status == ActionStatus::Canceling && !is_end {
                let message = "Device was told to stop.";
                let report = NewReport::of_server(ActionStatus::Canceled, message);
                actions::append(tx, action.id, &report, now)?;
                end_canceled(tx, &mut device, &mut action, by)?;
                devices::update(tx, &device, None)?;
                return Ok(false);
            }
            report(tx, &action, becomes, status, substate, now)?;
            match becomes {
                ActionStatus::Finished => finish(tx, &mut device, &mut action, by)?,
                ActionStatus::Error => fail(tx, &mut device, &mut action, by)?,
                _ => {
                    action.status = becomes;
                    actions::update(tx, &action, by)?;
                }
            }
            devices::update(tx, &device, None)?;
            Ok(true)
        })?;
        self.kick();
        Ok(goes_on)
    }

    /// A device sends the log of a deployment, usually of one that failed.
    pub fn mender_log(&self, id: &str, action: i64, lines: Vec<String>) -> Result<()> {
        let now = self.now();
        // The end says what happened.
        let first = lines.len().saturating_sub(MAX_LOG);
        let messages = lines
            .into_iter()
            .skip(first)
            .map(|line| line.chars().take(MAX_LINE).collect())
            .collect();
        self.database.write("store a device's log", |tx| {
            let action = actions::require(tx, id, action)?;
            let report =
                NewReport { status: action.status, code: None, messages, occurred_at: None };
            let repeats = actions::last_report(tx, action.id)?
                .is_some_and(|last| last.messages == report.messages);
            let full = actions::count_reports(tx, action.id)? >= 2000;
            if repeats || full {
                return Ok(());
            }
            actions::append(tx, action.id, &report, now)
        })
    }

    /// The key with which links for downloads are signed; made when it is first needed.
    fn link_key(&self) -> Result<[u8; 32]> {
        let read = |reader: &Connection| notes::setting(reader, LINK_KEY);
        let stored = self.database.read("read the key of links", read)?;
        let text = if let Some(text) = stored {
            text
        } else {
            let new = self.environment.secret().map_err(Error::random)?;
            self.database.write("make a key for links", |tx| {
                // Another request may have made it.
                if let Some(there) = notes::setting(tx, LINK_KEY)? {
                    return Ok(there);
                }
                notes::set_setting(tx, LINK_KEY, &new)?;
                Ok(new)
            })?
        };
        let damaged =
            || Error::Stored { what: "the key of links", reason: "it is no key".to_owned() };
        let bytes = hex::decode(text).map_err(|_| damaged())?;
        bytes.try_into().map_err(|_| damaged())
    }
}

fn signed(action: i64, artifact: i64, until: Timestamp) -> Vec<u8> {
    format!("download {action} {artifact} {}", until.as_second()).into_bytes()
}

/// The Mender Artifacts of a set.
pub(super) fn files(reader: &Connection, set: i64) -> Result<Vec<Artifact>> {
    let mut files = Vec::new();
    for module in modules::of_set(reader, set)? {
        files.extend(artifacts::of_module(reader, module.id)?);
    }
    files.retain(|file| file.provided_filename.ends_with(SUFFIX));
    Ok(files)
}

enum Choice {
    Offer(ArtifactHeader, Artifact),
    Runs,
    Unfit(String),
}

/// Which file of an action's set is for a device.
fn choose(
    reader: &Connection,
    action: &ActionRecord,
    provides: &Provides,
    header: impl Fn(&Artifact) -> Result<ArtifactHeader, String>,
) -> Result<Choice> {
    let mut reasons = Vec::new();
    for file in files(reader, action.set)? {
        let name = &file.provided_filename;
        match header(&file) {
            Ok(header) if header.device_types.contains(&provides.device_type) => {
                let runs = header.name == provides.artifact_name;
                return Ok(if runs { Choice::Runs } else { Choice::Offer(header, file) });
            }
            Ok(header) => {
                let types = header.device_types.join(", ");
                reasons.push(format!("{name} is for {types}, not for {}", provides.device_type));
            }
            Err(reason) => reasons.push(format!("{name} is no Mender Artifact: {reason}")),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!("the distribution set has no file that ends in {SUFFIX}"));
    }
    Ok(Choice::Unfit(reasons.join("; ")))
}

fn report(
    tx: &Transaction<'_>,
    action: &ActionRecord,
    becomes: ActionStatus,
    status: DeploymentStatus,
    substate: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let mut messages = vec![format!("Update Server: Device reports {status:?}")];
    messages.extend(
        substate.filter(|text| !text.is_empty()).map(|text| text.chars().take(200).collect()),
    );
    let report = NewReport { status: becomes, code: None, messages, occurred_at: None };
    let repeats = actions::last_report(tx, action.id)?
        .is_some_and(|last| last.status == becomes && last.messages == report.messages);
    let is_end = matches!(becomes, ActionStatus::Finished | ActionStatus::Error);
    if repeats && !is_end {
        return Ok(());
    }
    if !is_end
        && actions::count_reports(tx, action.id)? >= crate::fleet::hawkbit::feedback::MAX_REPORTS
    {
        let message = format!("action {} has too many reports", action.id);
        return Err(Error::hawkbit(Trouble::Quota, message));
    }
    actions::append(tx, action.id, &report, now)
}
