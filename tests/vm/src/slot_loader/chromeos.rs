//! The part of ChromeOS's firmware, which no distribution has for such a machine: the kernel partition of
//! the highest priority that is successful or has tries left, of which one is taken. Attributes are
//! read and written by ChromeOS's `cgpt`.

use std::process::Command;

use anyhow::{Context, Result};
use harness::Answer;

use crate::DiskFile;

/// The type of partitions that the firmware looks at.
pub(super) const KERNEL: &str = "FE3A2A5D-4F32-41A7-B725-ACCC3285A309";
const SLOTS: [(&str, &str); 2] = [("2", "a"), ("3", "b")];

fn cgpt(disk: &DiskFile, arguments: &[&str]) -> Result<String> {
    let answer = Answer::good(Command::new("cgpt").args(arguments).arg(&disk.path));
    Ok(answer.context("install cgpt")?.out)
}

/// Slot A works, B is never to be started.
pub(super) fn write(disk: &DiskFile) -> Result<()> {
    cgpt(disk, &["add", "-i", "2", "-P", "15", "-T", "0", "-S", "1"])?;
    cgpt(disk, &["add", "-i", "3", "-P", "0", "-T", "0", "-S", "0"]).map(drop)
}

pub(super) fn choose(disk: &DiskFile) -> Result<&'static str> {
    let get = |number: &str, what: &str| -> Result<u32> {
        let said = cgpt(disk, &["show", "-i", number, what])?;
        said.trim().parse().with_context(|| said.clone())
    };
    let mut best: Option<(u32, &str, &str, Option<u32>)> = None;
    for (number, name) in SLOTS {
        let (priority, tries) = (get(number, "-P")?, get(number, "-T")?);
        let is_successful = get(number, "-S")? == 1;
        let is_better = best.is_none_or(|(found, ..)| priority > found);
        if priority > 0 && is_better && (is_successful || tries > 0) {
            best = Some((priority, number, name, (!is_successful).then_some(tries)));
        }
    }
    let (_, number, name, tries) = best.context("no slot may be started")?;
    if let Some(tries) = tries {
        cgpt(disk, &["add", "-i", number, "-T", &(tries - 1).to_string()])?;
    }
    Ok(name)
}
