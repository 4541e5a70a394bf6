//! `updraft keys sign`: add signatures to a sign request. Needs no network.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_publish::Draft;
use updraft_terminal::{Failure, Result, Terminal};

use super::list;
use crate::signing::{self, KeyFolder};
use crate::text;

/// Show what a sign request changes, and sign it with the keys of the folder that may.
#[derive(Debug, Args)]
pub(crate) struct SignRequest {
    /// The sign request; it is replaced by the signed one.
    request: PathBuf,
    /// Sign with this key only (its id or first digits); repeat for more.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Write the signed request here and leave the other as it is.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only show what it changes and who must sign.
    #[arg(long)]
    dry_run: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    role: String,
    changes: Vec<String>,
    signed_with: usize,
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Missing {
    authority: String,
    needed: u64,
    found: u64,
    keys: Vec<String>,
}

impl SignRequest {
    pub(crate) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        let mut draft = signing::read_request(&self.request)?;
        terminal.say(format!("{} of an Image repository:", draft.role()));
        for change in draft.changes() {
            terminal.say(format!("  {change}"));
        }
        let count = if self.dry_run { 0 } else { self.sign(&mut draft, folder)? };
        if count > 0 {
            signing::write_request(&draft, self.output.as_ref().unwrap_or(&self.request))?;
        }
        report(&draft, count, terminal)
    }

    fn sign(&self, draft: &mut Draft, folder: &KeyFolder) -> Result<usize> {
        let count = if self.key.is_empty() {
            folder.sign(draft)?
        } else {
            let keys = self.key.iter().map(|text| {
                let key = list::find(folder, text)?;
                Ok(folder.store.load(&key.key_id)?)
            });
            signing::sign_with(draft, &keys.collect::<Result<Vec<_>>>()?)?
        };
        if count > 0 {
            return Ok(count);
        }
        let path = folder.store.path().display();
        Err(Failure::new(Kind::Conflict, format!("no key of `{path}` may sign this request"))
            .hint("see who may with --dry-run; give another folder with --keys"))
    }
}

fn report(draft: &Draft, count: usize, terminal: &Terminal) -> Result {
    let missing = draft.shortfalls()?.into_iter().map(|shortfall| Missing {
        authority: shortfall.label,
        needed: shortfall.needed,
        found: shortfall.found,
        keys: shortfall.missing.iter().map(|key| key.as_str().to_owned()).collect(),
    });
    let report = Report {
        role: draft.role().to_string(),
        changes: draft.changes().to_vec(),
        signed_with: count,
        missing: missing.collect(),
    };
    terminal.show(&report, |report| {
        if report.signed_with > 0 {
            terminal.line(format!("signed with {} key(s)", report.signed_with))?;
        }
        for missing in &report.missing {
            let keys: Vec<String> = missing.keys.iter().map(|key| text::short(key)).collect();
            terminal.line(format!(
                "still missing: {} of {} signatures by the {} ({})",
                missing.needed.saturating_sub(missing.found),
                missing.needed,
                missing.authority,
                keys.join(", ")
            ))?;
        }
        if report.missing.is_empty() {
            terminal.line("complete; publish it with `updraft release import`")?;
        }
        Ok(())
    })
}
