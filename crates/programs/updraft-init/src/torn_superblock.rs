//! Mends the superblock of an ext4 file system that a power cut tore.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use updraft_bootenv::Ext4Superblock;

use crate::console::complain;

/// Looks at a device that cannot be mounted. True when it was mended, and is worth another try.
pub(crate) fn mend(device: &Path) -> bool {
    match try_to_mend(device) {
        Ok(mended) => mended,
        Err(error) => {
            complain(&format!("cannot mend the superblock of {}: {error}", device.display()));
            false
        }
    }
}

fn try_to_mend(path: &Path) -> io::Result<bool> {
    let device = File::options().read(true).write(true).open(path)?;
    let read = |place| {
        let mut bytes = [0; Ext4Superblock::SIZE];
        device.read_exact_at(&mut bytes, place).map(|()| Ext4Superblock::parse(&bytes))
    };
    let Some(torn) = read(Ext4Superblock::PLACE)?.filter(Ext4Superblock::is_damaged) else {
        return Ok(false);
    };
    let mended = match torn.backup_place().and_then(|place| read(place).ok().flatten()) {
        Some(backup) => torn.mended(&backup),
        None => None,
    };
    let Some(mended) = mended else {
        complain(&format!(
            "the superblock of {} is damaged, and no backup shows how it was; run e2fsck on it",
            path.display()
        ));
        return Ok(false);
    };
    // One sector: the checksum. The journal, which the kernel replays now, has the rest.
    device.write_all_at(mended.bytes(), Ext4Superblock::PLACE)?;
    device.sync_all()?;
    complain(&format!("the superblock of {} was torn by a power cut; mended", path.display()));
    Ok(true)
}
