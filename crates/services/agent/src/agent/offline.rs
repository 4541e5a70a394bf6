//! Updates from a medium: by hand, and in the rounds of the service.

use std::path::Path;

use updraft_task::Context;

use super::{Agent, in_cycle};
use crate::cycle::{AskedBy, Cycle, CycleReport, RunOptions};
use crate::medium::Medium;
use crate::session::Session;
use crate::{Error, Result, installer};

impl Agent {
    /// What the medium in `folder` holds for this device, verified; and, if `options` says so,
    /// installed, without a network. After the reboot the same call confirms it and leaves a
    /// receipt on the medium.
    ///
    /// Errors are those of an update from the server, [`Error::NoMedium`] and
    /// [`Error::OnlineUpdate`].
    pub fn offline(
        &self,
        ctx: &Context,
        folder: &Path,
        options: RunOptions,
    ) -> Result<CycleReport> {
        let medium = Medium::open(folder)?;
        let gate = self.gate(ctx);
        let ctx = &ctx.clone().with_gate(gate.clone());
        let session = self.session(ctx)?;
        let result = with_medium(ctx, &session, &medium, options, AskedBy::Hand);
        gate.take_abort();
        result
    }
}

/// The part of a round that needs no server. `Some`: there is no other part.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
pub(super) fn round(ctx: &Context, session: &Session) -> Result<Option<CycleReport>> {
    let uptane = &session.settings.uptane;
    let offline = if uptane.enable_offline_updates { from_source(ctx, session) } else { Ok(None) };
    if !uptane.enable_online_updates {
        // What was installed is confirmed though its medium was taken away.
        return match offline? {
            None => in_cycle(ctx, session, |cycle| cycle.settle()).map(Some),
            done => Ok(done),
        };
    }
    match offline {
        Ok(report) => Ok(report.filter(|report| report.reboot_required)),
        Err(error @ Error::Cancelled(_)) => Err(error),
        // A bad medium must not keep the device from its server.
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                hint = error.hint(),
                "nothing was installed from the medium"
            );
            Ok(None)
        }
    }
}

/// What the medium in `uptane.offline_updates_source` holds. `None`: there is none, or it would
/// disturb what the server assigned.
fn from_source(ctx: &Context, session: &Session) -> Result<Option<CycleReport>> {
    let Some(medium) = Medium::find(&session.settings.uptane.offline_updates_source)? else {
        return Ok(None);
    };
    match with_medium(ctx, session, &medium, RunOptions::default(), AskedBy::Service) {
        Err(Error::OnlineUpdate { .. }) => Ok(None),
        report => report.map(Some),
    }
}

fn with_medium(
    ctx: &Context,
    session: &Session,
    medium: &Medium,
    options: RunOptions,
    asked_by: AskedBy,
) -> Result<CycleReport> {
    let sysroot = installer::open_sysroot(&session.settings.pacman)?;
    Cycle::new(ctx, session, sysroot.as_ref())?.offline(medium, options, asked_by)
}
