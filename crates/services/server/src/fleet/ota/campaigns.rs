//! Campaigns, as the campaigner runs them: a multi-target update for the devices of some groups,
//! either told at once, or told to each device after somebody there agreed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use updraft_api::EventKind;

use super::assignments::{InFlight, MAX_DEVICES};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::campaigns::{self, CampaignRecord, CampaignUpdate};
use crate::storage::events::{self, NewEvent};
use crate::storage::sql;
use crate::storage::{assignments, groups, values};

/// Longest name and longest text, in bytes; the most groups, and the most texts.
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 4096;
const MAX_GROUPS: usize = 1000;
const MAX_TEXTS: usize = 20;
const WHAT: &str = "the campaign";

/// Something that is told about a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignText {
    /// `DESCRIPTION`, `ESTIMATED_INSTALLATION_DURATION` or `ESTIMATED_PREPARATION_DURATION`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text, or seconds.
    pub value: String,
}

/// The body of `POST campaigns`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCampaign {
    /// Its name, for people.
    pub name: String,
    /// The update that it is about.
    pub update: String,
    /// For whose devices it is.
    pub groups: Vec<String>,
    /// What is told about it.
    #[serde(default)]
    pub metadata: Option<Vec<CampaignText>>,
    /// Whether somebody at each device is asked.
    #[serde(default)]
    pub approval_needed: Option<bool>,
}

/// Whether a campaign may be changed or launched no more, or has nothing to cancel.
fn wrong_state(code: &'static str, action: &str, reason: &str) -> Error {
    Error::Conflict { code, action: action.to_owned(), reason: reason.to_owned() }
}

fn check_text(name: &str, texts: &[CampaignText]) -> Result<()> {
    let too_long = |text: &CampaignText| text.kind.len() > MAX_NAME || text.value.len() > MAX_TEXT;
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Error::invalid(WHAT, format!("its name must have 1 to {MAX_NAME} bytes")));
    }
    if texts.len() > MAX_TEXTS || texts.iter().any(too_long) {
        return Err(Error::invalid(WHAT, "its metadata is too long"));
    }
    Ok(())
}

impl CampaignRecord {
    /// What its assignments are known by.
    pub(super) fn correlation(&self) -> String {
        format!("urn:here-ota:campaign:{}", self.id)
    }

    pub(super) fn groups(&self) -> Result<Vec<String>> {
        values::from_json("the groups of a campaign", &self.groups)
    }

    fn texts(&self) -> Result<Vec<CampaignText>> {
        values::from_json("the metadata of a campaign", &self.metadata)
    }
}

impl Fleet {
    /// Makes an update for campaigns; gives its id.
    pub fn create_campaign_update(
        &self,
        source: &str,
        name: &str,
        description: &str,
    ) -> Result<String> {
        check_text(name, &[])?;
        if description.len() > MAX_TEXT {
            return Err(Error::invalid("the update", "its description is too long"));
        }
        let update = CampaignUpdate {
            id: self.environment.uuid().map_err(Error::random)?.to_string(),
            source: source.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            created_at: self.now(),
        };
        self.database.write("make an update", |tx| {
            assignments::require(tx, source)?;
            campaigns::insert_update(tx, &update)
        })?;
        Ok(update.id)
    }

    /// Makes a campaign; gives its id.
    pub fn create_campaign(&self, operator: &Operator, new: NewCampaign) -> Result<String> {
        let texts = new.metadata.unwrap_or_default();
        check_text(&new.name, &texts)?;
        let names: BTreeSet<String> = new.groups.into_iter().collect();
        if names.is_empty() || names.len() > MAX_GROUPS {
            return Err(Error::invalid(WHAT, format!("it needs 1 to {MAX_GROUPS} groups")));
        }
        let now = self.now();
        let action = "store a campaign";
        let campaign = CampaignRecord {
            id: self.environment.uuid().map_err(Error::random)?.to_string(),
            name: new.name,
            update: new.update,
            groups: values::json(action, &names)?,
            approval_needed: new.approval_needed.unwrap_or(false),
            metadata: values::json(action, &texts)?,
            status: "prepared".to_owned(),
            processed: 0,
            created_at: now,
            updated_at: now,
        };
        self.database.write("make a campaign", |tx| {
            campaigns::require_update(tx, &campaign.update)?;
            names.iter().try_for_each(|name| groups::require(tx, name).map(drop))?;
            campaigns::put(tx, &campaign)?;
            note(tx, operator, now, &campaign, "was made")
        })?;
        Ok(campaign.id)
    }

