//! Why a deployment did not come up, as far as that can be known.
//!
//! An initramfs that gives a deployment up boots the one before, and leaves a note:
//!
//! ```json
//! {"failed": "ostree=/ostree/boot.0/os/2b84…/0", "reason": "initramfs"}
//! ```
//! `failed` is the kernel argument that named the deployment, or the name itself, `COMMIT.SERIAL`;
//! `reason` is `initramfs`, `kernel`, `hang`, or free text. One that only counted has `tried`, how
//! often, and may have `reached`, how far the last try came: `initramfs` or `system`. Without a note,
//! the boot loader's counter tells whether it was tried at all.
//!
//! Who only counted does not know why. There [`Evidence`] of a panic, a hang and of how far it came
//! is added.

use std::path::Path;

use serde::Deserialize;
use updraft_fs::Dir;
use updraft_ostree::Checksum;
use updraft_sysroot::{DeploymentId, Sysroot};

use super::evidence::{Evidence, Places, Reached};
use crate::config::Boot as Settings;

/// A note has two short lines of text.
const MAX_NOTE: u64 = 16 * 1024;
/// Longest reason that is passed on, in characters.
const MAX_REASON: usize = 300;
/// What is said of a deployment that was tried, when there is no evidence.
const UNKNOWN: &str = "its kernel, initramfs or user space failed";

/// What an initramfs leaves behind. Members that are not known are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Note {
    /// The kernel argument that named the deployment, or its name.
    failed: String,
    /// Why it was given up.
    reason: String,
    /// How often it was tried, where that is the reason.
    tried: Option<u32>,
    /// How far the last try came.
    reached: Option<String>,
}

/// Why none of these deployments, which are of one commit, came up. `before` is what an agent saw
/// booted last.
pub(crate) fn reason(
    settings: &Settings,
    sysroot: &Sysroot,
    deployments: &[DeploymentId],
    before: Option<&DeploymentId>,
) -> String {
    // A simulated device shares these places with the machine that it is on.
    let root = super::is_real(&settings.kernel_cmdline).then_some(Path::new("/"));
    let made = deployments.iter().filter_map(|id| sysroot.made_at(id).ok().flatten()).max();
    let evidence = Evidence {
        agent_ran: before.is_some_and(|before| deployments.contains(before)),
        ..root.map(|root| Evidence::find(&Places::below(root), made)).unwrap_or_default()
    };
    let note = read(&settings.fallback_note);
    match note.filter(|note| is_about(note, sysroot, deployments)) {
        Some(note) => of_note(&note, evidence),
        None => counted(sysroot, deployments, &evidence),
    }
}

/// What a note says. An initramfs that knows the reason is right; one that counted is not enough.
fn of_note(note: &Note, evidence: Evidence) -> String {
    let Some(tried) = note.tried else {
        return match (in_words(&note.reason), evidence.panic) {
            (words, Some(line)) if note.reason == "kernel" => format!("{words}: {line}"),
            (words, _) => words,
        };
    };
    let reached = note.reached.as_deref().and_then(Reached::parse);
    let evidence = Evidence { reached, ..evidence };
    let why = evidence.in_words().unwrap_or_else(|| UNKNOWN.to_owned());
    format!("it was tried {tried} times in vain: {why}")
}

/// What the boot loader's counter says.
fn counted(sysroot: &Sysroot, deployments: &[DeploymentId], evidence: &Evidence) -> String {
    let why = evidence.in_words();
    let counted = deployments.iter().find_map(|id| sysroot.boot_count(id).ok().flatten());
    let what = match counted {
        Some(count) if count.left == 0 && count.done > 0 => {
            let why = why.as_deref().unwrap_or(UNKNOWN);
            return format!("it did not come up in {} tries: {why}", count.done);
        }
        Some(count) if count.left == 0 => "it did not come up in as many tries as it may have",
        Some(_) => "it was given up before its tries were used",
        None => "the boot loader booted another one",
    };
    // It may never have been started: without evidence there is nothing to say.
    why.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"))
}

fn read(path: &Path) -> Option<Note> {
    let folder = Dir::open(path.parent()?).ok()?;
    let bytes = folder.try_read(path.file_name()?, MAX_NOTE).ok()??;
    match serde_json::from_slice(&bytes) {
        Ok(note) => Some(note),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the note of a fallback is damaged");
            None
        }
    }
}

fn is_about(note: &Note, sysroot: &Sysroot, deployments: &[DeploymentId]) -> bool {
    if is_name(&note.failed) {
        return deployments.iter().any(|id| id.dir_name() == note.failed);
    }
    // Links may have changed since; a note that leads nowhere is of this boot all the same.
    match sysroot.booted(&note.failed) {
        Ok(Some(id)) => deployments.contains(&id),
        _ => true,
    }
}

fn in_words(reason: &str) -> String {
    let clean: String =
        reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect::<String>();
    match clean.as_str() {
        "initramfs" => "its initramfs could not start it".to_owned(),
        "kernel" => "its kernel panicked".to_owned(),
        "hang" => "it hung".to_owned(),
        other => format!("it was given up: {other}"),
    }
}

/// Whether this is the name of a deployment, and not a link.
fn is_name(failed: &str) -> bool {
    failed.split_once('.').is_some_and(|(commit, serial)| {
        commit.parse::<Checksum>().is_ok() && serial.parse::<u32>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(json: &str) -> Note {
        serde_json::from_str(json).unwrap()
    }

    fn panicked() -> Evidence {
        let panic = Some("Kernel panic - not syncing: ha".to_owned());
        Evidence { panic, ..Evidence::default() }
    }

    #[test]
    fn a_note_that_only_counts_is_explained() {
        for (reached, evidence, words) in [
            ("", Evidence::default(), UNKNOWN),
            (r#", "reached": "initramfs""#, Evidence::default(), "its initramfs did not hand over"),
            (
                r#", "reached": "system""#,
                panicked(),
                "its kernel panicked: Kernel panic - not syncing: ha; its initramfs had handed over",
            ),
            (r#", "reached": "moon""#, Evidence::default(), UNKNOWN),
        ] {
            let note = note(&format!(r#"{{"failed": "", "reason": "x", "tried": 2{reached}}}"#));
            assert_eq!(of_note(&note, evidence), format!("it was tried 2 times in vain: {words}"));
        }
    }

    #[test]
    fn a_note_that_knows_the_reason_is_believed() {
        for (reason, words) in [
            ("initramfs", "its initramfs could not start it"),
            ("kernel", "its kernel panicked: Kernel panic - not syncing: ha"),
            ("hang", "it hung"),
            ("no disk", "it was given up: no disk"),
        ] {
            let note = note(&format!(r#"{{"failed": "", "reason": "{reason}"}}"#));
            assert_eq!(of_note(&note, panicked()), words);
        }
        let kernel = note(r#"{"failed": "", "reason": "kernel"}"#);
        assert_eq!(of_note(&kernel, Evidence::default()), "its kernel panicked");
    }

    #[test]
    fn a_name_is_told_from_a_link() {
        let commit = "ab".repeat(32);
        assert!(is_name(&format!("{commit}.0")));
        for link in ["ostree=/ostree/boot.0/os/ab/0", "/ostree/boot.1/os/ab/0", "", "ab.0"] {
            assert!(!is_name(link), "{link}");
        }
        assert!(!is_name(&commit) && !is_name(&format!("{commit}.x")));
    }
}
