//! What commands that change the list of deployments print.

use updraft_sysroot::{Deployed, EtcChanges, Written};
use updraft_terminal::{Result, Terminal};

use crate::ostree::size::format_size;

/// What a new deployment took over, and how it came to be offered.
pub(super) fn deployed(deployed: &Deployed, terminal: &Terminal) -> Result {
    merged(deployed.etc_changes.as_ref(), terminal)?;
    labelled(deployed.var_labelled, terminal)?;
    written(&deployed.written, terminal)?;
    freed(deployed.freed_bytes, terminal)
}

/// What a deployment took over from the `/etc` of another.
pub(super) fn merged(changes: Option<&EtcChanges>, terminal: &Terminal) -> Result {
    let Some(changes) = changes else { return Ok(()) };
    terminal.line(format!(
        "Copying /etc changes: {} modified, {} removed, {} added",
        changes.modified.len(),
        changes.removed.len(),
        changes.added.len()
    ))
}

/// That `/var` was labelled, which happens once.
pub(super) fn labelled(for_the_first_time: bool, terminal: &Terminal) -> Result {
    if !for_the_first_time {
        return Ok(());
    }
    terminal.line("Relabeling /var (no stamp file 'var/.ostree-selabeled' found)")
}

/// How a list of deployments became current.
pub(super) fn written(written: &Written, terminal: &Terminal) -> Result {
    use updraft_sysroot::Switch;
    let what = if written.is_atomic { "Transaction complete" } else { "Bootloader updated" };
    let swap = match written.switch {
        Switch::Nothing => return Ok(()),
        Switch::BootLinks => "no",
        Switch::Entries => "yes",
    };
    let version = written.version;
    terminal.line(format!(
        "{what}; bootconfig swap: {swap}; bootversion: boot.{}.{}, deployment count change: {}",
        version.version, version.subversion, written.count_change
    ))
}

/// How much was removed from the repository.
pub(super) fn freed(bytes: u64, terminal: &Terminal) -> Result {
    if bytes == 0 {
        return Ok(());
    }
    terminal.line(format!("Freed objects: {}", format_size(bytes)))
}