    /// Changes what a campaign is called and what is told about it.
    pub fn edit_campaign(
        &self,
        operator: &Operator,
        id: &str,
        name: &str,
        texts: Option<&[CampaignText]>,
    ) -> Result<()> {
        check_text(name, texts.unwrap_or_default())?;
        let now = self.now();
        self.database.write("change a campaign", |tx| {
            let mut campaign = campaigns::require(tx, id)?;
            name.clone_into(&mut campaign.name);
            if let Some(texts) = texts {
                campaign.metadata = values::json("store a campaign", &texts)?;
            }
            campaign.updated_at = now;
            campaigns::put(tx, &campaign)?;
            note(tx, operator, now, &campaign, "was changed")
        })
    }

    /// Tells the devices of its groups, or begins to ask there.
    pub fn launch_campaign(&self, operator: &Operator, id: &str) -> Result<()> {
        let action = format!("launch campaign {id}");
        let (mut campaign, source, devices) = self.database.read("read a campaign", |reader| {
            let campaign = campaigns::require(reader, id)?;
            let update = campaigns::require_update(reader, &campaign.update)?;
            let mut devices = BTreeSet::new();
            for name in campaign.groups()? {
                // A group that was deleted since has no devices any more.
                devices.extend(groups::devices(reader, &name)?);
            }
            Ok((campaign, update.source, devices))
        })?;
        if campaign.status != "prepared" {
            let reason = format!("it is {}", campaign.status);
            return Err(wrong_state("campaign_already_launched", &action, &reason));
        }
        let devices: Vec<String> = devices.into_iter().collect();
        if !campaign.approval_needed {
            // A launch that is cut off is launched again: who was told is busy then, and no second
            // assignment is made.
            for some in devices.chunks(MAX_DEVICES) {
                self.assign_update(operator, &campaign.correlation(), some, &source)?;
            }
        }
        let now = self.now();
        "launched".clone_into(&mut campaign.status);
        campaign.processed = devices.len() as u64;
        campaign.updated_at = now;
        self.database.write("launch a campaign", |tx| {
            campaigns::put(tx, &campaign)?;
            note(
                tx,
                operator,
                now,
                &campaign,
                &format!("was launched to {} device(s)", devices.len()),
            )
        })
    }

    /// Ends a campaign: what devices have not fetched yet is taken back, and nobody is asked any more.
    pub fn cancel_campaign(&self, operator: &Operator, id: &str) -> Result<()> {
        let now = self.now();
        // Nobody is told anything new from here on.
        let campaign = self.database.write("cancel a campaign", |tx| {
            let mut campaign = campaigns::require(tx, id)?;
            if campaign.status == "cancelled" {
                let action = format!("cancel campaign {id}");
                return Err(wrong_state("campaign_cancelled", &action, "it was cancelled before"));
            }
            "cancelled".clone_into(&mut campaign.status);
            campaign.updated_at = now;
            campaigns::put(tx, &campaign)?;
            note(tx, operator, now, &campaign, "was cancelled")?;
            Ok(campaign)
        })?;
        let unfinished = self.database.read("list a campaign's devices", |reader| {
            campaigns::unfinished(reader, &campaign.correlation())
        })?;
        for some in unfinished.chunks(MAX_DEVICES) {
            self.cancel_assignments(operator, some, InFlight::Spare)?;
        }
        Ok(())
    }

    /// A campaign as the campaigner shows one.
    pub fn campaign(&self, id: &str) -> Result<Value> {
        let campaign =
            self.database.read("read a campaign", |reader| campaigns::require(reader, id))?;
        self.shown_campaign(&campaign)
    }

    /// All campaigns of a status, if one is given, whose names have this in them.
    pub fn campaigns(&self, status: Option<&str>, name_contains: &str) -> Result<Vec<Value>> {
        let all = self.database.read("list campaigns", campaigns::list)?;
        let named = all.iter().filter(|campaign| campaign.name.contains(name_contains));
        let mut shown = Vec::new();
        for campaign in named {
            let one = self.shown_campaign(campaign)?;
            if status.is_none_or(|status| one["status"] == status) {
                shown.push(one);
            }
        }
        Ok(shown)
    }

