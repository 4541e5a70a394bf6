//! Asking devices before they install.

use jiff::Timestamp;
use updraft_hawkbit::ddi::{
    ActivateAutoConfirm, AutoConfirm, Confirmation, ConfirmationBase, ConfirmationFeedback, Link,
    Links,
};
use updraft_hawkbit::management::ActionStatus;

use super::access::Presented;
use super::feedback::MAX_MESSAGES;
use super::poll::path_part;
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::actions::{self, NewReport};
use crate::storage::hawkbit::devices::{self, ActionDevice};
use crate::storage::sql::Transaction;

const FALLBACK_REMARK: &str = "Activated by the device, which gave no remark.";

impl Fleet {
    /// Whether a device agrees to everything, and what waits for it to agree.
    pub fn ddi_confirmation_base(
        &self,
        id: &str,
        presented: &Presented,
        root: &str,
    ) -> Result<ConfirmationBase> {
        let device = self.ddi_device(id, presented)?;
        let active =
            self.database.read("read a device's actions", |reader| actions::active(reader, id))?;
        let at = format!("{root}/{}/confirmationBase", path_part(id));
        let mut links = Links::new();
        let toggle = match device.auto_confirm {
            Some(_) => "deactivateAutoConfirm",
            None => "activateAutoConfirm",
        };
        links.insert(toggle.to_owned(), Link { href: format!("{at}/{toggle}") });
        let waiting =
            active.first().filter(|action| action.status == ActionStatus::WaitForConfirmation);
        if let Some(action) = waiting {
            let href = format!("{at}/{}", action.id);
            links.insert("confirmationBase".to_owned(), Link { href });
        }
        let auto_confirm = device.auto_confirm.unwrap_or(AutoConfirm {
            active: false,
            initiator: None,
            remark: None,
            activated_at: None,
        });
        Ok(ConfirmationBase { auto_confirm, links })
    }

    /// Somebody at the device agrees or does not.
    pub fn ddi_confirmation_feedback(
        &self,
        id: &str,
        presented: &Presented,
        action: i64,
        feedback: &ConfirmationFeedback,
    ) -> Result<()> {
        self.ddi_device(id, presented)?;
        let details = feedback.details.as_deref().unwrap_or_default();
        if details.len() > MAX_MESSAGES {
            let message = format!("a report may have {MAX_MESSAGES} messages");
            return Err(Error::hawkbit(Trouble::Quota, message));
        }
        let agrees = feedback.confirmation == Confirmation::Confirmed;
        self.answer(id, action, agrees, feedback.code, details, &format!("device:{id}"))
    }

    /// An operator agrees for a device, or does not.
    pub fn confirm_action(
        &self,
        operator: &Operator,
        id: &str,
        action: i64,
        feedback: &ConfirmationFeedback,
    ) -> Result<()> {
        let agrees = feedback.confirmation == Confirmation::Confirmed;
        let details = feedback.details.as_deref().unwrap_or_default();
        self.answer(id, action, agrees, feedback.code, details, &operator.actor())
    }

    fn answer(
        &self,
        id: &str,
        action: i64,
        agrees: bool,
        code: Option<i64>,
        details: &[String],
        actor: &str,
    ) -> Result<()> {
        let now = self.now();
        let by = By { actor, at: now };
        self.write_for("store an answer", id, |tx| {
            let mut action = actions::require(tx, id, action)?;
            if !action.active {
                let message = format!("action {} has ended", action.id);
                return Err(Error::hawkbit(Trouble::Gone, message));
            }
            if action.status != ActionStatus::WaitForConfirmation {
                let message = format!("action {} waits for no answer", action.id);
                return Err(Error::hawkbit(Trouble::NotAsked, message));
            }
            let status = if agrees { ActionStatus::Running } else { action.status };
            let mut messages = details.to_vec();
            messages.push(format!(
                "Update Server: {actor} {} this action.",
                if agrees { "confirmed" } else { "denied" }
            ));
            if let Some(code) = code {
                messages.push(format!("Update Server: Device reported status code: {code}"));
            }
            let report = NewReport { status, code, messages, occurred_at: None };
            actions::append(tx, action.id, &report, now)?;
            action.status = status;
            action.last_code = code.or(action.last_code);
            actions::update(tx, &action, by)
        })
    }

    /// A device agrees to everything from now on, and to what waits.
    pub fn ddi_activate_auto_confirm(
        &self,
        id: &str,
        presented: &Presented,
        who: ActivateAutoConfirm,
    ) -> Result<()> {
        self.ddi_device(id, presented)?;
        self.activate_auto_confirm(id, who, &format!("device:{id}"))
    }

    /// The same by an operator, when `actor` is one.
    pub fn activate_auto_confirm(
        &self,
        id: &str,
        who: ActivateAutoConfirm,
        actor: &str,
    ) -> Result<()> {
        let now = self.now();
        self.write_for("confirm all actions", id, |tx| {
            let mut device = devices::require(tx, id)?;
            if device.auto_confirm.is_some() {
                let message = format!("target {id} confirms everything already");
                return Err(Error::hawkbit(Trouble::AutoConfirmActive, message));
            }
            device.auto_confirm = Some(AutoConfirm {
                active: true,
                initiator: who.initiator,
                remark: who.remark.or_else(|| Some(FALLBACK_REMARK.to_owned())),
                activated_at: Some(now.as_millisecond()),
            });
            devices::update(tx, &device, None)?;
            confirm_waiting(tx, &device, By { actor, at: now })
        })
    }

    /// A device is asked again.
    pub fn ddi_deactivate_auto_confirm(&self, id: &str, presented: &Presented) -> Result<()> {
        self.ddi_device(id, presented)?;
        self.deactivate_auto_confirm(id)
    }

    /// The same by an operator.
    pub fn deactivate_auto_confirm(&self, id: &str) -> Result<()> {
        self.write_for("ask a device again", id, |tx| {
            let mut device = devices::require(tx, id)?;
            device.auto_confirm = None;
            devices::update(tx, &device, None)
        })
    }
}

fn confirm_waiting(tx: &Transaction<'_>, device: &ActionDevice, by: By<'_>) -> Result<()> {
    let now: Timestamp = by.at;
    for mut action in actions::active(tx, &device.id)? {
        if action.status == ActionStatus::WaitForConfirmation {
            action.status = ActionStatus::Running;
            let message = "This action was confirmed because the device confirms everything.";
            let report = NewReport::of_server(ActionStatus::Running, message);
            actions::append(tx, action.id, &report, now)?;
            actions::update(tx, &action, by)?;
        }
    }
    Ok(())
}
