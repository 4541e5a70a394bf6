//! Why an update that could be installed is not installed yet: nobody agreed, somebody said no or
//! later, or another program keeps the lock. Its bytes are brought all the same.

use std::collections::BTreeSet;

use updraft_fs::flock;
use updraft_tuf::UptaneTarget;
use updraft_update::{Assignment, Digest};

use super::{Cycle, CycleOutcome, CycleReport, refusal, update_of};
use crate::control::{self, Control};
use crate::store::Update;
use crate::{Result, events};

impl Cycle<'_> {
    /// `None`: go on. What was begun already is never held up, for the device would stay halfway.
    pub(super) fn hold(
        &mut self,
        assignment: &Assignment<UptaneTarget>,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<Option<CycleReport>> {
        let Some(update) = update_of(assignment) else { return Ok(None) };
        if self.record()?.is_some() {
            return Ok(None);
        }
        let ctx = self.ctx;
        let plan = self.engine(|engine| engine.dry_run(ctx, assignment, known_bad))?;
        if plan.actions.is_empty() || refusal(&plan).is_some() {
            return Ok(None);
        }
        let Some(outcome) = self.reason(&update)? else { return Ok(None) };
        if outcome != CycleOutcome::Declined {
            self.begin(assignment, known_bad)?;
            self.engine(|engine| engine.fetch(ctx, assignment, known_bad))?;
            events::flush(ctx, self.session).or_else(super::later)?;
        }
        Ok(Some(CycleReport::of(outcome).about(assignment).with_plan(&plan)))
    }

    fn reason(&mut self, update: &Update) -> Result<Option<CycleOutcome>> {
        let settings = &self.session.settings;
        let wishes = Control::new(&settings.storage).wishes()?;
        let name = Some(control::name_of(update));
        if wishes.declined == name {
            return Ok(Some(CycleOutcome::Declined));
        }
        if settings.uptane.require_consent && wishes.accepted != name {
            return Ok(Some(CycleOutcome::AwaitingConsent));
        }
        if wishes.postponed_until.is_some_and(|until| self.session.now() < until) {
            return Ok(Some(CycleOutcome::Postponed));
        }
        let path = &settings.uptane.update_lock_file;
        if path.as_os_str().is_empty() || self.update_lock.is_some() {
            return Ok(None);
        }
        self.update_lock = flock::try_exclusive(path)?;
        Ok(self.update_lock.is_none().then_some(CycleOutcome::Locked))
    }
}
