//! The hardware watchdog: it resets a device whose agent gives no sign of life.
//!
//! The kernel's interface (`Documentation/watchdog/watchdog-api.rst`): opening the device starts
//! it, every write keeps it quiet for a while, and a `V` before it is closed stops it. One that is
//! in use already, by systemd for example, is left to that.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{Watchdog as Settings, WatchdogMode};

/// A watchdog that is kept quiet by a thread as long as this lives.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Starts it, where the settings want it.
    pub(crate) fn start(settings: &Settings) -> Option<Self> {
        let limit = match settings.mode {
            WatchdogMode::Off => return None,
            // A verdict that does not come is one: the boot loader counts the reset.
            WatchdogMode::Pending => Some(Duration::from_secs(settings.pending_sec)),
            WatchdogMode::Always => None,
        };
        let file = match File::options().write(true).open(&settings.device) {
            Ok(file) => file,
            Err(error) => {
                let device = settings.device.display();
                tracing::warn!(%error, %device, "the watchdog cannot be used");
                return None;
            }
        };
        let interval = Duration::from_secs(settings.interval_sec);
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = stop.clone();
        let thread = std::thread::spawn(move || keep_quiet(file, interval, limit, &shared));
        Some(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has let go of the device: it will be reset.
            let _ = thread.join();
        }
    }
}

fn keep_quiet(
    mut file: File,
    interval: Duration,
    limit: Option<Duration>,
    stop: &(Mutex<bool>, Condvar),
) {
    let begun = Instant::now();
    let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*stopped {
        if limit.is_none_or(|limit| begun.elapsed() < limit) {
            sign(&mut file, b"\0");
        } else {
            tracing::error!("no verdict on what runs has come in time; the watchdog will reset");
            // Quiet from here on, but open: closing it might stop it.
        }
        let waited = stop.1.wait_timeout(stopped, interval);
        stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    sign(&mut file, b"V");
}

fn sign(file: &mut File, byte: &[u8]) {
    if let Err(error) = file.write_all(byte) {
        tracing::warn!(%error, "the watchdog did not take a sign of life");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &tempfile::TempDir, mode: WatchdogMode) -> Settings {
        let device = folder.path().join("watchdog");
        drop(File::create(&device).unwrap());
        Settings { mode, device, interval_sec: 1, pending_sec: 1 }
    }

    #[test]
    fn it_is_kept_quiet_and_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder, WatchdogMode::Always);
        let watchdog = Watchdog::start(&settings).unwrap();
        while std::fs::metadata(&settings.device).unwrap().len() < 2 {
            std::thread::yield_now();
        }
        drop(watchdog);
        let written = std::fs::read(&settings.device).unwrap();
        assert!(written.starts_with(b"\0\0") && written.ends_with(b"\0V"), "{written:?}");
    }

    #[test]
    fn it_is_not_touched_when_it_is_off_or_missing() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, WatchdogMode::Off);
        assert!(Watchdog::start(&settings).is_none());
        settings.mode = WatchdogMode::Always;
        settings.device = folder.path().join("none");
        assert!(Watchdog::start(&settings).is_none());
    }
}
