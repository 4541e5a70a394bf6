//! The entrance: one call takes the device as far towards its assignment as possible now.

use std::collections::{BTreeMap, BTreeSet};

use updraft_task::Context;

use crate::execute::{Halt, execute, turn_back};
use crate::journal::{load, store};
use crate::steps::Tools;
use crate::{
    ActionKind, Assignment, Component, Digest, Direction, Error, Failure, Finished, Host,
    Installer, Intended, Journal, Observed, Plan, Record, plan,
};

/// Where the device stands after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do, or nothing that may be done; the plan says why.
    Idle(Plan),
    /// The device must reboot; then call again.
    RebootRequired(Record),
    /// A transaction ended. Its record stays in the journal until [`Engine::acknowledge`].
    Finished(Record),
}

/// Plans, and carries plans out.
pub struct Engine<'a, T> {
    installers: BTreeMap<Component, &'a mut dyn Installer<Target = T>>,
    host: &'a mut dyn Host,
    journal: &'a mut dyn Journal,
}

impl<T> std::fmt::Debug for Engine<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("components", &self.installers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl<'a, T: Clone> Engine<'a, T> {
    /// An engine with these installers.
    pub fn new(
        installers: impl IntoIterator<Item = (Component, &'a mut dyn Installer<Target = T>)>,
        host: &'a mut dyn Host,
        journal: &'a mut dyn Journal,
    ) -> Self {
        Self { installers: installers.into_iter().collect(), host, journal }
    }

    /// What is there now.
    pub fn observe(
        &mut self,
        ctx: &Context,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<Observed, Error> {
        let mut observed = Observed { known_bad: known_bad.clone(), components: BTreeMap::new() };
        for (component, installer) in &mut self.installers {
            let there = installer
                .observe(ctx)
                .map_err(|source| Error::Observe { component: component.to_string(), source })?;
            observed.add(component.clone(), installer.effect(), there);
        }
        Ok(observed)
    }

    /// What [`advance`](Self::advance) would do with this assignment if no transaction were
    /// under way. Changes nothing.
    pub fn dry_run(
        &mut self,
        ctx: &Context,
        assignment: &Assignment<T>,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<Plan, Error> {
        let intended = intended(assignment)?;
        Ok(plan(&intended, &self.observe(ctx, known_bad)?))
    }

    /// The current transaction, finished or not.
    pub fn record(&mut self) -> Result<Option<Record>, Error> {
        load(self.journal)
    }

    /// Forgets a finished transaction, once its end is reported or queued to be.
    /// Does nothing while one is under way.
    pub fn acknowledge(&mut self) -> Result<(), Error> {
        if load(self.journal)?.is_some_and(|record| record.finished.is_some()) {
            self.journal.clear().map_err(|source| Error::Journal { operation: "write", source })?;
        }
        Ok(())
    }

    /// Continues the transaction under way without an assignment: after a start or a reboot.
    /// `None` when there is none, or when it is finished and acknowledged.
    pub fn resume(&mut self, ctx: &Context) -> Result<Option<Outcome>, Error> {
        match load(self.journal)? {
            Some(record) => self.carry_on(ctx, record, None).map(Some),
            None => Ok(None),
        }
    }

    /// Brings whatever bytes the assignment needs, and stages nothing. The transaction begins
    /// with this, so that a later [`advance`](Self::advance) continues it.
    pub fn fetch(
        &mut self,
        ctx: &Context,
        assignment: &Assignment<T>,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<Plan, Error> {
        let plan = self.dry_run(ctx, assignment, known_bad)?;
        for action in plan.actions.iter().filter(|action| action.kind == ActionKind::Fetch) {
            ctx.check()?;
            let target = assignment.targets.iter().find(|(name, _, _)| *name == action.component);
            let installer = self.installers.get_mut(&action.component);
            let (Some((_, _, target)), Some(installer)) = (target, installer) else { continue };
            let interrupted = |source| Error::Interrupted { action: action.to_string(), source };
            if !installer.is_fetched(ctx, &action.image).map_err(interrupted)? {
                installer.fetch(ctx, target).map_err(interrupted)?;
            }
        }
        Ok(plan)
    }

    /// Takes the device as far towards `assignment` as possible without a reboot.
    ///
    /// A transaction under way that leads there is continued; one that leads elsewhere and has
    /// not activated anything yet is taken back first; one that has is carried to its end.
    /// A finished transaction is reported once more until it is acknowledged.
    pub fn advance(
        &mut self,
        ctx: &Context,
        assignment: &Assignment<T>,
        known_bad: &BTreeSet<Digest>,
    ) -> Result<Outcome, Error> {
        let intended = intended(assignment)?;
        if let Some(mut record) = load(self.journal)? {
            if record.finished.is_none() && !record.plan.leads_to(&intended) {
                self.supersede(&mut record)?;
            }
            return self.carry_on(ctx, record, Some(assignment));
        }
        let plan = plan(&intended, &self.observe(ctx, known_bad)?);
        if plan.actions.is_empty() {
            return Ok(Outcome::Idle(plan));
        }
        let record = Record::new(plan);
        store(self.journal, &record)?;
        self.carry_on(ctx, record, Some(assignment))
    }

    /// Takes the transaction under way back, however far it has come, because somebody asked for
    /// it; `reason` is what its failure says then. `None` when there is none.
    pub fn take_back(&mut self, ctx: &Context, reason: &str) -> Result<Option<Outcome>, Error> {
        let Some(mut record) = load(self.journal)? else { return Ok(None) };
        if record.finished.is_none() && record.direction == Direction::Forward {
            let action = record.plan.actions.get(record.position).map(ToString::to_string);
            let failure = Failure::ordered(action.unwrap_or_default(), reason);
            turn_back(self.journal, &mut record, failure)?;
        }
        self.carry_on(ctx, record, None).map(Some)
    }

    /// Begins to go to an image that is in place already, and so needs no proof: it was verified
    /// when it came. `None` when that would need bytes, or when it is what runs.
    ///
    /// # Errors
    /// As [`advance`](Self::advance). A transaction under way is carried on instead.
    pub fn return_to(
        &mut self,
        ctx: &Context,
        intended: &Intended,
    ) -> Result<Option<Outcome>, Error> {
        if let Some(record) = load(self.journal)? {
            return self.carry_on(ctx, record, None).map(Some);
        }
        let plan = plan(intended, &self.observe(ctx, &BTreeSet::new())?);
        let needs_bytes = |kind| matches!(kind, ActionKind::Fetch | ActionKind::Stage);
        if plan.actions.is_empty() || plan.actions.iter().any(|action| needs_bytes(action.kind)) {
            return Ok(None);
        }
        let record = Record::new(plan);
        store(self.journal, &record)?;
        self.carry_on(ctx, record, None).map(Some)
    }

    fn supersede(&mut self, record: &mut Record) -> Result<(), Error> {
        let activated = record
            .plan
            .actions
            .iter()
            .take(record.position.saturating_add(1))
            .any(|action| action.kind > ActionKind::Stage);
        if record.direction == Direction::Backward || activated {
            return Ok(());
        }
        let action = record.plan.actions.get(record.position).map(ToString::to_string);
        let failure = Failure::superseded(action.unwrap_or_default());
        turn_back(self.journal, record, failure)
    }

    fn carry_on(
        &mut self,
        ctx: &Context,
        mut record: Record,
        assignment: Option<&Assignment<T>>,
    ) -> Result<Outcome, Error> {
        let targets = assignment.map(|a| a.targets.as_slice()).unwrap_or_default();
        let mut tools = Tools {
            installers: &mut self.installers,
            host: &mut *self.host,
            targets: targets
                .iter()
                .map(|(name, image, target)| (name.clone(), (image.clone(), target.clone())))
                .collect(),
        };
        match execute(ctx, self.journal, &mut record, &mut tools)? {
            Halt::Reboot => Ok(Outcome::RebootRequired(record)),
            Halt::Finished(Finished::Installed | Finished::RolledBack) => {
                Ok(Outcome::Finished(record))
            }
        }
    }
}

fn intended<T>(assignment: &Assignment<T>) -> Result<Intended, Error> {
    let images = assignment.targets.iter().map(|(component, image, _)| (component, image));
    Intended::new(assignment.id.clone(), images)
}
