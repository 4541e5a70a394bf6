//! Many devices at a time: each agent is a process, and somebody stands by who "reboots".

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use crate::Device;

/// How often a device is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// Running devices. They are switched off when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    stop: Arc<AtomicBool>,
    devices: Vec<JoinHandle<Result<()>>>,
}

impl Fleet {
    /// Switches devices on.
    #[must_use]
    pub fn start(devices: &[Device]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let devices = devices.iter().cloned().map(|device| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || look_after(&device, &stop))
        });
        Self { devices: devices.collect(), stop }
    }

    /// Switches all devices off.
    ///
    /// # Errors
    /// The first thing that went wrong with one of them.
    pub fn stop(mut self) -> Result<()> {
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut first = Ok(());
        for device in self.devices.drain(..) {
            let ended =
                device.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a device's thread died")));
            first = first.and(ended);
        }
        first
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// Runs a device's agent until the end; when it asks for a reboot, cuts its power and boots what
/// the boot loader entries name.
fn look_after(device: &Device, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let mut agent = device.start()?;
        loop {
            std::thread::sleep(LOOK);
            let ended = agent.try_wait()?.is_some();
            if device.reboot_request().exists() {
                end(&mut agent);
                device.boot()?;
                break;
            }
            if stop.load(Ordering::Relaxed) || ended {
                end(&mut agent);
                break;
            }
        }
    }
    Ok(())
}

fn end(agent: &mut Child) {
    let _ = agent.kill();
    let _ = agent.wait();
}
