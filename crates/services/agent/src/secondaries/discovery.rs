//! Who is there: asked of all that are configured, and told by those that come by themselves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use updraft_secondary::WaitPort;
use updraft_task::Context;
use updraft_tuf::Dialect;

use super::Secondaries;
use super::installer::SecondaryInstaller;
use super::seam::Known;
use crate::Result;

/// Between two looks for secondaries that are waited for.
const PAUSE: Duration = Duration::from_millis(500);

/// How secondaries that never answered are waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wait {
    /// How long, once for each start of the agent.
    pub(super) time: Duration,
    /// The port on which they may make themselves known meanwhile; 0: none.
    pub(super) port: u16,
}

impl Secondaries<'_> {
    /// Asks all who they are, and tells the server when the vehicle has other ECUs than it knows.
    /// Secondaries that never answered are waited for, once.
    pub(crate) fn discover(&mut self, ctx: &Context) -> Result<()> {
        if self.ecus.is_empty() && self.session.store.sent_hash("ecus")?.is_none() {
            return Ok(());
        }
        let slots: Vec<String> = self.ecus.iter().map(|ecu| ecu.slot.clone()).collect();
        self.session.store.keep_secondaries(&slots)?;
        // Whoever finds nobody at the port while it serves already is called in vain before.
        let port = if self.waits() { self.open_port() } else { None };
        self.ask_who(ctx)?;
        let mut waited = Duration::ZERO;
        while self.waits() && waited < self.wait.time {
            if let Some(port) = &port {
                self.receive(ctx, port)?;
            }
            self.session.clock.wait(ctx, PAUSE)?;
            waited = waited.saturating_add(PAUSE);
            if self.waits() {
                self.ask_who(ctx)?;
            }
        }
        if !waited.is_zero() {
            self.session.waited_for_secondaries.store(true, Ordering::Relaxed);
        }
        self.register(ctx)
    }

    /// Whether there is somebody to wait for, and nobody has waited yet.
    fn waits(&self) -> bool {
        !self.session.waited_for_secondaries.load(Ordering::Relaxed)
            && self.ecus.iter().any(|ecu| ecu.record.is_none())
    }

    fn open_port(&self) -> Option<WaitPort> {
        if self.wait.port == 0 || self.wait.time.is_zero() {
            return None;
        }
        match WaitPort::listen(self.wait.port) {
            Ok(port) => Some(port),
            Err(error) => {
                // They are called as well.
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "secondaries cannot make themselves known");
                None
            }
        }
    }

    /// Asks those that have come. Whoever is not at the place of one that is waited for is no
    /// secondary of this vehicle.
    fn receive(&mut self, ctx: &Context, port: &WaitPort) -> Result<()> {
        while let Some((visitor, address)) = port.visitor() {
            let awaited = self.ecus.iter_mut().filter(|ecu| ecu.record.is_none());
            let Some(ecu) = awaited.into_iter().find(|ecu| ecu.ecu.is_at(address)) else {
                tracing::warn!(%address, "somebody came who is not waited for");
                continue;
            };
            match ecu.ecu.info_over(ctx, visitor) {
                Ok(known) => {
                    tracing::info!(%address, "a secondary made itself known");
                    remember(ecu, &known)?;
                }
                Err(updraft_secondary::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    %address,
                    "a secondary came and does not say who it is"
                ),
            }
        }
        Ok(())
    }

    fn ask_who(&mut self, ctx: &Context) -> Result<()> {
        let answers = self.ask_all(|ecu| ecu.info(ctx));
        for (ecu, answer) in self.ecus.iter_mut().zip(answers) {
            match answer {
                Ok(known) => remember(ecu, &known)?,
                Err(updraft_secondary::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    secondary = ecu.slot,
                    "a secondary does not answer"
                ),
            }
        }
        Ok(())
    }
}

/// Remembers who is at a place.
fn remember(ecu: &mut SecondaryInstaller<'_>, known: &Known) -> Result<()> {
    let key = known.key.to_json(Dialect::Uptane).to_string();
    let store = &ecu.session.store;
    if let Some(record) = &ecu.record
        && record.serial == known.serial
        && record.hardware_id == known.hardware_id
        && record.key == key
    {
        return Ok(());
    }
    // Nobody takes the primary's place, or that of another secondary that is there.
    let is_taken = known.serial == ecu.session.ecu.serial
        || store
            .secondaries()?
            .iter()
            .any(|other| other.serial == known.serial && other.slot != ecu.slot);
    if is_taken {
        tracing::error!(serial = known.serial, secondary = ecu.slot, "the serial is taken");
        return Ok(());
    }
    tracing::info!(serial = known.serial, hardware = known.hardware_id, "a secondary is new here");
    store.put_secondary(&ecu.slot, &known.serial, &known.hardware_id, &key)?;
    ecu.record = store.secondaries()?.into_iter().find(|record| record.slot == ecu.slot);
    Ok(())
}