    fn shown_campaign(&self, campaign: &CampaignRecord) -> Result<Value> {
        let stats = self.stats_of(campaign)?;
        Ok(json!({
            "id": campaign.id,
            "namespace": "default",
            "name": campaign.name,
            "createdAt": campaign.created_at.to_string(),
            "updatedAt": campaign.updated_at.to_string(),
            "status": stats["status"],
            "update": campaign.update,
            "groups": campaign.groups()?,
            "metadata": campaign.texts()?,
            "approvalNeeded": campaign.approval_needed,
            "autoAccept": !campaign.approval_needed,
        }))
    }

    /// How far a campaign has come.
    pub fn campaign_stats(&self, id: &str) -> Result<Value> {
        let campaign =
            self.database.read("read a campaign", |reader| campaigns::require(reader, id))?;
        self.stats_of(&campaign)
    }

    fn stats_of(&self, campaign: &CampaignRecord) -> Result<Value> {
        let states = self.database.read("count a campaign's devices", |reader| {
            campaigns::states(reader, &campaign.correlation())
        })?;
        let count = |wanted: &[&str]| -> u64 {
            let found = states.iter().filter(|(state, _)| wanted.contains(&state.as_str()));
            found.map(|(_, count)| count).sum()
        };
        let (successful, failed) = (count(&["succeeded"]), count(&["failed"]));
        let affected: u64 = states.iter().map(|(_, count)| count).sum();
        let is_over = count(&["waiting", "assigned", "started"]) == 0;
        let status = match campaign.status.as_str() {
            // While people are asked, more devices may come.
            "launched" if is_over && !campaign.approval_needed => "finished",
            other => other,
        };
        Ok(json!({
            "campaign": campaign.id,
            "status": status,
            "processed": campaign.processed,
            "affected": affected,
            "cancelled": count(&["cancelled", "skipped"]),
            "finished": successful + failed,
            "successful": successful,
            "failed": failed,
        }))
    }

    /// What somebody at a device is to be asked.
    pub fn campaigns_for(&self, device: &str) -> Result<Value> {
        let open = self.database.read("list a device's campaigns", |reader| {
            campaigns::open_questions(reader, device)
        })?;
        let mut shown = Vec::new();
        for campaign in open {
            shown.push(json!({
                "id": campaign.id,
                "name": campaign.name,
                "autoAccept": false,
                "metadata": campaign.texts()?,
            }));
        }
        Ok(json!({ "campaigns": shown }))
    }

    /// Takes what was answered at a device; `report` is the event that tells it.
    pub fn take_campaign_answer(&self, device: &str, report: &Value) -> Result<()> {
        let kind = report.pointer("/eventType/id").and_then(Value::as_str).unwrap_or_default();
        let id = report.pointer("/event/campaignId").and_then(Value::as_str).unwrap_or_default();
        let answer = match kind {
            "campaign_accepted" => "accepted",
            "campaign_declined" => "declined",
            _ => return Ok(()),
        };
        let open = self.database.read("list a device's campaigns", |reader| {
            campaigns::open_questions(reader, device)
        })?;
        // A device answers what it was asked, and nothing else.
        let Some(campaign) = open.into_iter().find(|campaign| campaign.id == id) else {
            return Ok(());
        };
        if answer == "accepted" {
            let update = self.database.read("read an update", |reader| {
                campaigns::require_update(reader, &campaign.update)
            })?;
            let devices = [device.to_owned()];
            let operator = Operator::itself();
            self.assign_update(&operator, &campaign.correlation(), &devices, &update.source)?;
        }
        // After this commit it is not asked again; before it, the same answer does the same.
        self.database.write("note an answer to a campaign", |tx| {
            campaigns::answer(tx, &campaign.id, device, answer)
        })
    }
}

fn note(
    tx: &sql::Transaction<'_>,
    operator: &Operator,
    now: jiff::Timestamp,
    campaign: &CampaignRecord,
    what: &str,
) -> Result<()> {
    let message = format!("campaign {} {what}", campaign.id);
    let actor = operator.actor();
    let event = NewEvent::new(EventKind::CampaignChanged, &actor, message)
        .data(json!({ "campaign": campaign.id, "name": campaign.name }));
    events::append(tx, now, &event)
}
