//! The journal of ext4 after a power cut in the middle of a commit's write.
//!
//! The block that ends a transaction has a checksum over all of its 4096 bytes, although only the first
//! few say anything and the rest is zero. When the first sector of it arrives and the others do not,
//! behind it lies what the journal had there before, and the checksum is wrong. Kernels before Linux 6.10
//! take that for damage and refuse to mount the file system; later ones take the transaction for ended, since
//! all that belongs to it was durable before this block was written. So zeros are all that is missing.
//!
//! Source: the kernel's `Documentation/filesystems/ext4/journal.rst`; for where the journal is, `super.rst`
//! (`s_jnl_blocks`) and `ifork.rst`.

use crate::ext4_superblock::Ext4Superblock;

const MAGIC: u32 = 0xc03b_3998;
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPERBLOCK: u32 = 4;
const REVOCATION: u32 = 5;
/// What all blocks but those of content begin with: magic, kind, transaction.
const HEAD: usize = 12;
/// What of a commit block is not zero.
const COMMIT_HEAD: usize = 64;
/// Where its checksum is.
const COMMIT_CHECKSUM: usize = 0x10;
/// `JBD2_FEATURE_INCOMPAT_64BIT`.
const WIDE: u32 = 0x2;
/// `JBD2_FEATURE_INCOMPAT_CSUM_V2`.
const CHECKSUMS_2: u32 = 0x8;
/// `JBD2_FEATURE_INCOMPAT_CSUM_V3`.
const CHECKSUMS_3: u32 = 0x10;
/// `JBD2_FEATURE_INCOMPAT_FAST_COMMIT`.
const FAST_COMMITS: u32 = 0x20;
/// Blocks for these when the journal does not say how many.
const USUAL_FAST_BLOCKS: u32 = 256;
/// A tag without the UUID of its file system, and the last one of a block.
const SAME_UUID: u32 = 2;
const LAST_TAG: u32 = 8;
/// The magic of a node of an extent tree, and how large its head and its entries are.
const NODE: u16 = 0xf30a;
const ENTRY: usize = 12;
/// A tree of extents is never deeper.
const MAX_DEPTH: u16 = 5;
/// More nodes than the tree of a journal ever has.
const MAX_NODES: usize = 64;

/// The end of a transaction of which the disk has only the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornCommit {
    place: u64,
    bytes: Vec<u8>,
}

impl TornCommit {
    /// Looks for it in the journal that is to be replayed. `read` fills bytes from a place of the device
    /// that the file system is on. `None` also where the journal is on another device, or is a file without
    /// extents, or has other damage.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn find<E>(
        superblock: &Ext4Superblock,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let Some(blocks) = Blocks::of(superblock, &mut read)? else { return Ok(None) };
        let mut block = vec![0; blocks.size];
        let mut fill = |number: u32, block: &mut [u8]| {
            let place = blocks.place(number);
            place.map(|place| read(place, block).map(|()| place)).transpose()
        };
        if fill(0, &mut block)?.is_none() {
            return Ok(None);
        }
        let Some(journal) = Journal::parse(&block) else { return Ok(None) };
        let (mut number, mut transaction) = (journal.start, journal.transaction);
        let mut seen = 0;
        while seen < journal.length() {
            let Some(place) = fill(number, &mut block)? else { return Ok(None) };
            if number_at(&block, 0) != MAGIC || number_at(&block, 8) != transaction {
                return Ok(None);
            }
            let step = match number_at(&block, 4) {
                DESCRIPTOR => 1 + journal.tags(&block),
                REVOCATION => 1,
                COMMIT if journal.is_whole(&block) => {
                    transaction = transaction.wrapping_add(1);
                    1
                }
                COMMIT => {
                    block.get_mut(COMMIT_HEAD..).unwrap_or_default().fill(0);
                    let torn = journal.is_whole(&block);
                    return Ok(torn.then_some(Self { place, bytes: block }));
                }
                _ => return Ok(None),
            };
            seen = seen.saturating_add(step);
            number = journal.after(number, step);
        }
        Ok(None)
    }

    /// Where to write [`Self::bytes`], in bytes from the beginning of the device.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.place
    }

    /// The whole block.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What the journal's own superblock says.
