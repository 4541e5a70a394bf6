//! Loading a kernel that is started without the firmware.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd as _;

use rustix::io::Errno;

use crate::{Error, Result, sys};

/// Has the running kernel load `kernel`, which is started when the system is rebooted by kexec.
pub fn load(kernel: &File, initramfs: Option<&File>, command_line: &str) -> Result<()> {
    let fail = |errno: Errno| Error::new("load", "the kernel", errno.into());
    let line = CString::new(command_line).map_err(|_| fail(Errno::INVAL))?;
    sys::load_kernel(kernel.as_fd(), initramfs.map(File::as_fd), &line).map_err(fail)
}
