//! The bytes of the image, one part after the other.

use std::io::Write;

use super::layout::{DIRENT_LEN, Layout, chunk_bits, chunk_format, split};
use super::nodes::{Content, Inode};
use super::{BLOCK, SUPERBLOCK_AT, SUPERBLOCK_LEN, xattrs};
use crate::Error;

/// `LCFS_EROFS_MAGIC`.
const COMPOSEFS_MAGIC: u32 = 0xD078_629A;
/// The version of the header. That of the image, which follows the flags, is 0.
const COMPOSEFS_VERSION: u32 = 1;
/// The tree has access control lists: it must be mounted with them.
const FLAG_ACL: u32 = 1;
/// `EROFS_SUPER_MAGIC_V1`.
const EROFS_MAGIC: u32 = 0xE0F5_E1E2;
/// `EROFS_FEATURE_COMPAT_MTIME | EROFS_FEATURE_COMPAT_XATTR_FILTER`.
const FEATURES: u32 = 2 | 4;
const BLOCK_BITS: u8 = 12;

/// How the content of an inode is stored.
const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2;
const CHUNK_BASED: u16 = 4;
/// The chunk has no data here.
const HOLE: u32 = u32::MAX;

/// Writes the whole image.
pub(super) fn image(
    inodes: &[Inode],
    layout: &Layout,
    output: &mut dyn Write,
) -> Result<(), Error> {
    let mut out = Vec::new();
    header(inodes, &mut out);
    superblock(inodes, layout, &mut out)?;
    output.write_all(&out)?;
    let mut at = out.len() as u64;
    for (number, inode) in inodes.iter().enumerate() {
        out.clear();
        pad(&mut out, inode.place.at.saturating_sub(at));
        write_inode(inodes, number, layout, &mut out)?;
        output.write_all(&out)?;
        at += out.len() as u64;
    }
    out.clear();
    pad(&mut out, layout.inodes_end.saturating_sub(at));
    out.extend_from_slice(&layout.shared.bytes);
    at += out.len() as u64;
    pad(&mut out, layout.blocks_at.saturating_sub(at));
    output.write_all(&out)?;
    for inode in inodes.iter().filter(|inode| inode.place.blocks > 0) {
        let Content::Directory(names) = &inode.content else { continue };
        let in_blocks = usize::try_from(inode.place.blocks).map_err(|_| Error::TooLarge)?;
        for run in split(names).into_iter().take(in_blocks) {
            out.clear();
            dirents(inodes, run, &mut out)?;
            let block = out.len() as u64;
            pad(&mut out, BLOCK.saturating_sub(block));
            output.write_all(&out)?;
        }
    }
    Ok(())
}

/// `struct lcfs_erofs_header_s`, and zeroes up to the superblock.
fn header(inodes: &[Inode], out: &mut Vec<u8>) {
    let flags = if xattrs::has_acl(inodes) { FLAG_ACL } else { 0 };
    for word in [COMPOSEFS_MAGIC, COMPOSEFS_VERSION, flags] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let written = out.len() as u64;
    pad(out, SUPERBLOCK_AT - written);
}