struct Journal {
    /// The first block of transactions, and the one behind the last.
    first: u32,
    end: u32,
    /// Where the oldest transaction begins, and its number.
    start: u32,
    transaction: u32,
    features: u32,
    /// What checksums begin with.
    seed: u32,
}

impl Journal {
    /// `None` when nothing is to be replayed, or commits have no checksums.
    fn parse(block: &[u8]) -> Option<Self> {
        let number = |at| number_at(block, at);
        let features = number(0x28);
        let has_checksums = features & (CHECKSUMS_2 | CHECKSUMS_3) != 0;
        if (number(0), number(4)) != (MAGIC, SUPERBLOCK) || !has_checksums {
            return None;
        }
        let fast = match number(0x54) {
            _ if features & FAST_COMMITS == 0 => 0,
            0 => USUAL_FAST_BLOCKS,
            count => count,
        };
        let journal = Self {
            first: number(0x14),
            end: number(0x10).checked_sub(fast)?,
            start: number(0x1c),
            transaction: number(0x18),
            features,
            seed: checksum(u32::MAX, block.get(0x30..0x40)?),
        };
        (1..journal.end).contains(&journal.first).then_some(())?;
        (journal.first..journal.end).contains(&journal.start).then_some(journal)
    }

    fn length(&self) -> u32 {
        self.end - self.first
    }

    /// The block so many behind another: behind the last is the first.
    fn after(&self, number: u32, step: u32) -> u32 {
        let at = u64::from(number - self.first) + u64::from(step);
        let at = at % u64::from(self.length());
        self.first + u32::try_from(at).unwrap_or(0)
    }

    /// How many blocks of content follow a descriptor.
    fn tags(&self, block: &[u8]) -> u32 {
        let has = |feature| self.features & feature != 0;
        let size = if has(CHECKSUMS_3) { 16 } else { 10 + if has(WIDE) { 4 } else { 0 } };
        // A checksum of the block is at its end.
        let end = block.len().saturating_sub(4);
        let (mut at, mut count) = (HEAD, 0);
        while at + size <= end {
            let flags = number_at(block, at + 4) & 0xffff;
            count += 1;
            at += size + if flags & SAME_UUID == 0 { 16 } else { 0 };
            if flags & LAST_TAG != 0 {
                break;
            }
        }
        count
    }

    fn is_whole(&self, commit: &[u8]) -> bool {
        let (Some(head), Some(tail)) =
            (commit.get(..COMMIT_CHECKSUM), commit.get(COMMIT_CHECKSUM + 4..))
        else {
            return false;
        };
        let without = checksum(checksum(checksum(self.seed, head), &[0; 4]), tail);
        without == number_at(commit, COMMIT_CHECKSUM)
    }
}

/// Which blocks of the device the journal consists of.
struct Blocks {
    /// Of one, in bytes.
    size: usize,
    /// First block in the journal, how many, first on the device.
    extents: Vec<(u32, u32, u64)>,
}

impl Blocks {
    fn of<E>(
        superblock: &Ext4Superblock,
        read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let (Some(size), Some(root)) = (superblock.block_size(), superblock.journal_root()) else {
            return Ok(None);
        };
        let Ok(in_memory) = usize::try_from(size) else { return Ok(None) };
        let mut blocks = Self { size: in_memory, extents: Vec::new() };
        let Some(mut waiting) = blocks.take(root, MAX_DEPTH) else { return Ok(None) };
        let mut node = vec![0; in_memory];
        for _ in 0..MAX_NODES {
            let Some((block, limit)) = waiting.pop() else { return Ok(Some(blocks)) };
            let Some(place) = block.checked_mul(size) else { return Ok(None) };
            read(place, &mut node)?;
            let Some(below) = blocks.take(&node, limit) else { return Ok(None) };
            waiting.extend(below);
        }
        Ok(None)
    }

