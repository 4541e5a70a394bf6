//! The vehicle's other ECUs, and what a program tells about them and about the device.

use std::ffi::{CString, c_char, c_int};
use std::ptr::null_mut;

use crate::agent::{Aktualizr, agent};
use crate::error::{status, told, work};
use crate::pointers::text;

/// The vehicle's other ECUs that have answered once, as a JSON list of objects with `serial`,
/// `hardware_id`, `kind`, `installed` and `pending` (each SHA-256 and name), `key` (its id and its
/// public half) and `data`. To be freed by `updraft_free_text`. Null after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_get_secondaries(a: *mut Aktualizr) -> *mut c_char {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let list = unsafe { agent(a) }?.secondaries().map_err(|error| told(&error))?;
        let json = serde_json::to_string(&list).map_err(|error| error.to_string())?;
        Ok(CString::new(json).map_err(|_| "the list holds a null")?.into_raw())
    })
    .unwrap_or(null_mut())
}

/// Frees a text that a function of ours gave; null is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_free_text(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `CString::into_raw` in `updraft_get_secondaries`, and is given back
        // once, by the crate's contract.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Remembers a text with a secondary, which `updraft_get_secondaries` gives back as `data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_set_secondary_data(
    a: *mut Aktualizr,
    serial: *const c_char,
    data: *const c_char,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contracts for pointers and text.
        let (agent, serial, data) =
            unsafe { (agent(a)?, text(serial, "the serial")?, text(data, "the data")?) };
        agent.set_secondary_data(serial, data).wait().map_err(|error| told(&error))
    })
}

/// Replaces the text of the installation report that waits for the server; -1 also when none does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_set_installation_raw_report(
    a: *mut Aktualizr,
    report: *const c_char,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contracts for pointers and text.
        let (agent, report) = unsafe { (agent(a)?, text(report, "the report")?) };
        let changed = agent.set_installation_raw_report(report).wait();
        let changed = changed.map_err(|error| told(&error))?;
        if changed { Ok(()) } else { Err("no report waits for the server".to_owned()) }
    })
}

/// Sends this JSON instead of what the agent finds out about the hardware.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_set_custom_hardware_info(
    a: *mut Aktualizr,
    hardware: *const c_char,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contracts for pointers and text.
        let (agent, hardware) = unsafe { (agent(a)?, text(hardware, "the hardware")?) };
        let parsed = serde_json::from_str(hardware);
        let hardware = parsed.map_err(|error| format!("the hardware is no JSON: {error}"))?;
        agent.set_custom_hardware_info(hardware);
        Ok(())
    })
}
