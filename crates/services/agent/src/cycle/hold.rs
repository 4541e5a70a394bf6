//! Why an update that could be installed is not installed yet: the Director ordered to fetch it only,
//! nobody agreed, somebody said no or later, or another program keeps the lock. Its bytes are brought
//! all the same.

use std::collections::BTreeSet;

use updraft_fs::flock;
use updraft_tuf::{InstallOrder, UptaneTarget};
use updraft_update::{Assignment, Digest};

use super::{Cycle, CycleOutcome, CycleReport, refusal, update_of};
use crate::control::{self, Control};
use crate::medium::is_of_medium;
use crate::store::Update;
use crate::{Result, events};

/// The orders that are followed here, told to the server: it gives them to no agent that would install
/// all the same.
pub(crate) const ORDERS: [InstallOrder; 2] = [InstallOrder::Consent, InstallOrder::DownloadOnly];
/// What the server was told last of what holds an update up.
const TOLD: &str = "held";

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
        let order = assignment.targets.first().map_or_else(Default::default, |(_, _, it)| it.order);
        let Some(outcome) = self.reason(&update, order)? else { return Ok(None) };
        if outcome != CycleOutcome::Declined {
            self.begin(assignment, known_bad)?;
            self.engine(|engine| engine.fetch(ctx, assignment, known_bad))?;
        }
        if !is_of_medium(&assignment.id) {
            self.tell(&update, outcome)?;
            events::flush(ctx, self.session).or_else(super::later)?;
        }
        Ok(Some(CycleReport::of(outcome).about(assignment).with_plan(&plan)))
    }

    /// Tells the server, once, that all is here and why it waits.
    fn tell(&self, update: &Update, outcome: CycleOutcome) -> Result<()> {
        let why = match outcome {
            CycleOutcome::Withheld => "download-only",
            CycleOutcome::AwaitingConsent => "consent",
            CycleOutcome::Declined => "declined",
            _ => return Ok(()),
        };
        let store = &self.session.store;
        let hash =
            updraft_crypto::sha256_hex(format!("{} {why}", control::name_of(update)).as_bytes());
        if store.sent_hash(TOLD)?.as_ref() == Some(&hash) {
            return Ok(());
        }
        // Told twice it says the same.
        store.queue_events(&[events::held(why, &update.correlation_id, self.session.now())])?;
        store.set_sent_hash(TOLD, &hash)
    }

    fn reason(&mut self, update: &Update, order: InstallOrder) -> Result<Option<CycleOutcome>> {
        let settings = &self.session.settings;
        let wishes = Control::new(&settings.storage).wishes()?;
        let name = Some(control::name_of(update));
        if wishes.declined == name {
            return Ok(Some(CycleOutcome::Declined));
        }
        if order == InstallOrder::DownloadOnly {
            return Ok(Some(CycleOutcome::Withheld));
        }
        let asks = settings.uptane.require_consent || order == InstallOrder::Consent;
        if asks && wishes.accepted != name {
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
