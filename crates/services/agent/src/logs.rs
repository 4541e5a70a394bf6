//! The device's logs, for a server that asks for them: the system's journal since its start, and what
//! programs of the device's maker print.

use std::time::Duration;

use updraft_http::Method;
use updraft_process::{Command, Finished};
use updraft_task::Context;

use crate::folder::programs;
use crate::session::Session;
use crate::{Error, Result};

/// How many lines of the journal are sent.
const LINES: &str = "--lines=8000";
/// The longest log, in bytes: what the server takes.
const LIMIT: usize = 4 << 20;
/// How long the journal's part may be, in bytes: more than so many lines usually have, for it is the
/// newest ones that would be cut off.
const JOURNAL_LIMIT: usize = 3 << 20;
/// How much another program may print, in bytes.
const PROGRAM_LIMIT: usize = 256 << 10;
/// How long one program may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends the log of that number. Fails only when the work is cancelled: a log that the server does not
/// get it asks for again with the next cycle.
pub(crate) fn send(ctx: &Context, session: &Session, number: u64) -> Result<()> {
    if !session.settings.telemetry.report_logs {
        tracing::info!(
            "the server asks for a log; `telemetry.report_logs` keeps it from being sent"
        );
        return Ok(());
    }
    let log = collect(ctx, session)?;
    let name = format!("system_info/logs/{number}");
    let gateway = &session.gateway;
    let sent = gateway.send_device_data(ctx, Method::Put, &name, "text/plain; charset=utf-8", log);
    match sent {
        Ok(()) => tracing::info!(number, "the server asked for a log and was sent it"),
        Err(Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => tracing::warn!(%error, number, "the log was not sent"),
    }
    Ok(())
}

fn collect(ctx: &Context, session: &Session) -> Result<Vec<u8>> {
    let journal = ["--boot", "--no-pager", "--quiet", "--output=short-iso", LINES];
    let mut log = Vec::new();
    let journal = Command::new("journalctl").args(journal).output_limit(JOURNAL_LIMIT);
    append(ctx, &mut log, "journal", journal)?;
    for program in programs(&session.settings.telemetry.logs_path) {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        append(ctx, &mut log, &name, Command::new(program).output_limit(PROGRAM_LIMIT))?;
    }
    log.truncate(LIMIT);
    Ok(log)
}

/// Appends what a program prints, under a line with its name. What went wrong is part of the log.
fn append(ctx: &Context, log: &mut Vec<u8>, name: &str, command: Command) -> Result<()> {
    ctx.check()?;
    log.extend_from_slice(format!("==> {name} <==\n").as_bytes());
    match command.timeout(TIMEOUT).output(ctx) {
        Ok(Finished { status, stdout, stderr, .. }) => {
            log.extend_from_slice(&stdout.bytes);
            if stdout.truncated {
                log.extend_from_slice(b"\n(it printed more)");
            }
            if !status.success() {
                let problem = stderr.text();
                log.extend_from_slice(format!("\n({status}: {})", problem.trim()).as_bytes());
            }
        }
        Err(updraft_process::Error::Cancelled(cancelled)) => {
            return Err(Error::Cancelled(cancelled));
        }
        Err(error) => log.extend_from_slice(format!("({error})").as_bytes()),
    }
    log.extend_from_slice(b"\n");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_is_part_of_the_log() {
        let shell = |text: &str| Command::new("sh").args(["-c", text]).output_limit(10);
        let ctx = Context::silent();
        let mut log = Vec::new();
        append(&ctx, &mut log, "good", shell("echo hello")).expect("never fails");
        append(&ctx, &mut log, "long", shell("echo 0123456789abc")).expect("never fails");
        append(&ctx, &mut log, "bad", shell("echo no; echo why >&2; exit 3")).expect("never fails");
        append(&ctx, &mut log, "none", Command::new("/nonexistent")).expect("never fails");
        let log = String::from_utf8(log).expect("text");
        let (known, none) = log.split_once("==> none <==\n(").expect("all four");
        assert_eq!(
            known,
            "==> good <==\nhello\n\n==> long <==\n0123456789\n(it printed more)\n\
             ==> bad <==\nno\n\n(exit status: 3: why)\n"
        );
        assert!(none.contains("/nonexistent"), "{none}");
    }
}
