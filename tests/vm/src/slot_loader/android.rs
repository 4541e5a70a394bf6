//! The part of Android's boot loader, which no distribution has for such a machine: the slot of the
//! highest priority that is successful or has tries left, of which one is taken. (AOSP,
//! `bootloader_message.h`, `struct bootloader_control`.)

use std::fs;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, bail, ensure};

use crate::DiskFile;

/// Where the structure is in the partition `misc`.
const OFFSET: u64 = 2048;
const LEN: usize = 32;
/// Where the slots are in it, and its checksum.
const SLOTS: [(usize, &str); 2] = [(12, "a"), (14, "b")];
const CRC: usize = 28;
const MAGIC: u32 = 0x4241_4342;
const SUCCESSFUL: u8 = 0x80;
const ONE_TRY: u8 = 0x10;

fn priority(slot: u8) -> u8 {
    slot & 0xf
}

fn tries(slot: u8) -> u8 {
    slot >> 4 & 7
}

/// Slot A works, B is never to be started.
pub(super) fn write(disk: &DiskFile) -> Result<()> {
    let mut control = [0; LEN];
    control[..2].copy_from_slice(b"_a");
    control[4..8].copy_from_slice(&MAGIC.to_le_bytes());
    control[8..10].copy_from_slice(&[1, 2]);
    control[12] = SUCCESSFUL | 0xf;
    put(disk, &mut control)
}

fn put(disk: &DiskFile, control: &mut [u8; LEN]) -> Result<()> {
    let crc = crc32(&control[..CRC]).to_le_bytes();
    control[CRC..].copy_from_slice(&crc);
    let file = fs::File::options().write(true).open(&disk.path)?;
    Ok(file.write_all_at(control, disk.part("control")?.offset + OFFSET)?)
}

pub(super) fn choose(disk: &DiskFile) -> Result<&'static str> {
    let mut control = [0; LEN];
    let file = fs::File::open(&disk.path)?;
    file.read_exact_at(&mut control, disk.part("control")?.offset + OFFSET)?;
    ensure!(control[4..8] == MAGIC.to_le_bytes(), "misc has no boot control");
    ensure!(control[CRC..] == crc32(&control[..CRC]).to_le_bytes(), "misc is damaged");
    let can = |slot: u8| priority(slot) > 0 && (slot & SUCCESSFUL != 0 || tries(slot) > 0);
    let slots = SLOTS.into_iter().filter(|(at, _)| can(control[*at]));
    let best = slots.rev().max_by_key(|(at, _)| priority(control[*at]));
    let Some((at, name)) = best else { bail!("misc has no slot that may be started") };
    if control[at] & SUCCESSFUL == 0 {
        control[at] -= ONE_TRY;
        put(disk, &mut control)?;
    }
    Ok(name)
}

/// The checksum of zlib and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), fold))
}
