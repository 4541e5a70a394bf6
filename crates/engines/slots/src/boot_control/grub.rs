//! [`GrubVariables`]: GRUB with the variables of RAUC in its environment block.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `ORDER` | names of the slots, the first is started first |
//! | `NAME_OK` | 1: it may be started |
//! | `NAME_TRY` | 1: it was started since somebody found it well, and is passed over |
//!
//! The script in `grub.cfg` starts the first with `OK` 1 and `TRY` 0, and sets its `TRY` before. So
//! each slot has one try, and also one that works has to be marked successful after each start. (RAUC,
//! "Integration", GRUB.)

use std::path::{Path, PathBuf};

use updraft_bootenv::GrubEnv;
use updraft_fs::{Dir, atomic_write, flush};

use super::medium::Medium;
use super::{BootControl, BootStatus, Counting, Slot, SlotStatus};
use crate::{Error, Result};

const ORDER: &str = "ORDER";
const MAX_BLOCK: u64 = 1 << 20;
/// `MSDOS_SUPER_MAGIC`, of all kinds of FAT.
const FAT: u64 = 0x4d44;
/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// An environment block.
#[derive(Debug, Clone)]
pub struct GrubVariables {
    block: Medium,
    names: [String; 2],
}

impl GrubVariables {
    /// With the block's file and the names of the slots in its variables.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, names: [String; 2]) -> Self {
        Self { block: Medium::new(path), names }
    }

    fn read(&self) -> Result<GrubEnv> {
        let bytes = self.block.read(MAX_BLOCK)?;
        GrubEnv::parse(&bytes).map_err(|source| self.block.malformed(source))
    }

    fn ok(&self, slot: Slot) -> String {
        format!("{}_OK", slot.of(&self.names))
    }

    fn tried(&self, slot: Slot) -> String {
        format!("{}_TRY", slot.of(&self.names))
    }

    fn may_start(&self, block: &GrubEnv, slot: Slot) -> bool {
        block.get(&self.ok(slot)) == Some("1") && block.get(&self.tried(slot)) != Some("1")
    }

    /// The slots that are offered, in their order.
    fn order(&self, block: &GrubEnv) -> Vec<Slot> {
        let Some(order) = block.get(ORDER) else { return Slot::ALL.to_vec() };
        let slot = |name: &str| Slot::ALL.into_iter().find(|slot| slot.of(&self.names) == name);
        order.split_whitespace().filter_map(slot).collect()
    }

    fn change(&self, changes: &[(String, String)]) -> Result<()> {
        let malformed = |source| self.block.malformed(source);
        let old = self.block.read(MAX_BLOCK)?;
        let mut block = GrubEnv::parse(&old).map_err(malformed)?;
        for (name, value) in changes {
            block.set(name, value).map_err(malformed)?;
        }
        let bytes = block.encode().map_err(malformed)?;
        if is_one_sector(&old, &bytes) {
            // Commit point: the one sector. GRUB writes over the block in its place, too, and so what
            // it reads does not hang on a journal, which it does not replay.
            return self.block.write_at(0, &bytes);
        }
        // Where the file is, not a link to it.
        let path = self.block.path();
        let path = path.canonicalize().map_err(Error::file("find", path))?;
        let folder = Dir::open(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let about = rustix::fs::statfs(folder.path());
        if about.is_ok_and(|about| u64::try_from(about.f_type) == Ok(FAT)) {
            // A rename could lose the name there. The block is padded, so that only its first sectors
            // change, one after the other.
            return self.block.write_at(0, &bytes);
        }
        // Commit point: the rename within. GRUB finds the blocks of the new file by its name.
        atomic_write(&folder, name, &bytes, 0o644)?;
        // For a reader that does not replay journals.
        flush::for_boot_loader(&folder)?;
        Ok(())
    }

    fn flags(&self, slot: Slot, ok: bool) -> [(String, String); 2] {
        let flag = if ok { "1" } else { "0" };
        [(self.ok(slot), flag.to_owned()), (self.tried(slot), "0".to_owned())]
    }
}

/// Whether two blocks differ within one sector only.
fn is_one_sector(old: &[u8], new: &[u8]) -> bool {
    let sectors = old.chunks(SECTOR).zip(new.chunks(SECTOR));
    old.len() == new.len() && sectors.filter(|(old, new)| old != new).count() <= 1
}

impl BootControl for GrubVariables {
    fn status(&self) -> Result<BootStatus> {
        let block = self.read()?;
        let order = self.order(&block);
        let active = order.iter().copied().find(|slot| self.may_start(&block, *slot));
        let slots = Slot::ALL.map(|slot| {
            let is_bootable = order.contains(&slot) && self.may_start(&block, slot);
            let tries_left = Some(u32::from(is_bootable));
            SlotStatus { is_bootable, is_successful: None, tries_left }
        });
        Ok(BootStatus { active, slots })
    }

    fn counting(&self) -> Counting {
        Counting { max_tries: 1, counts_successful: true }
    }

    fn set_active(&self, slot: Slot, _tries: Option<u32>) -> Result<()> {
        let [first, second] = [slot, slot.other()].map(|slot| slot.of(&self.names).as_str());
        let order = (ORDER.to_owned(), format!("{first} {second}"));
        let [ok, tried] = self.flags(slot, true);
        self.change(&[order, ok, tried])
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        self.change(&self.flags(slot, false))
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        self.change(&self.flags(slot, true))
    }
}
