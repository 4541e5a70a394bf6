//! Loop devices: a file as a block device.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::{Error, Result, sys};

/// Who else may take a free device between our asking and our taking.
const ATTEMPTS: u32 = 32;

/// Makes a read-only block device of a file. It goes away when nobody has it open and it is mounted
/// nowhere; keep the returned file open until it is mounted.
pub fn attach(file: &File) -> Result<(File, PathBuf)> {
    let control = "/dev/loop-control";
    let manager = OpenOptions::new()
        .read(true)
        .write(true)
        .open(control)
        .map_err(|error| Error::new("open", control, error))?;
    for _ in 0..ATTEMPTS {
        let number = sys::free_loop_device(manager.as_fd())
            .map_err(|errno| Error::new("ask for a free device of", control, errno.into()))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::open(&path).map_err(|error| Error::new("open", &path, error))?;
        match sys::configure_loop_device(device.as_fd(), file.as_fd()) {
            Ok(()) => return Ok((device, path)),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(Error::new("set up", &path, errno.into())),
        }
    }
    Err(Error::new("find a free device of", control, Errno::BUSY.into()))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_file_can_be_read_as_a_device_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, [7; 8192]).unwrap();
        let (mut device, node) = attach(&File::open(&path).unwrap()).unwrap();
        let mut read = Vec::new();
        device.read_to_end(&mut read).unwrap();
        assert_eq!(read, [7; 8192]);
        let writer = OpenOptions::new().write(true).open(&node);
        assert!(writer.and_then(|mut file| file.write_all(b"x")).is_err(), "it is read-only");
        let (_other, other) = attach(&File::open(&path).unwrap()).unwrap();
        assert_ne!(node, other);
    }
}
