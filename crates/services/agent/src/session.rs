//! A device that knows who it is: settings, state, clock and server in one place.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use updraft_tuf::Ecu;

use crate::clock::Clock;
use crate::config::Settings;
use crate::gateway::Gateway;
use crate::keys::{EcuKey, Token};
use crate::library::Watch;
use crate::metrics::Metrics;
use crate::secondaries::Added;
use crate::store::Store;

/// What all the work of a provisioned device needs.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gateway: Gateway,
    pub(crate) device_id: String,
    pub(crate) ecu: Ecu,
    pub(crate) key: EcuKey,
    pub(crate) token: Token,
    /// Hears what happens.
    pub(crate) watch: Watch,
    /// Told to the server about the hardware, instead of what the agent finds out itself.
    pub(crate) hardware: Option<serde_json::Value>,
    /// Secondaries that the program around the agent brought, by their serials.
    pub(crate) added: Vec<(String, Added)>,
    /// Whether secondaries that never answered were waited for already.
    pub(crate) waited_for_secondaries: AtomicBool,
    /// What was measured and waits for the server.
    pub(crate) metrics: Metrics,
}

impl Session {
    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}
