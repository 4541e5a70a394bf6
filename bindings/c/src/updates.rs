//! Updates: checked for, brought, installed.

use std::ffi::{CString, c_char, c_int};
use std::ptr::{null, null_mut};

use updraft_agent::{DownloadStatus, ResultCode, TargetSummary};

use crate::agent::{Aktualizr, agent};
use crate::error::{status, told, work};
use crate::pointers::{free, give, reference};

/// A target; it belongs to its list.
#[derive(Debug)]
pub struct Target {
    pub(crate) summary: TargetSummary,
}

/// What a check found.
#[derive(Debug)]
pub struct Updates {
    targets: Vec<Target>,
}

/// Asks the server; what is assigned and not installed, which may be nothing. Null after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_updates_check(a: *mut Aktualizr) -> *mut Updates {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let agent = unsafe { agent(a) }?;
        let check = agent.check_updates().wait().map_err(|error| told(&error))?;
        let targets = check.updates.into_iter().map(|summary| Target { summary }).collect();
        Ok(give(Updates { targets }))
    })
    .unwrap_or(null_mut())
}

/// Frees a list of updates, with its targets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_updates_free(u: *mut Updates) {
    // SAFETY: the crate's contract for pointers.
    unsafe { free(u) }
}

/// How many targets there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_get_targets_num(u: *mut Updates) -> usize {
    // SAFETY: the crate's contract for pointers.
    work(|| Ok(unsafe { reference(u, "the list") }?.targets.len())).unwrap_or(0)
}

/// One of them, counted from 0. Null when there are not so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_get_nth_target(u: *mut Updates, n: usize) -> *mut Target {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let updates = unsafe { reference(u, "the list") }?;
        let target = updates.targets.get(n).ok_or("there are not so many targets")?;
        // It is never written through: the type is aktualizr's.
        Ok(std::ptr::from_ref(target).cast_mut())
    })
    .unwrap_or(null_mut())
}

/// A target's name, to be freed by `Aktualizr_free_target_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_get_target_name(t: *mut Target) -> *const c_char {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let target = unsafe { reference(t, "the target") }?;
        let name = CString::new(target.summary.filepath.as_str());
        Ok(name.map_err(|_| "the name holds a null")?.into_raw().cast_const())
    })
    .unwrap_or(null())
}

/// Frees a target's name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_free_target_name(n: *const c_char) {
    if !n.is_null() {
        // SAFETY: it came from `CString::into_raw` in `Aktualizr_get_target_name`, and is given back
        // once, by the crate's contract.
        drop(unsafe { CString::from_raw(n.cast_mut()) });
    }
}

/// Brings a target. 0 when all of it is here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_download_target(a: *mut Aktualizr, t: *mut Target) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        let (agent, target) = unsafe { (agent(a)?, reference(t, "the target")?) };
        let targets = vec![target.summary.clone()];
        let done = agent.download(targets).wait().map_err(|error| told(&error))?;
        if done.status == DownloadStatus::Success { Ok(()) } else { Err(done.message) }
    })
}

/// Installs a target that was brought. 0 when it runs, or will run after a reboot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_install_target(a: *mut Aktualizr, t: *mut Target) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        let (agent, target) = unsafe { (agent(a)?, reference(t, "the target")?) };
        let targets = vec![target.summary.clone()];
        let done = agent.install(targets).wait().map_err(|error| told(&error))?.device;
        let is_good = done.success || done.code == ResultCode::NeedCompletion;
        if is_good { Ok(()) } else { Err(done.description) }
    })
}
