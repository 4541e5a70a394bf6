//! The engine's view of rebooting.

use updraft_task::Context;
use updraft_update::{Host, StepError};

use crate::boot::Boot;
use crate::session::Session;

/// Asks for reboots by the sentinel, and knows the present boot.
///
/// The reboot command itself is run when the engine has stored that it waits.
#[derive(Debug)]
pub(crate) struct Device<'a> {
    pub(crate) session: &'a Session,
    pub(crate) boot: Boot,
}

impl Host for Device<'_> {
    fn request_reboot(&mut self, _ctx: &Context) -> Result<String, StepError> {
        let Session { settings, store, .. } = self.session;
        self.boot.await_reboot(settings, store).map_err(StepError::new)?;
        Ok(self.boot.session.clone())
    }

    fn has_rebooted_since(&mut self, token: &str) -> Result<bool, StepError> {
        // A new boot does not know that one was asked for in the last.
        Ok(self.boot.session != token || !self.boot.awaits_reboot)
    }
}