    /// Takes the extents of a node; gives the blocks of those below it, each with how deep it may be.
    fn take(&mut self, node: &[u8], limit: u16) -> Option<Vec<(u64, u16)>> {
        let half = |at: usize| Some(u16::from_le_bytes(node.get(at..at + 2)?.try_into().ok()?));
        let whole = |at: usize| Some(u32::from_le_bytes(node.get(at..at + 4)?.try_into().ok()?));
        let (count, depth) = (usize::from(half(2)?), half(6)?);
        (half(0)? == NODE && depth <= limit).then_some(())?;
        let mut below = Vec::new();
        for at in (1..=count).map(|index| index * ENTRY) {
            if depth == 0 {
                let start = u64::from(half(at + 6)?) << 32 | u64::from(whole(at + 8)?);
                self.extents.push((whole(at)?, u32::from(half(at + 4)?), start));
            } else {
                let child = u64::from(half(at + 8)?) << 32 | u64::from(whole(at + 4)?);
                below.push((child, depth - 1));
            }
        }
        Some(below)
    }

    /// Where a block of the journal is on the device, in bytes.
    fn place(&self, number: u32) -> Option<u64> {
        let is_in = |(first, count, _): &&(u32, u32, u64)| {
            number.checked_sub(*first).is_some_and(|at| at < *count)
        };
        let (first, _, start) = self.extents.iter().find(is_in)?;
        let block = start.checked_add(u64::from(number - first))?;
        block.checked_mul(u64::try_from(self.size).ok()?)
    }
}

/// The journal's numbers have their highest byte first.
fn number_at(block: &[u8], at: usize) -> u32 {
    block.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The kernel does not invert the beginning and the end, as the usual form does.
fn checksum(begin: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!begin, bytes)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "files of a test need not be durable")]
mod tests {
    use std::convert::Infallible;
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    use proptest::prelude::*;

    use super::*;

    /// The block of the file system that the journal's transaction brings.
    const BLOCK: u64 = 7000;

