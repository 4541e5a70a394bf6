//! Extended attributes: their form, their table, and the filter of their names.
//!
//! ```text
//! of an inode   u32 filter, u8 number of shared ones, 7 zeroes;
//!               for each shared one: u32 place in the table / 4; then the others
//! an entry      u8 length of the name, u8 prefix, u16 length of the value, name without its
//!               prefix, value; filled up to a multiple of 4
//! ```

use std::collections::BTreeMap;

use super::nodes::{Inode, Xattr};

/// What stands before the attributes of an inode.
pub(super) const HEADER: u64 = 12;
/// Names by their first part: EROFS stores a number in its place.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];
/// `EROFS_XATTR_FILTER_SEED`.
const FILTER_SEED: u32 = 0x25BB_E08F;
/// More than this many of one inode are not taken from the table.
const MAX_SHARED: usize = 128;

/// The table of attributes that several inodes have.
#[derive(Default)]
pub(super) struct Shared {
    /// Its entries.
    pub(super) bytes: Vec<u8>,
}

/// Finds the attributes, name and value, that more than one inode has, and gives each a place in
/// the table.
pub(super) fn share(inodes: &mut [Inode]) -> Shared {
    // Sorted by name, then by the length of the value, then by its bytes; and taken from the end.
    let mut uses: BTreeMap<(&[u8], usize, &[u8]), u32> = BTreeMap::new();
    for xattr in inodes.iter().flat_map(|inode| &inode.xattrs) {
        *uses.entry((&xattr.name, xattr.value.len(), &xattr.value)).or_default() += 1;
    }
    let mut shared = Shared::default();
    let mut places: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, u64>> = BTreeMap::new();
    for ((name, _, value), _) in uses.into_iter().rev().filter(|(_, count)| *count > 1) {
        let of_name = places.entry(name.to_vec()).or_default();
        of_name.insert(value.to_vec(), shared.bytes.len() as u64);
        entry(name, value, &mut shared.bytes);
    }
    for inode in inodes {
        let mut left = MAX_SHARED;
        for xattr in &mut inode.xattrs {
            let of_name = places.get(&*xattr.name).filter(|_| left > 0);
            xattr.shared_at = of_name.and_then(|places| places.get(&xattr.value)).copied();
            left -= usize::from(xattr.shared_at.is_some());
        }
    }
    shared
}

/// The number that stands for the name's first part, and the rest of it.
pub(super) fn suffix(name: &[u8]) -> (u8, &[u8]) {
    let known = PREFIXES
        .iter()
        .find_map(|(prefix, number)| name.strip_prefix(*prefix).map(|rest| (*number, rest)));
    known.unwrap_or((0, name))
}

/// Whether any inode has an access control list.
pub(super) fn has_acl(inodes: &[Inode]) -> bool {
    let acls: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
    inodes.iter().flat_map(|inode| &inode.xattrs).any(|xattr| acls.contains(&&*xattr.name))
}

/// The bytes that an inode's attributes take beside it.
pub(super) fn len(xattrs: &[Xattr]) -> u64 {
    if xattrs.is_empty() {
        return 0;
    }
    let each = xattrs.iter().map(|xattr| {
        if xattr.shared_at.is_some() {
            return 4;
        }
        let len = 4 + suffix(&xattr.name).1.len() + xattr.value.len();
        len.next_multiple_of(4) as u64
    });
    HEADER + each.sum::<u64>()
}

/// Adds what stands beside an inode. `table_at` is where the table begins in its block.
pub(super) fn write(xattrs: &[Xattr], table_at: u64, out: &mut Vec<u8>) {
    if xattrs.is_empty() {
        return;
    }
    let shared: Vec<u64> = xattrs.iter().filter_map(|xattr| xattr.shared_at).collect();
    out.extend_from_slice(&filter(xattrs).to_le_bytes());
    // At most MAX_SHARED, and the table is far below 2^34 bytes.
    out.push(u8::try_from(shared.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(&[0; 7]);
    for place in shared {
        let number = u32::try_from((table_at + place) / 4).unwrap_or(u32::MAX);
        out.extend_from_slice(&number.to_le_bytes());
    }
    for xattr in xattrs.iter().filter(|xattr| xattr.shared_at.is_none()) {
        entry(&xattr.name, &xattr.value, out);
    }
}

/// Adds one entry. Lengths were checked when the inode was made.
fn entry(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let (prefix, rest) = suffix(name);
    let begin = out.len();
    out.push(u8::try_from(rest.len()).unwrap_or(u8::MAX));
    out.push(prefix);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(rest);
    out.extend_from_slice(value);
    let len = (out.len() - begin).next_multiple_of(4);
    out.resize(begin + len, 0);
}

/// A Bloom filter whose set bits say "no attribute here has a name that hashes to this bit".
fn filter(xattrs: &[Xattr]) -> u32 {
    xattrs.iter().fold(u32::MAX, |filter, xattr| {
        let (prefix, rest) = suffix(&xattr.name);
        filter & !(1 << (xxh32(rest, FILTER_SEED + u32::from(prefix)) % 32))
    })
}

/// XXH32, as the specification of xxHash 0.1.1 describes it.
fn xxh32(data: &[u8], seed: u32) -> u32 {
    const P1: u32 = 0x9E37_79B1;
    const P2: u32 = 0x85EB_CA77;
    const P3: u32 = 0xC2B2_AE3D;
    const P4: u32 = 0x27D4_EB2F;
    const P5: u32 = 0x1656_67B1;
    let word = |four: &[u8]| four.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let (stripes, rest) = data.split_at(data.len() - data.len() % 16);
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(P5)
    } else {
        let start = seed.wrapping_add(P1);
        let mut lanes =
            [start.wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        for stripe in stripes.chunks_exact(16) {
            for (lane, four) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                let mixed = lane.wrapping_add(word(four).wrapping_mul(P2));
                *lane = mixed.rotate_left(13).wrapping_mul(P1);
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        turned.fold(0, u32::wrapping_add)
    };
    // Names have at most 255 bytes; the algorithm takes the length modulo 2^32.
    hash = hash.wrapping_add(u32::try_from(data.len()).unwrap_or_default());
    let words = rest.chunks_exact(4);
    let tail = words.remainder();
    for four in words {
        hash = hash.wrapping_add(word(four).wrapping_mul(P3)).rotate_left(17).wrapping_mul(P4);
    }
    for byte in tail {
        hash =
            hash.wrapping_add(u32::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(P2);
    hash = (hash ^ hash >> 13).wrapping_mul(P3);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::xxh32;

    #[test]
    fn hashes_as_published() {
        assert_eq!(xxh32(b"", 0), 0x02CC_5D05);
        assert_eq!(xxh32(b"a", 0), 0x550D_7456);
        assert_eq!(xxh32(b"abc", 0), 0x32D1_53FF);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition", 0), 0xE229_3B2F);
    }
}
