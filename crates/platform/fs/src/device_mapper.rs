//! Device-mapper: a block device that the kernel makes of others.
//!
//! A request is a `struct dm_ioctl` with what belongs to it behind (Linux, `uapi/linux/dm-ioctl.h`):
//!
//! ```text
//!   0  version, 3 numbers   12  length of the message   16  where the targets begin
//!  20  targets              28  flags                   40  the device, 8 bytes
//!  48  name, 128 bytes     176  uuid, 129 bytes        312  targets:
//!     first sector, sectors (8 bytes each), status, length (4 each), kind (16), parameters
//! ```

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::{Error, Result, sys};

const CONTROL: &str = "/dev/mapper/control";
const VERSION: [u32; 3] = [4, 0, 0];
const HEAD: usize = 312;
const TARGET: usize = 40;
const ALIGNMENT: usize = 8;
const READ_ONLY: u32 = 1;

const CREATE: u8 = 3;
const REMOVE: u8 = 4;
/// Of a device that does not run yet: runs it.
const SUSPEND: u8 = 6;
const LOAD: u8 = 9;

const FLAGS_AT: usize = 28;
const DEVICE_AT: usize = 40;
const NAME: std::ops::Range<usize> = 48..176;
const UUID: std::ops::Range<usize> = 176..305;
const KIND: std::ops::Range<usize> = HEAD + 24..HEAD + TARGET;

/// What a device is made of: one target from its first sector to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The kind, such as `verity`.
    pub kind: &'a str,
    /// How large the device is, in sectors of 512 bytes.
    pub sectors: u64,
    /// What the kind wants to know.
    pub parameters: &'a str,
}

/// Makes a read-only device, and gives its node. Name and `uuid` are for whoever lists devices, and no
/// other device may have them.
///
/// # Errors
/// When the kernel has no device-mapper, or does not take the target; it says why in its log.
pub fn create_read_only(name: &str, uuid: &str, target: Target<'_>) -> Result<PathBuf> {
    let control = OpenOptions::new()
        .read(true)
        .write(true)
        .open(CONTROL)
        .map_err(|error| Error::new("open", CONTROL, error))?;
    let failed = |operation| {
        let path = PathBuf::from(format!("/dev/mapper/{name}"));
        move |errno: Errno| Error::new(operation, path, errno.into())
    };
    let mut create = message(name, uuid, None).map_err(failed("name"))?;
    sys::device_mapper(control.as_fd(), CREATE, &mut create).map_err(failed("create"))?;
    let started = start(&control, name, target).map_err(failed("set up"));
    if started.is_err() {
        // Nobody has it open yet. Why it cannot be set up says more than why it stays.
        let remove = message(name, "", None);
        let _ = remove.and_then(|mut it| sys::device_mapper(control.as_fd(), REMOVE, &mut it));
    }
    started.map(|()| PathBuf::from(format!("/dev/dm-{}", number(&create))))
}

fn start(control: &File, name: &str, target: Target<'_>) -> rustix::io::Result<()> {
    let mut load = message(name, "", Some(target))?;
    sys::device_mapper(control.as_fd(), LOAD, &mut load)?;
    let mut run = message(name, "", None)?;
    sys::device_mapper(control.as_fd(), SUSPEND, &mut run)
}

/// Which of device-mapper's devices an answer is about: the minor number, in the kernel's own encoding.
fn number(answer: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&answer[DEVICE_AT..DEVICE_AT + 8]);
    let device = u64::from_ne_bytes(bytes);
    device & 0xff | device >> 12 & 0xfff_ff00
}

fn message(name: &str, uuid: &str, target: Option<Target<'_>>) -> rustix::io::Result<Vec<u8>> {
    let parameters = target.map_or(0, |target| TARGET + target.parameters.len() + 1);
    let length = (HEAD + parameters).next_multiple_of(ALIGNMENT);
    let mut message = vec![0; length];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    for (index, number) in VERSION.iter().enumerate() {
        put(4 * index, &number.to_ne_bytes());
    }
    put(12, &u32::try_from(length).map_err(|_| Errno::TOOBIG)?.to_ne_bytes());
    put(16, &312_u32.to_ne_bytes());
    put(FLAGS_AT, &READ_ONLY.to_ne_bytes());
    let texts = [(name, NAME), (uuid, UUID), (target.map_or("", |target| target.kind), KIND)];
    for (text, place) in texts {
        // A zero has to follow.
        if text.len() >= place.len() || text.contains('\0') {
            return Err(Errno::NAMETOOLONG);
        }
        if !text.is_empty() {
            put(place.start, text.as_bytes());
        }
    }
    if let Some(target) = target {
        put(20, &1_u32.to_ne_bytes());
        put(HEAD + 8, &target.sectors.to_ne_bytes());
        put(HEAD + TARGET, target.parameters.as_bytes());
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_as_the_kernel_reads_it() {
        let target = Target { kind: "verity", sectors: 16, parameters: "1 /dev/a" };
        let message = message("root", "U", Some(target)).unwrap();
        assert_eq!(message.len(), 368);
        assert_eq!(message[12..24], [368, 312, 1].map(u32::to_ne_bytes).concat());
        assert_eq!(message[48..53], *b"root\0");
        assert_eq!(message[320..328], 16_u64.to_ne_bytes());
        assert_eq!(message[336..361], *b"verity\0\0\0\0\0\0\0\0\0\x001 /dev/a\0");
        assert!(super::message(&"n".repeat(128), "", None).is_err());
        assert!(super::message("n", "", None).is_ok_and(|message| message.len() == 312));
    }

    #[test]
    fn the_number_of_a_device_is_read() {
        let mut answer = vec![0; HEAD];
        answer[DEVICE_AT..DEVICE_AT + 8].copy_from_slice(&0x0010_fd02_u64.to_ne_bytes());
        assert_eq!(number(&answer), 0x102);
    }
}
