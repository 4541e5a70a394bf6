//! The executor: carries a record on until it is finished, a reboot is needed, or it is stuck.

use updraft_error::{Classify, Kind};
use updraft_task::Context;

use crate::journal::store;
use crate::steps::{ActionStep, Tools};
use crate::{
    Action, ActionKind, Direction, Error, Failure, Finished, Flow, Journal, Record, Step, StepError,
};

/// Where [`execute`] stopped without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    Finished(Finished),
    Reboot,
}

/// Carries `record` on. Every change of it is in the journal before the next action begins.
///
/// The position is stored after an action's effect. A crash in between means that the action is
/// begun again, which `check` and the idempotence of the installer make harmless.
pub(crate) fn execute<T>(
    ctx: &Context,
    journal: &mut dyn Journal,
    record: &mut Record,
    tools: &mut Tools<'_, '_, T>,
) -> Result<Halt, Error> {
    loop {
        if let Some(finished) = record.finished {
            return Ok(Halt::Finished(finished));
        }
        let halt = match record.direction {
            Direction::Forward => forward(ctx, journal, record, tools)?,
            Direction::Backward => backward(ctx, journal, record, tools)?,
        };
        if halt == Progress::Reboot {
            return Ok(Halt::Reboot);
        }
    }
}

/// Turns the record back because of `failure`.
pub(crate) fn turn_back(
    journal: &mut dyn Journal,
    record: &mut Record,
    failure: Failure,
) -> Result<(), Error> {
    tracing::warn!(action = failure.action, error = failure.message, "turning the update back");
    // The action that failed may be half done: it is undone as well.
    record.position = record.plan.actions.len().min(record.position + 1);
    record.direction = Direction::Backward;
    record.reboot_token = None;
    record.failure = Some(failure);
    store(journal, record)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Moved,
    Reboot,
}

fn forward<T>(
    ctx: &Context,
    journal: &mut dyn Journal,
    record: &mut Record,
    tools: &mut Tools<'_, '_, T>,
) -> Result<Progress, Error> {
    let Some(action) = record.plan.actions.get(record.position).cloned() else {
        record.finished = Some(Finished::Installed);
        store(journal, record)?;
        return Ok(Progress::Moved);
    };
    ctx.check()?;
    let mut step = ActionStep { action: &action, tools };
    match attempt(ctx, &mut step, record.reboot_token.as_deref()) {
        Ok(Attempt::Done) => {
            tracing::info!(%action, "done");
            record.position += 1;
            record.reboot_token = None;
            store(journal, record)?;
            Ok(Progress::Moved)
        }
        Ok(Attempt::Reboot(token)) => {
            record.reboot_token = Some(token);
            store(journal, record)?;
            Ok(Progress::Reboot)
        }
        Ok(Attempt::TargetNeeded) => Err(Error::TargetNeeded {
            component: action.component.to_string(),
            image: action.image.to_string(),
        }),
        Err(source) if leaves_it_there(&action, &source) => {
            Err(Error::Interrupted { action: action.to_string(), source })
        }
        Err(error) => {
            turn_back(journal, record, failure(&action, &error))?;
            Ok(Progress::Moved)
        }
    }
}

enum Attempt {
    Done,
    Reboot(String),
    TargetNeeded,
}

fn attempt<T>(
    ctx: &Context,
    step: &mut ActionStep<'_, '_, '_, T>,
    token: Option<&str>,
) -> Result<Attempt, StepError> {
    if !step.check(ctx, token)? {
        // A reboot that was asked for and has not come yet is only waited for.
        if let Some(token) = token
            && !step.begins_anew(token)?
        {
            return Ok(Attempt::Reboot(token.to_owned()));
        }
        if step.lacks_target() {
            return Ok(Attempt::TargetNeeded);
        }
        if let Flow::Reboot(token) = step.run(ctx)? {
            return Ok(Attempt::Reboot(token));
        }
    }
    step.verify(ctx)?;
    Ok(Attempt::Done)
}

/// Errors after which the next call simply tries again. A health check that cannot be carried
/// out has failed.
fn leaves_it_there(action: &Action, error: &StepError) -> bool {
    match action.kind {
        ActionKind::CheckHealth => error.kind() == Kind::Cancelled,
        _ => error.is_temporary(),
    }
}

fn failure(action: &Action, error: &StepError) -> Failure {
    let image_at_fault = match action.kind {
        // The digest names the right image; whoever delivered it did not.
        ActionKind::Fetch | ActionKind::Activate | ActionKind::Confirm => false,
        ActionKind::Stage => {
            matches!(error.kind(), Kind::Rejected | Kind::Invalid | Kind::Unsupported)
        }
        ActionKind::Reboot | ActionKind::CheckHealth => true,
    };
    Failure {
        action: action.to_string(),
        kind: error.kind().label().to_owned(),
        message: error.chain(),
        image_at_fault,
        system_error: error.system_error(),
        way_out: error.way_out(),
    }
}

fn backward<T>(
    ctx: &Context,
    journal: &mut dyn Journal,
    record: &mut Record,
    tools: &mut Tools<'_, '_, T>,
) -> Result<Progress, Error> {
    let Some(index) = record.position.checked_sub(1) else {
        record.finished = Some(Finished::RolledBack);
        store(journal, record)?;
        return Ok(Progress::Moved);
    };
    ctx.check()?;
    let token = record.reboot_token.clone();
    match undo(ctx, &record.plan.actions, index, tools, token.as_deref())? {
        Flow::Done => {
            record.position = index;
            record.reboot_token = None;
            store(journal, record)?;
            Ok(Progress::Moved)
        }
        Flow::Reboot(token) => {
            // One reboot takes all activations back: switch the others as well before it.
            for other in (0..index).rev() {
                if record.plan.actions[other].kind == ActionKind::Activate {
                    undo_activation_only(ctx, &record.plan.actions[other], tools)?;
                }
            }
            record.reboot_token = Some(token);
            store(journal, record)?;
            Ok(Progress::Reboot)
        }
    }
}

fn undo<T>(
    ctx: &Context,
    actions: &[Action],
    index: usize,
    tools: &mut Tools<'_, '_, T>,
    token: Option<&str>,
) -> Result<Flow, Error> {
    let action = &actions[index];
    tracing::info!(%action, "undo");
    ActionStep { action, tools }
        .undo(ctx, token)
        .map_err(|source| Error::Undo { action: action.to_string(), source })
}

fn undo_activation_only<T>(
    ctx: &Context,
    action: &Action,
    tools: &mut Tools<'_, '_, T>,
) -> Result<(), Error> {
    ActionStep { action, tools }
        .switch_back(ctx)
        .map_err(|source| Error::Undo { action: action.to_string(), source })
}
