//! `updraft keys sign`: add signatures to a sign request. Needs no network.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_publish::{Draft, Meaning, printable};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::list;
use crate::signing::{self, KeyFolder};
use crate::text;

/// Show what a sign request changes, and sign it with the keys of the folder that may.
///
/// What is shown is read from the very bytes that the signature covers. When the folder trusts a
/// root (its `root.json`), only the difference from the current file is shown, and only keys that
/// the trusted roots name are used.
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
    /// Do not ask, even at a terminal.
    #[arg(long, short)]
    yes: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    role: String,
    /// Read from what is signed.
    changes: Vec<String>,
    /// Whether `changes` is the difference from the current file, or all that the file says.
    compared: bool,
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
        let trusted = folder.trusted_root()?;
        let meaning = draft.judge(trusted.as_deref()).with_context(|| {
            format!("failed to accept the sign request `{}`", self.request.display())
        })?;
        tell(&draft, &meaning, trusted.is_some(), terminal);
        if self.dry_run {
            return report(&draft, meaning, 0, terminal);
        }
        let count = self.sign(&mut draft, folder)?;
        self.confirm(terminal)?;
        signing::write_request(&draft, self.output.as_ref().unwrap_or(&self.request))?;
        if let Some(root) =
            meaning.newest_root.as_ref().filter(|root| trusted.as_ref() != Some(root))
        {
            folder.trust(root)?;
        }
        report(&draft, meaning, count, terminal)
    }

    /// Signs in memory; nothing leaves this process before somebody agreed.
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

    /// Asks a person who watches. A script has decided already.
    fn confirm(&self, terminal: &Terminal) -> Result {
        let stdin = std::io::stdin();
        if self.yes || !stdin.is_terminal() {
            return Ok(());
        }
        terminal.say("sign this? Type `yes` to sign:");
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(Failure::new(Kind::Cancelled, "nothing was signed"))
    }
}

fn tell(draft: &Draft, meaning: &Meaning, trusts: bool, terminal: &Terminal) {
    let role = printable(draft.role().as_str());
    let what = if meaning.compared { "what changes" } else { "all that it says" };
    terminal.say(format!("{role} of an Image repository; {what}:"));
    for line in &meaning.lines {
        terminal.say(format!("  {line}"));
    }
    if !trusts {
        terminal.say("this folder trusts no root, so nothing was compared: check each line above,");
        terminal.say("or put the repository's root.json, from a source you trust, into the folder");
    }
}

fn report(draft: &Draft, meaning: Meaning, count: usize, terminal: &Terminal) -> Result {
    let missing = draft.shortfalls()?.into_iter().map(|shortfall| Missing {
        authority: shortfall.label,
        needed: shortfall.needed,
        found: shortfall.found,
        keys: shortfall.missing.iter().map(|key| key.as_str().to_owned()).collect(),
    });
    let report = Report {
        role: draft.role().to_string(),
        changes: meaning.lines,
        compared: meaning.compared,
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
