//! What `veritysetup` writes before the hashes (cryptsetup, "dm-verity on-disk format").
//!
//! ```text
//!   0  "verity\0\0"     8  version 1, kind 1 (4 bytes each)    16  uuid, 16 bytes
//!  32  algorithm, 32   64  size of data and of hash blocks (4 each)
//!  72  data blocks, 8  80  size of the salt, 2                 88  salt, 256
//! ```

/// The head of a tree of hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    /// Of the tree.
    pub(super) uuid: [u8; 16],
    /// The hash, as the kernel calls it.
    pub(super) algorithm: String,
    /// The sizes of blocks, in bytes.
    pub(super) data_block: u32,
    pub(super) hash_block: u32,
    /// How many blocks of data there are.
    pub(super) blocks: u64,
    /// What is hashed before each block.
    pub(super) salt: Vec<u8>,
}

const SIGNATURE: &[u8] = b"verity\0\0";
const MAX_SALT: usize = 256;
const SIZES: std::ops::RangeInclusive<u32> = 512..=65536;

impl Superblock {
    /// How long it is, in bytes.
    pub(super) const SIZE: usize = 512;

    /// Reads it, or says why it is none.
    pub(super) fn parse(bytes: &[u8; Self::SIZE]) -> Result<Self, &'static str> {
        let four = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if &bytes[..8] != SIGNATURE {
            return Err("there is no superblock where they should begin");
        }
        if (four(8), four(12)) != (1, 1) {
            return Err("the superblock is of another version");
        }
        let name = bytes[32..64].split(|byte| *byte == 0).next().unwrap_or_default();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.iter().all(is_name) {
            return Err("the superblock names no algorithm");
        }
        let (data_block, hash_block) = (four(64), four(68));
        let is_size = |size: u32| size.is_power_of_two() && SIZES.contains(&size);
        if !is_size(data_block) || !is_size(hash_block) {
            return Err("the sizes of blocks are none");
        }
        let blocks = u64::from(four(72)) | u64::from(four(76)) << 32;
        if blocks == 0 || blocks.checked_mul(u64::from(data_block)).is_none() {
            return Err("the number of blocks is none");
        }
        let salt = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        if salt > MAX_SALT {
            return Err("the salt is too long");
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            uuid,
            algorithm: String::from_utf8_lossy(name).into_owned(),
            data_block,
            hash_block,
            blocks,
            salt: bytes[88..88 + salt].to_vec(),
        })
    }

    /// The first block of hashes on a device whose superblock is at this byte.
    pub(super) fn first_block(&self, offset: u64) -> u64 {
        offset.saturating_add(Self::SIZE as u64).div_ceil(u64::from(self.hash_block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut [u8; 512])) -> Result<Superblock, &'static str> {
        let mut bytes = [0; 512];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[8] = 1;
        bytes[12] = 1;
        bytes[32..38].copy_from_slice(b"sha256");
        bytes[65] = 0x10;
        bytes[69] = 0x10;
        bytes[72] = 9;
        bytes[80] = 2;
        bytes[88] = 7;
        change(&mut bytes);
        Superblock::parse(&bytes)
    }

    #[test]
    fn a_superblock_is_read_or_refused() {
        let good = made(|_| ()).unwrap();
        assert_eq!(
            (good.algorithm.as_str(), good.blocks, &good.salt[..]),
            ("sha256", 9, &[7, 0][..])
        );
        assert_eq!((good.first_block(0), good.first_block(8192)), (1, 3));
        for (words, at, byte) in [
            ("there is no superblock", 0, 0),
            ("another version", 12, 0),
            ("no algorithm", 33, b' '),
            ("sizes of blocks", 64, 1),
            ("number of blocks", 72, 0),
            ("number of blocks", 79, 0xff),
            ("salt is too long", 81, 2),
        ] {
            let refused = made(|bytes| bytes[at] = byte).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
