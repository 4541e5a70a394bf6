//! What the kernel said since the device started.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

const DEVICE: &str = "/dev/kmsg";
/// The longest record of the kernel, in bytes.
const RECORD: usize = 8192;
/// The most records that are read.
const MOST: usize = 1 << 16;

/// All of it; nothing where it cannot be read.
pub(crate) fn read() -> String {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let Ok(mut device) = File::options().read(true).custom_flags(flags).open(DEVICE) else {
        return String::new();
    };
    let (mut text, mut record) = (String::new(), vec![0; RECORD]);
    for _ in 0..MOST {
        match device.read(&mut record) {
            Ok(length) if length > 0 => {
                text += &String::from_utf8_lossy(record.get(..length).unwrap_or_default());
            }
            // A record that was overwritten meanwhile: the next one follows.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            _ => break,
        }
    }
    text
}
