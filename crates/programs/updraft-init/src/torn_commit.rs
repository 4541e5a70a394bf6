//! Completes the end of the last transaction in the journal of an ext4 file system, where a power cut tore it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use updraft_bootenv::{Ext4Superblock, TornCommit};

use crate::console::complain;

/// Looks at a device that cannot be mounted. True when it was mended, and is worth another try.
pub(crate) fn mend(device: &Path) -> bool {
    match try_to_mend(device) {
        Ok(mended) => mended,
        Err(error) => {
            complain(&format!("cannot mend the journal of {}: {error}", device.display()));
            false
        }
    }
}

fn try_to_mend(path: &Path) -> io::Result<bool> {
    let device = File::options().read(true).write(true).open(path)?;
    let mut superblock = [0; Ext4Superblock::SIZE];
    device.read_exact_at(&mut superblock, Ext4Superblock::PLACE)?;
    let Some(superblock) = Ext4Superblock::parse(&superblock) else { return Ok(false) };
    let torn = TornCommit::find(&superblock, |place, bytes| device.read_exact_at(bytes, place))?;
    let Some(torn) = torn else { return Ok(false) };
    // Only zeros are new. A cut now leaves it torn as it was, or less.
    device.write_all_at(torn.bytes(), torn.place())?;
    device.sync_all()?;
    complain(&format!("the journal of {} was torn by a power cut; mended", path.display()));
    Ok(true)
}
