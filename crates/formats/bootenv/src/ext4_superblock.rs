//! The superblock of ext4 after a power cut in the middle of its write.
//!
//! It is 1024 bytes, two sectors of the smallest disks, and has a checksum over all of them. When
//! only one sector of a write arrives, the checksum is wrong, and the kernel refuses to mount the
//! file system before it looks at the journal, from which the whole superblock would be restored.
//! Nothing that a mount relies on is lost: what differs between the two halves are counters and
//! times, and all that the layout of the file system hangs on never changes. So a checksum that is
//! right again is all that is missing, as if the file system had been made without checksums. That
//! it is a torn superblock and no other damage is shown by a backup, which has to name the same
//! layout.
//!
//! Source: the kernel's `Documentation/filesystems/ext4/super.rst`.

/// Where the first superblock is, in bytes.
const PLACE: u64 = 1024;
/// How large it is.
const SIZE: usize = 1024;
const MAGIC: (usize, [u8; 2]) = (0x38, [0x53, 0xef]);
const CHECKSUM: usize = 0x3fc;
/// `RO_COMPAT_METADATA_CSUM`.
const WITH_CHECKSUMS: u32 = 0x400;
/// `INCOMPAT_RECOVER`: the journal is to be replayed. The one feature that comes and goes.
const RECOVER: u32 = 0x4;
/// `s_jnl_backup_type`: 1 when there is a copy of what the journal's inode says.
const JOURNAL_COPY: usize = 0xfd;
/// The part of that copy that leads to its blocks: from, to.
const JOURNAL_ROOT: (usize, usize) = (0x10c, 0x148);
/// Blocks are 1 KiB to 64 KiB.
const MAX_LOG_BLOCK_SIZE: u32 = 6;
/// What never changes while a file system is in use: from, to.
const LAYOUT: [(usize, usize); 7] = [
    (0x00, 0x08),  // inodes, blocks
    (0x14, 0x2c),  // first data block, sizes of blocks, clusters and groups
    (0x4c, 0x50),  // revision
    (0x54, 0x5a),  // first inode, size of inodes
    (0x68, 0x78),  // UUID
    (0xe0, 0xe8),  // the journal's inode and device
    (0xfe, 0x100), // size of group descriptors
];

/// A superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ext4Superblock([u8; SIZE]);

impl Ext4Superblock {
    /// Where it is on the device, in bytes.
    pub const PLACE: u64 = PLACE;
    /// How many bytes it has.
    pub const SIZE: usize = SIZE;

    /// The first [`Self::SIZE`] of `bytes`, when they are one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; SIZE] = bytes.get(..SIZE)?.try_into().ok()?;
        let (at, magic) = MAGIC;
        (bytes[at..at + 2] == magic).then_some(Self(bytes))
    }

    /// It has a checksum, and that is wrong.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.number(0x64) & WITH_CHECKSUMS != 0 && self.number(CHECKSUM) != self.checksum()
    }

    /// How large a block is, in bytes.
    pub(crate) fn block_size(&self) -> Option<u64> {
        let log = self.number(0x18);
        (log <= MAX_LOG_BLOCK_SIZE).then(|| 1024_u64 << log)
    }

    /// The root of the tree of the journal's extents, of which the superblock has a copy.
    pub(crate) fn journal_root(&self) -> Option<&[u8]> {
        let (from, to) = JOURNAL_ROOT;
        (self.0[JOURNAL_COPY] == 1).then(|| &self.0[from..to])
    }

    /// Where the first backup is, in bytes. The file system may be too small to have it.
    #[must_use]
    pub fn backup_place(&self) -> Option<u64> {
        let block = self.block_size()?;
        let first = u64::from(self.number(0x14)) + u64::from(self.number(0x20));
        (self.number(0x20) > 0).then(|| first * block)
    }

    /// What to write in place of this one, which is damaged, when `backup` shows that it is whole
    /// but for the time of its parts.
    #[must_use]
    pub fn mended(&self, backup: &Self) -> Option<Self> {
        if backup.is_damaged() || !self.has_layout_of(backup) {
            return None;
        }
        let mut mended = self.clone();
        mended.0[CHECKSUM..].copy_from_slice(&self.checksum().to_le_bytes());
        Some(mended)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }

    fn has_layout_of(&self, other: &Self) -> bool {
        let same = LAYOUT.iter().all(|(from, to)| self.0[*from..*to] == other.0[*from..*to]);
        let incompatible = |one: &Self| one.number(0x60) & !RECOVER;
        same && incompatible(self) == incompatible(other)
    }

    fn checksum(&self) -> u32 {
        // The kernel starts from all ones and does not invert the end, as the usual form does.
        !crc32c::crc32c(&self.0[..CHECKSUM])
    }

    fn number(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// A file system of the real tool, with a change that comes with use.
    fn made(options: &[&str]) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = File::create_new(&path).unwrap();
        file.set_len(300 << 20).unwrap();
        let mut make = Command::new("mkfs.ext4");
        assert!(make.args(["-q", "-F"]).args(options).arg(&path).status().unwrap().success());
        let mut change = Command::new("tune2fs");
        let output = change.args(["-C", "7"]).arg(&path).output().unwrap();
        assert!(output.status.success());
        (folder, File::options().read(true).write(true).open(path).unwrap())
    }

    fn read(file: &File, place: u64) -> Ext4Superblock {
        let mut bytes = [0; SIZE];
        file.read_exact_at(&mut bytes, place).unwrap();
        Ext4Superblock::parse(&bytes).unwrap()
    }

    #[test]
    fn a_torn_one_is_mended_to_what_the_real_tools_take() {
        for options in [&["-b", "4096"], &["-b", "1024"]] {
            let (folder, file) = made(options);
            let whole = read(&file, PLACE);
            assert!(!whole.is_damaged(), "{options:?}");
            // The first sector of a later write: mounted 9 times, journal to be replayed.
            let mut torn = whole.clone();
            torn.0[0x34] = 9;
            assert!(torn.is_damaged());
            let backup = read(&file, torn.backup_place().unwrap());
            assert!(!backup.is_damaged());
            let mended = torn.mended(&backup).unwrap();
            assert!(!mended.is_damaged());
            file.write_all_at(mended.bytes(), PLACE).unwrap();
            let mut check = Command::new("e2fsck");
            let output =
                check.args(["-f", "-n"]).arg(folder.path().join("image")).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }

    #[test]
    fn other_damage_is_left_to_a_person() {
        let (_folder, file) = made(&["-b", "4096"]);
        let whole = read(&file, PLACE);
        let backup = read(&file, whole.backup_place().unwrap());
        for at in [0x00, 0x18, 0x28, 0x60, 0x68, 0xe0] {
            let mut bad = whole.clone();
            bad.0[at] ^= 0x10;
            assert_eq!(bad.mended(&backup), None, "{at:#x}");
        }
        let mut bad = backup.clone();
        bad.0[0x34] ^= 1;
        assert_eq!(whole.mended(&bad), None, "a damaged backup shows nothing");
    }

    #[test]
    fn without_checksums_nothing_is_damaged() {
        let (_folder, file) = made(&["-b", "4096", "-O", "^metadata_csum"]);
        let mut superblock = read(&file, PLACE);
        superblock.0[0x34] = 9;
        assert!(!superblock.is_damaged());
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), SIZE)) {
            let mut bytes = bytes;
            bytes[0x38..0x3a].copy_from_slice(&MAGIC.1);
            let superblock = Ext4Superblock::parse(&bytes).unwrap();
            let _ = (superblock.is_damaged(), superblock.backup_place());
            let _ = superblock.mended(&superblock);
        }
    }
}