    /// A file system of the real tool with one transaction in its journal.
    fn made(options: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = File::create_new(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        let mut make = Command::new("mkfs.ext4");
        assert!(make.args(["-q", "-F"]).args(options).arg(&path).status().unwrap().success());
        let content = folder.path().join("content");
        std::fs::write(&content, vec![b'N'; 4096]).unwrap();
        let script = folder.path().join("script");
        let write = format!("jo -c -v 3\njw -b {BLOCK} {}\njc\n", content.display());
        std::fs::write(&script, write).unwrap();
        let mut change = Command::new("debugfs");
        let output = change.args(["-w", "-f"]).arg(&script).arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (folder, path)
    }

    fn find(path: &Path) -> Option<TornCommit> {
        let file = File::open(path).unwrap();
        let mut superblock = [0; Ext4Superblock::SIZE];
        file.read_exact_at(&mut superblock, Ext4Superblock::PLACE).unwrap();
        let superblock = Ext4Superblock::parse(&superblock).unwrap();
        TornCommit::find(&superblock, |place, bytes| file.read_exact_at(bytes, place)).unwrap()
    }

    /// Leaves so many bytes of the commit, with others behind them.
    fn tear(path: &Path, length: usize) -> u64 {
        let mut image = std::fs::read(path).unwrap();
        let head = [MAGIC.to_be_bytes(), COMMIT.to_be_bytes()].concat();
        let mut at = (0..image.len()).step_by(1024);
        let at = at.find(|at| image[*at..].starts_with(&head)).unwrap();
        image[at + length..at + 1024].fill(b'O');
        std::fs::write(path, image).unwrap();
        u64::try_from(at).unwrap()
    }

    fn check(path: &Path) -> Output {
        Command::new("e2fsck").args(["-f", "-y"]).arg(path).output().unwrap()
    }

    fn has_content(path: &Path, size: u64) -> bool {
        let mut block = vec![0; usize::try_from(size).unwrap()];
        File::open(path).unwrap().read_exact_at(&mut block, BLOCK * size).unwrap();
        block.iter().all(|byte| *byte == b'N')
    }

    #[test]
    fn a_torn_commit_is_completed_to_what_the_real_tools_replay() {
        let kinds: [(&[&str], u64); 3] = [
            (&["-b", "4096"], 4096),
            (&["-b", "1024", "-O", "^64bit"], 1024),
            (&["-b", "4096", "-O", "fast_commit"], 4096),
        ];
        for (options, size) in kinds {
            let (_folder, path) = made(options);
            assert_eq!(find(&path), None, "{options:?}: it is whole");
            let place = tear(&path, 512);
            // What it ended is lost to the real tool.
            let torn = path.with_extension("torn");
            std::fs::copy(&path, &torn).unwrap();
            let output = check(&torn);
            assert!(String::from_utf8_lossy(&output.stdout).contains("was corrupt"), "{output:?}");
            assert!(!has_content(&torn, size), "{options:?}");

            let found = find(&path).unwrap();
            assert_eq!(found.place(), place, "{options:?}");
            let file = File::options().write(true).open(&path).unwrap();
            file.write_all_at(found.bytes(), found.place()).unwrap();
            assert_eq!(find(&path), None, "{options:?}");
            let output = check(&path);
            assert!(!String::from_utf8_lossy(&output.stdout).contains("was corrupt"), "{output:?}");
            assert!(has_content(&path, size), "{options:?}");
        }
    }

    #[test]
    fn other_damage_is_left_as_it_is() {
        let (_folder, path) = made(&["-b", "4096"]);
        let place = tear(&path, 512);
        let file = File::options().write(true).open(&path).unwrap();
        // A byte of what arrived, too: its time.
        file.write_all_at(b"X", place + 0x31).unwrap();
        assert_eq!(find(&path), None);
    }

    #[test]
    fn a_journal_without_checksums_has_nothing_torn() {
        let (_folder, path) = made(&["-b", "4096"]);
        tear(&path, 512);
        let mut image = std::fs::read(&path).unwrap();
        let head = [MAGIC.to_be_bytes(), SUPERBLOCK.to_be_bytes()].concat();
        let at = (0..image.len()).step_by(4096).find(|at| image[*at..].starts_with(&head)).unwrap();
        image[at + 0x2b] &= !0x18;
        std::fs::write(&path, image).unwrap();
        assert_eq!(find(&path), None);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            places in proptest::collection::vec((0_usize..8192, any::<u8>()), 0..40),
            depth in 0_u8..3,
        ) {
            // A superblock with blocks of 1 KiB whose journal is all of the image.
            let mut image = vec![0; 8192];
            image[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
            image[1024 + 0xfd] = 1;
            image[1024 + 0x10c..1024 + 0x114].copy_from_slice(&[0x0a, 0xf3, 1, 0, 4, 0, depth, 0]);
            image[1024 + 0x11c] = 8;
            image[..8].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4]);
            image[0x10..0x20].copy_from_slice(&[0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
            image[0x2b] = 0x10;
            image[2048..2060].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 1, 0, 0, 0, 1]);
            for (place, byte) in places {
                image[place] = byte;
            }
            if let Some(superblock) = Ext4Superblock::parse(&image[1024..]) {
                let _ = TornCommit::find(&superblock, |place, bytes| {
                    let from = usize::try_from(place).unwrap_or(usize::MAX).min(image.len());
                    let length = bytes.len().min(image.len() - from);
                    bytes[..length].copy_from_slice(&image[from..from + length]);
                    Ok::<(), Infallible>(())
                });
            }
        }
    }
}
