//! Configurations.

use std::ffi::{c_char, c_int};
use std::path::PathBuf;
use std::ptr::null_mut;

use updraft_agent::config::{Settings, Sources, load};

use crate::error::{Failure, status, told, work};
use crate::pointers::{free, give, reference_mut, text};

/// Settings of an agent.
#[derive(Debug)]
pub struct Config {
    sources: Sources,
}

impl Config {
    pub(crate) fn of_path(path: &str) -> Self {
        Self { sources: Sources { paths: vec![PathBuf::from(path)], ..Sources::default() } }
    }

    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        load(&self.sources).map(|loaded| loaded.settings).map_err(|error| told(&error))
    }
}

/// Reads a configuration: a file with its drop-in folder, or a folder of `*.toml` files. Null after
/// a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_config_load(config_path: *const c_char) -> *mut Config {
    work(|| {
        // SAFETY: the crate's contract for text.
        let config = Config::of_path(unsafe { text(config_path, "the path") }?);
        config.settings()?;
        Ok(give(config))
    })
    .unwrap_or(null_mut())
}

/// Changes one setting: `key` is `section.key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_config_set(
    cfg: *mut Config,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    status(|| {
        // SAFETY: the crate's contract for pointers and text.
        let (config, key, value) = unsafe {
            (
                reference_mut(cfg, "the configuration")?,
                text(key, "the key")?,
                text(value, "the value")?,
            )
        };
        config.sources.options.push((key.to_owned(), value.to_owned()));
        // What cannot be is not kept.
        config.settings().map(drop).inspect_err(|_| drop(config.sources.options.pop()))
    })
}

/// Frees a configuration; agents that were made from it keep what it said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn updraft_config_free(cfg: *mut Config) {
    // SAFETY: the crate's contract for pointers.
    unsafe { free(cfg) }
}