/// `struct erofs_super_block`: magic, checksum, features, block size, root, inodes, time, blocks,
/// where inodes and shared xattrs are; then zeroes.
fn superblock(inodes: &[Inode], layout: &Layout, out: &mut Vec<u8>) -> Result<(), Error> {
    let begin = out.len() as u64;
    let root = inodes.first().map_or(0, |root| root.place.number());
    let root = u16::try_from(root).map_err(|_| Error::TooLarge)?;
    let table = u32::try_from(layout.inodes_end / BLOCK).map_err(|_| Error::TooLarge)?;
    out.extend_from_slice(&EROFS_MAGIC.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&FEATURES.to_le_bytes());
    out.extend_from_slice(&[BLOCK_BITS, 0]);
    out.extend_from_slice(&root.to_le_bytes());
    out.extend_from_slice(&(inodes.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&layout.block_count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&table.to_le_bytes());
    let written = out.len() as u64 - begin;
    pad(out, SUPERBLOCK_LEN - written);
    Ok(())
}

/// An inode, its xattrs and its tail.
fn write_inode(
    inodes: &[Inode],
    number: usize,
    layout: &Layout,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let inode = &inodes[number];
    let number = u32::try_from(number).map_err(|_| Error::TooLarge)?;
    let xattr_len = xattrs::len(&inode.xattrs);
    let xattr_count = xattr_len.checked_sub(xattrs::HEADER).map_or(0, |rest| rest / 4 + 1);
    let xattr_count = u16::try_from(xattr_count).map_err(|_| Error::TooLarge)?;
    let (stored, union) = match &inode.content {
        Content::File(size @ 1..) => (CHUNK_BASED, chunk_format(*size)),
        _ if inode.place.tail > 0 => (FLAT_INLINE, first_block(inode)?),
        _ => (FLAT_PLAIN, first_block(inode)?),
    };
    let form = stored << 1 | u16::from(!inode.place.compact);
    for half in [form, xattr_count, inode.mode] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    if inode.place.compact {
        compact(inode, (number, union), out)?;
    } else {
        extended(inode, (number, union), out);
    }
    xattrs::write(&inode.xattrs, layout.inodes_end % BLOCK, out);
    match &inode.content {
        Content::Directory(names) if inode.place.tail > 0 => {
            let last = split(names).pop().unwrap_or_default();
            dirents(inodes, last, out)?;
        }
        Content::Symlink(target) => out.extend_from_slice(target),
        Content::File(size @ 1..) => {
            for _ in 0..size.div_ceil(1 << chunk_bits(*size)) {
                out.extend_from_slice(&HOLE.to_le_bytes());
            }
        }
        _ => {}
    }
    Ok(())
}

fn first_block(inode: &Inode) -> Result<u32, Error> {
    u32::try_from(inode.place.first_block).map_err(|_| Error::TooLarge)
}

/// The rest of `struct erofs_inode_compact`: links, size, blocks, number, owner.
fn compact(inode: &Inode, (number, union): (u32, u32), out: &mut Vec<u8>) -> Result<(), Error> {
    let half = |value: u32| u16::try_from(value).map_err(|_| Error::TooLarge);
    let size = u32::try_from(inode.size()).map_err(|_| Error::TooLarge)?;
    out.extend_from_slice(&half(inode.links)?.to_le_bytes());
    for word in [size, 0, union, number] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&half(inode.uid)?.to_le_bytes());
    out.extend_from_slice(&half(inode.gid)?.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

/// The rest of `struct erofs_inode_extended`: size, blocks, number, owner, time 0, links.
fn extended(inode: &Inode, (number, union): (u32, u32), out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&inode.size().to_le_bytes());
    for word in [union, number, inode.uid, inode.gid] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&inode.links.to_le_bytes());
    out.extend_from_slice(&[0; 16]);
}

/// `struct erofs_dirent` for each name, then the names. What they fill is at most one block.
fn dirents(inodes: &[Inode], names: &[(Vec<u8>, usize)], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut name_at = names.len() as u64 * DIRENT_LEN;
    for (name, target) in names {
        let target = &inodes[*target];
        let kind = match target.content {
            Content::File(_) => 1,
            Content::Directory(_) => 2,
            Content::Whiteout => 3,
            Content::Symlink(_) => 7,
        };
        out.extend_from_slice(&target.place.number().to_le_bytes());
        let offset = u16::try_from(name_at).map_err(|_| Error::TooLarge)?;
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&[kind, 0]);
        name_at += name.len() as u64;
    }
    for (name, _) in names {
        out.extend_from_slice(name);
    }
    Ok(())
}

fn pad(out: &mut Vec<u8>, zeroes: u64) {
    // Never more than a block.
    out.resize(out.len() + usize::try_from(zeroes).unwrap_or_default(), 0);
}
