//! The page of the slots, served beside the work of the agent.

use std::net::SocketAddr;

use updraft_agent::Agent;
use updraft_slots_page::{SlotsPage, page_token};
use updraft_terminal::{Result, ResultExt as _};

use crate::print;

/// Serves it where the configuration says, until it is dropped. That it cannot be served is told, and no
/// reason not to update the device.
pub(crate) fn serve(agent: &Agent) -> Option<SlotsPage> {
    let listen: SocketAddr = agent.settings().slots.page.parse().ok()?;
    match start(agent, listen) {
        Ok(page) => page,
        Err(error) => {
            let error = error.lines().join("; ");
            tracing::warn!(%listen, error, "the slots' page is not served");
            None
        }
    }
}

fn start(agent: &Agent, listen: SocketAddr) -> Result<Option<SlotsPage>> {
    let Some(engine) = agent.slots().map_err(print::failure)? else { return Ok(None) };
    let token = page_token(&engine.config().state).context("failed to make a token")?;
    let page = SlotsPage::start(engine, listen, token).context("failed to listen")?;
    Ok(Some(page))
}
