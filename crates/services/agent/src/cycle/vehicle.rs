//! An assignment is for several ECUs: who has which share of it.

use updraft_tuf::UptaneTarget;
use updraft_update::{Assignment, Component, Image, Installer as _};

use super::Cycle;
use crate::events::{EventKind, event};
use crate::store::{Shares, Update, UpdatePart};
use crate::{Error, Result};

impl Cycle<'_> {
    /// Whose targets an assignment has.
    pub(super) fn shares_of(&self, assignment: &Assignment<UptaneTarget>) -> Shares {
        let primary = &self.session.ecu.serial;
        let others = assignment.targets.iter().filter(|(_, _, it)| it.ecu_serial != *primary);
        let parts: Vec<_> = others
            .map(|(_, image, target)| UpdatePart {
                serial: target.ecu_serial.clone(),
                hardware_id: target.hardware_id.clone(),
                filepath: image.name.clone(),
                sha256: image.digest.to_string(),
                length: target.length,
                release_counter: release_counter(target),
            })
            .collect();
        Shares { of_primary: parts.len() < assignment.targets.len(), parts }
    }

    /// The same event for every ECU that has a target.
    pub(super) fn events_of(
        &self,
        kind: EventKind,
        update: &Update,
        shares: &Shares,
    ) -> Vec<String> {
        let now = self.session.now();
        let own = shares.of_primary.then(|| event(kind, &self.session.ecu.serial, update, now));
        let others = shares.parts.iter().map(|part| {
            let (filepath, sha256) = (part.filepath.clone(), part.sha256.clone());
            let update = Update { filepath, sha256, ..update.clone() };
            event(kind, &part.serial, &update, now)
        });
        own.into_iter().chain(others).collect()
    }

    pub(super) fn is_fetched(&mut self, component: &Component, image: &Image) -> Result<bool> {
        let ctx = self.ctx;
        let fetched = if *component == self.component {
            self.installer.is_fetched(ctx, image)
        } else {
            let mut others = self.secondaries.installers();
            let found = others.find(|(other, _)| other == component);
            found.map_or(Ok(false), |(_, installer)| installer.is_fetched(ctx, image))
        };
        fetched.map_err(Error::below("look for what was fetched"))
    }

    /// What the transaction under way is about.
    pub(super) fn components_in_journal(&self) -> Result<Vec<Component>> {
        let record = self.record()?.filter(|record| record.finished.is_none());
        let actions = record.map(|record| record.plan.actions).unwrap_or_default();
        Ok(actions.into_iter().map(|action| action.component).collect())
    }
}

/// The release counter of a target, if it has one.
pub(super) fn release_counter(target: &UptaneTarget) -> Option<u64> {
    target.custom.as_ref()?.get("releaseCounter")?.as_u64()
}
