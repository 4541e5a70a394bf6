//! Storing the reports of many devices at a time.
//!
//! ```text
//! credentials of all ── one query
//! actions of all ────── one query ─┐
//! what is only history ─ one write ├ one transaction, one commit
//! what ends something ── by itself ┘
//! ```
//! Each device is answered after the commit. A report that is refused changes nothing about the
//! others; where the statements for all fail, each is stored by itself.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio::sync::oneshot::Receiver;
use updraft_api::RolloutDeviceState;
use updraft_hawkbit::ddi::ActionFeedback;
use updraft_hawkbit::management::{ActionKind, ActionStatus};

use super::waiting::Report;
use super::{default_message, deployment_status, is_final, is_news, report, take, takes_reports};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::hawkbit::access::{self, Presented};
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::devices::{self, Protocol};
use crate::storage::hawkbit::reports::{self, Reported, Taken};
use crate::storage::sql::{self, Transaction};

impl Fleet {
    /// A device reports how far it is with what it was told to install. What came of it is said
    /// later; when there is a `true` beside that, nobody stores reports now, and the caller has to
    /// run [`Fleet::store_reports`] where waiting is allowed.
    pub fn ddi_report(
        &self,
        id: String,
        presented: Presented,
        action: i64,
        feedback: ActionFeedback,
    ) -> (Receiver<Result<()>>, bool) {
        let (report, answer) = Report::new(id, presented, action, feedback);
        (answer, self.hawkbit.reports.add(report))
    }

    /// Stores reports until none waits any more.
    pub fn store_reports(&self) {
        let mut turn = self.hawkbit.reports.turn();
        while let Some(reports) = turn.next() {
            self.store_together(reports);
        }
    }

    fn store_together(&self, reports: Vec<Report>) {
        let Some(reports) = self.admit_all(reports) else { return };
        let now = self.now();
        for report in &reports {
            self.note_seen(&report.device);
        }
        let stored = self
            .database
            .write_together("store what devices report", |tx| take_all(tx, &reports, now));
        for report in &reports {
            // Also when it failed: forgetting costs a look at the database, and nothing else.
            self.hawkbit.polls.forget(&report.device);
        }
        match stored {
            Ok((outcomes, may_plan)) => {
                if may_plan {
                    self.kick();
                }
                reports.into_iter().zip(outcomes).for_each(|(report, said)| report.answer(said));
            }
            // Whether that commit was made is not known, so nothing is done again.
            Err(Error::Database { action, source: sql::Error::Shared(error) }) => {
                for report in reports {
                    let source = sql::Error::Shared(error.clone());
                    report.answer(Err(Error::Database { action, source }));
                }
            }
            Err(_) => self.store_singly(reports),
        }
    }

    /// Those that come from the device that they say; the others are answered.
    fn admit_all(&self, reports: Vec<Report>) -> Option<Vec<Report>> {
        // No database knows a device with such an id, and PostgreSQL takes no such text.
        let (reports, odd): (Vec<_>, Vec<_>) =
            reports.into_iter().partition(|report| !report.device.contains('\0'));
        self.store_singly(odd);
        let ids: Vec<&str> = reports.iter().map(|report| report.device.as_str()).collect();
        let known = self.tenant().and_then(|tenant| {
            let known = self.database.read("read devices' credentials", |reader| {
                devices::credentials(reader, &ids, Protocol::Ddi)
            })?;
            Ok((tenant, known))
        });
        let Ok((tenant, known)) = known else {
            self.store_singly(reports);
            return None;
        };
        let known: HashMap<_, _> = known.into_iter().map(|one| (one.id.clone(), one)).collect();
        let mut admitted = Vec::new();
        for report in reports {
            let credentials = known.get(&report.device);
            let shown = credentials.map(|one| (one.security_token.as_str(), one.revoked));
            match access::recognise(&tenant, &report.device, shown, &report.presented) {
                Ok(()) => admitted.push(report),
                Err(error) => report.answer(Err(error)),
            }
        }
        (!admitted.is_empty()).then_some(admitted)
    }

    fn store_singly(&self, reports: Vec<Report>) {
        for report in reports {
            let Report { device, presented, action, feedback, .. } = &report;
            let said = self.ddi_deployment_feedback(device, presented, *action, feedback);
            report.answer(said);
        }
    }
}

/// Stores the reports of devices that are known: what came of each, and whether the planner may have
/// something to do.
fn take_all(
    tx: &Transaction<'_>,
    all: &[Report],
    now: Timestamp,
) -> Result<(Vec<Result<()>>, bool)> {
    let wanted: Vec<i64> = all.iter().map(|report| report.action).collect();
    let found = reports::of_actions(tx, &wanted)?;
    let mut found: HashMap<i64, Reported> =
        found.into_iter().map(|one| (one.action.id, one)).collect();
    let mut history = Vec::new();
    let mut outcomes = Vec::new();
    for one in all {
        let (reported, actor) = (found.remove(&one.action), format!("device:{}", one.device));
        outcomes.push(match only_history(reported, one, By { actor: &actor, at: now }) {
            Ok(Some(taken)) => {
                history.push(taken);
                Some(Ok(()))
            }
            Ok(None) => None,
            Err(refused) => Some(Err(refused)),
        });
    }
    reports::store(tx, &history, now)?;
    let mut may_plan = false;
    for (one, outcome) in all.iter().zip(&mut outcomes) {
        if outcome.is_none() {
            may_plan = true;
            let actor = format!("device:{}", one.device);
            let by = By { actor: &actor, at: now };
            let work = || take(tx, &one.device, (one.action, &one.feedback), by);
            *outcome = Some(tx.apart(work).map_err(Error::database("store a report"))?);
        }
    }
    Ok((outcomes.into_iter().flatten().collect(), may_plan))
}

/// What is to be stored of a report that changes nothing but its action's status and history; none
/// when more may follow from it.
fn only_history(reported: Option<Reported>, one: &Report, by: By<'_>) -> Result<Option<Taken>> {
    let reported = reported.filter(|reported| reported.action.device == one.device);
    let missing = || Error::not_found("action", one.action.to_string());
    let Reported { mut action, last, member } = reported.ok_or_else(missing)?;
    if !takes_reports(&action) {
        let message = format!("action {} has ended", action.id);
        return Err(Error::hawkbit(Trouble::Gone, message));
    }
    let status = deployment_status(&action, &one.feedback, by.at);
    let ends_download =
        status == ActionStatus::Downloaded && action.kind == ActionKind::DownloadOnly;
    let begins =
        matches!(member, Some(RolloutDeviceState::Assigned | RolloutDeviceState::RollingBack));
    if is_final(status) || ends_download || begins {
        return Ok(None);
    }
    let report = report(&one.feedback, status, default_message(status))?;
    let reports = last.as_ref().map_or(0, |last| last.number);
    let said = last.as_ref().map(|last| (last.status, last.code, last.messages.as_slice()));
    let is_news = is_news(action.id, &report, said, reports)?;
    action.last_code = one.feedback.status.code.or(action.last_code);
    // Said of an action, these change nothing about it; and what is to be stopped stays so until the
    // device says that it has.
    let says_nothing = matches!(status, ActionStatus::Canceled | ActionStatus::Warning);
    if !says_nothing && action.status != ActionStatus::Canceling {
        action.status = status;
    }
    let report = is_news.then(|| (report, reports.saturating_add(1)));
    Ok(Some(Taken { action, actor: by.actor.to_owned(), report }))
}
