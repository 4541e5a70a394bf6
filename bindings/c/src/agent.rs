//! Agents: made, put to work, paused, destroyed.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use updraft_agent::config::Settings;
use updraft_agent::{Agent, BackgroundAgent, PauseStatus, SystemClock};

use crate::config::Config;
use crate::error::{Failure, status, told, work};
use crate::pointers::{free, give, reference, text};

/// An agent with the thread that does its work.
#[derive(Debug)]
pub struct Aktualizr {
    pub(crate) agent: BackgroundAgent,
}

/// Whether work stands still.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, clippy::enum_variant_names, reason = "the names are aktualizr's")]
pub enum PauseStatusC {
    /// As was asked for.
    kSuccess = 0,
    /// It did before.
    kAlreadyPaused,
    /// It did not before.
    kAlreadyRunning,
    /// That cannot be done.
    kError,
}

fn start(settings: Settings) -> Result<*mut Aktualizr, Failure> {
    let agent = Agent::new(settings, Arc::new(SystemClock::new(jiff::Timestamp::now)));
    let agent = BackgroundAgent::start(agent).map_err(|error| told(&error))?;
    Ok(give(Aktualizr { agent }))
}

/// The agent behind a pointer.
///
/// # Safety
/// The crate's contract for pointers.
pub(crate) unsafe fn agent<'a>(a: *const Aktualizr) -> Result<&'a BackgroundAgent, Failure> {
    // SAFETY: the same contract.
    Ok(&unsafe { reference(a, "the agent") }?.agent)
}

/// An agent with this configuration, which the caller keeps. Null after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_create_from_cfg(cfg: *mut Config) -> *mut Aktualizr {
    // SAFETY: the crate's contract for pointers.
    work(|| start(unsafe { reference(cfg, "the configuration") }?.settings()?))
        .unwrap_or(null_mut())
}

/// An agent with the configuration in this file or folder. Null after a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_create_from_path(config_path: *const c_char) -> *mut Aktualizr {
    // SAFETY: the crate's contract for text.
    work(|| start(Config::of_path(unsafe { text(config_path, "the path") }?).settings()?))
        .unwrap_or(null_mut())
}

/// Opens the agent's state, and provisions the device if that has not happened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_initialize(a: *mut Aktualizr) -> c_int {
    // SAFETY: the crate's contract for pointers.
    status(|| unsafe { agent(a) }?.initialize().wait().map_err(|error| told(&error)))
}

/// One whole cycle: after a reboot confirms or takes back, then checks, brings and installs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_uptane_cycle(a: *mut Aktualizr) -> c_int {
    // SAFETY: the crate's contract for pointers.
    status(|| unsafe { agent(a) }?.uptane_cycle().wait().map(drop).map_err(|error| told(&error)))
}

/// Ends an agent: what is under way stops at its next safe point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_destroy(a: *mut Aktualizr) {
    // SAFETY: the crate's contract for pointers.
    let _ = work(|| {
        unsafe { free(a) };
        Ok(())
    });
}

/// Calls `handler` with the name of each event, in the thread that does the work.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_set_signal_handler(
    a: *mut Aktualizr,
    handler: Option<unsafe extern "C" fn(event_name: *const c_char)>,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        let agent = unsafe { agent(a) }?;
        let handler = handler.ok_or("the handler is null")?;
        agent.on_event(move |event| {
            let name = CString::new(event.name()).unwrap_or_default();
            // SAFETY: the caller gave a function for this; the text lives until it returns.
            unsafe { handler(name.as_ptr()) };
        });
        Ok(())
    })
}

/// What a handler of events gets with each of them.
struct Data(*mut c_void);

// SAFETY: the pointer is only handed on; `updraft_set_event_handler` says that it must be good in
// any thread.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

/// Calls `handler` with each event: its name, all its fields as JSON, and `data`, in the thread that
/// does the work. `data` has to be good until the agent is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_set_event_handler(
    a: *mut Aktualizr,
    handler: Option<
        unsafe extern "C" fn(name: *const c_char, json: *const c_char, data: *mut c_void),
    >,
    data: *mut c_void,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        let agent = unsafe { agent(a) }?;
        let handler = handler.ok_or("the handler is null")?;
        let data = Data(data);
        agent.on_event(move |event| {
            let data = &data;
            let name = CString::new(event.name()).unwrap_or_default();
            let json = serde_json::to_string(event).unwrap_or_default();
            let json = CString::new(json).unwrap_or_default();
            // SAFETY: the caller gave a function for this; the texts live until it returns.
            unsafe { handler(name.as_ptr(), json.as_ptr(), data.0) };
        });
        Ok(())
    })
}

/// Cycles every `uptane.polling_sec` until the agent is destroyed. Returns at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_run_forever(a: *mut Aktualizr) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        drop(unsafe { agent(a) }?.run_forever());
        Ok(())
    })
}

/// Sends a manifest, with this JSON as its `custom` part; null: without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_send_manifest(
    a: *mut Aktualizr,
    manifest: *const c_char,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers.
        let agent = unsafe { agent(a) }?;
        let custom = if manifest.is_null() {
            None
        } else {
            // SAFETY: the crate's contract for text.
            let text = unsafe { text(manifest, "the manifest") }?;
            let parsed = serde_json::from_str(text);
            Some(parsed.map_err(|error| format!("the manifest is no JSON: {error}"))?)
        };
        agent.send_manifest(custom).wait().map_err(|error| told(&error))
    })
}

/// Sends what the device tells of itself, as far as it has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_send_device_data(a: *mut Aktualizr) -> c_int {
    // SAFETY: the crate's contract for pointers.
    status(|| unsafe { agent(a) }?.send_device_data().wait().map_err(|error| told(&error)))
}

/// Lets all work stand still at its next safe point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_pause(a: *mut Aktualizr) -> PauseStatusC {
    // SAFETY: the crate's contract for pointers.
    pause_status(work(|| Ok(unsafe { agent(a) }?.pause())))
}

/// Lets work go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_resume(a: *mut Aktualizr) -> PauseStatusC {
    // SAFETY: the crate's contract for pointers.
    pause_status(work(|| Ok(unsafe { agent(a) }?.resume())))
}

/// Stops what is under way, and drops what was asked for after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_abort(a: *mut Aktualizr) {
    let _ = work(|| {
        // SAFETY: the crate's contract for pointers.
        unsafe { agent(a) }?.abort();
        Ok(())
    });
}

fn pause_status(status: Option<PauseStatus>) -> PauseStatusC {
    match status {
        Some(PauseStatus::Success) => PauseStatusC::kSuccess,
        Some(PauseStatus::AlreadyPaused) => PauseStatusC::kAlreadyPaused,
        Some(PauseStatus::AlreadyRunning) => PauseStatusC::kAlreadyRunning,
        Some(PauseStatus::Error) | None => PauseStatusC::kError,
    }
}
