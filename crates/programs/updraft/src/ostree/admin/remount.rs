//! `ostree-remount`: what is to be writable once the system is up.
//!
//! The kernel mounts the root read-only, and the deployment's mounts are made from that. Where the
//! root itself stays read-only because its owner wants that, nothing is changed. A `/sysroot` that
//! is read-only on purpose stays so; programs that change it do that in a namespace of their own.

use std::path::Path;

use updraft_fs::{Dir, atomic_write_unsynced, mount};
use updraft_ostree::Metadata;
use updraft_ostree::gvariant::{Type, Value};
use updraft_terminal::{Result, Terminal};

/// What the program has left that made the deployment the root.
const NOTE: &str = "ostree-booted";
const MAX_NOTE: u64 = 1 << 20;

/// Makes the mounts of a deployment writable that are to be.
pub(super) fn run(terminal: &Terminal) -> Result {
    let run = Dir::open("/run")?;
    let note = run.try_read(NOTE, MAX_NOTE)?;
    if note.is_none() {
        // Left out by older programs; others look for it.
        atomic_write_unsynced(&run, NOTE, b"", 0o644)?;
    }
    let note = note.unwrap_or_default();
    let note = Value::decode(&Type::vardict(), &note).and_then(Metadata::from_value);
    let note = note.unwrap_or_default();
    let says = |key: &str| note.get(key) == Some(&Value::Bool(true));
    // A mount below /var shall not be seen in the stateroot too.
    if let Err(error) = mount::make_private("/sysroot") {
        terminal.warn(format!("warning: failed to {error}"));
    }
    if !says("composefs") && mount::is_read_only("/")? {
        return Ok(());
    }
    let sysroot = (!says("sysroot-ro")).then_some("/sysroot");
    for place in sysroot.into_iter().chain(["/etc", "/var"]) {
        remount(Path::new(place), terminal)?;
    }
    Ok(())
}

fn remount(place: &Path, terminal: &Terminal) -> Result {
    // A link leads to a place that is looked at on its own.
    let is_dir = place.symlink_metadata().is_ok_and(|found| found.is_dir());
    if !is_dir || !mount::is_read_only(place)? {
        return Ok(());
    }
    match mount::remount_writable(place) {
        Ok(()) => terminal.line(format!("Remounted: {}", place.display())),
        // It is no mount of its own.
        Err(error) if error.io_kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        Err(error) => Err(error.into()),
    }
}
