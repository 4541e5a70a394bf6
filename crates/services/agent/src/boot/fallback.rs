//! Why a deployment did not come up, as far as that can be known.
//!
//! An initramfs that gives a deployment up boots the one before, and leaves a note:
//!
//! ```json
//! {"failed": "ostree=/ostree/boot.0/os/2b84…/0", "reason": "initramfs"}
//! ```
//! `failed` is the kernel argument that named the deployment, or the name itself, `COMMIT.SERIAL`;
//! `reason` is `initramfs`, `kernel`, `hang`, or free text. Without a note, the boot loader's
//! counter tells whether it was tried at all.

use std::path::Path;

use serde::Deserialize;
use updraft_fs::Dir;
use updraft_ostree::Checksum;
use updraft_sysroot::{DeploymentId, Sysroot};

/// A note has two short lines of text.
const MAX_NOTE: u64 = 16 * 1024;
/// Longest reason that is passed on, in characters.
const MAX_REASON: usize = 300;

/// What an initramfs leaves behind. Members that are not known are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Note {
    /// The kernel argument that named the deployment, or its name.
    failed: String,
    /// Why it was given up.
    reason: String,
}

/// Why none of these deployments, which are of one commit, came up.
pub(crate) fn reason(note: &Path, sysroot: &Sysroot, deployments: &[DeploymentId]) -> String {
    if let Some(note) = read(note)
        && is_about(&note, sysroot, deployments)
    {
        return in_words(&note.reason);
    }
    let counted = deployments.iter().find_map(|id| sysroot.boot_count(id).ok().flatten());
    match counted {
        Some(count) if count.left == 0 && count.done > 0 => {
            format!("it did not come up in {} tries: its kernel or its user space hung", count.done)
        }
        Some(count) if count.left == 0 => {
            "it did not come up in as many tries as it may have".to_owned()
        }
        Some(_) => "it was given up before its tries were used".to_owned(),
        None => "the boot loader booted another one".to_owned(),
    }
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
