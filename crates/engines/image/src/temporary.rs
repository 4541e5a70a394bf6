//! `/tmp` of a tree. systemd mounts memory there; without it, it is a folder of the physical root.

use updraft_fs::{Dir, atomic_write_unsynced};

use crate::Result;

const UNIT: &str = "tmp.mount";
/// Where distributions have the unit that do not enable it.
const EXAMPLES: &str = "usr/share/systemd";
const UNITS: &str = "usr/lib/systemd/system";
const WANTED_BY: &str = "local-fs.target.wants";
const MAX_UNIT: u64 = 1 << 16;

/// Has systemd mount memory at `/tmp`: `/sysroot`, where a link would lead to, may be read-only.
/// Says whether there is a systemd in the tree to do that.
pub(crate) fn mount_by_systemd(tree: &Dir) -> Result<bool> {
    let Some(units) = open(tree, UNITS)? else { return Ok(false) };
    if !units.exists(UNIT)? {
        let Some(examples) = open(tree, EXAMPLES)? else { return Ok(false) };
        let Some(unit) = examples.try_read(UNIT, MAX_UNIT)? else { return Ok(false) };
        atomic_write_unsynced(&units, UNIT, &unit, 0o644)?;
    }
    let wanted = units.ensure_dir(WANTED_BY, 0o755)?;
    if !wanted.exists(UNIT)? {
        wanted.symlink(format!("../{UNIT}"), UNIT)?;
    }
    Ok(true)
}

/// A folder of the tree, and not one that a link leads to.
fn open(tree: &Dir, path: &str) -> Result<Option<Dir>> {
    let mut parts = path.split('/');
    let Some(first) = parts.next() else { return Ok(None) };
    let mut dir = tree.try_open_dir(first)?;
    for part in parts {
        dir = match dir {
            Some(above) => above.try_open_dir(part)?,
            None => return Ok(None),
        };
    }
    Ok(dir)
}
