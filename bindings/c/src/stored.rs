//! The files of targets that are on the device.

use std::ffi::c_int;
use std::fs::File;
use std::io::Read as _;
use std::ptr::null_mut;

use crate::agent::{Aktualizr, agent};
use crate::error::{status, told, work};
use crate::pointers::{free, give, reference, reference_mut};
use crate::updates::Target;

/// The open file of a target.
#[derive(Debug)]
pub struct StorageTargetHandle {
    file: File,
}

/// Opens the file of a target that was brought. Null after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_open_stored_target(
    a: *mut Aktualizr,
    t: *const Target,
) -> *mut StorageTargetHandle {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let (agent, target) = unsafe { (agent(a)?, reference(t, "the target")?) };
        let file = agent.open_stored_target(&target.summary).map_err(|error| told(&error))?;
        Ok(give(StorageTargetHandle { file }))
    })
    .unwrap_or(null_mut())
}

/// Reads up to `size` bytes into `buf`, which has room for them. 0 at the end, and after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_read_stored_target(
    handle: *mut StorageTargetHandle,
    buf: *mut u8,
    size: usize,
) -> usize {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let handle = unsafe { reference_mut(handle, "the handle") }?;
        if buf.is_null() || size == 0 || isize::try_from(size).is_err() {
            return Err("there is no room to read into".to_owned());
        }
        // Given to the reader whole, so that what it does not fill is not told from what C left.
        // SAFETY: C promises `size` bytes at `buf` that nobody else uses meanwhile.
        let room = unsafe {
            buf.write_bytes(0, size);
            std::slice::from_raw_parts_mut(buf, size)
        };
        let mut read = 0;
        while let Some(rest) = room.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match handle.file.read(rest) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("failed to read the target: {error}")),
            }
        }
        Ok(read)
    })
    .unwrap_or(0)
}

/// Closes the file of a target.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_close_stored_target(handle: *mut StorageTargetHandle) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        unsafe {
            reference(handle, "the handle")?;
            free(handle);
        }
        Ok(())
    })
}
