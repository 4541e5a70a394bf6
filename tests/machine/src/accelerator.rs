//! What runs the guest's processor: the machine's own (KVM), or emulation (TCG).
//!
//! `/dev/kvm` says little: where this machine is itself a virtual one it may be there and not work, or
//! be far slower than emulation. So a kernel is booted with it, once for each target folder and
//! start of this machine, and has to come to its end within a deadline.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cache;
use crate::kernel::Kernel;

/// How long a kernel without a root may take from QEMU's start until it says so: what emulation
/// takes. KVM takes a second where it works.
const DEADLINE: Duration = Duration::from_secs(6);
const PERIOD: Duration = Duration::from_millis(20);
/// What a kernel says last that is given no root.
const LAST_WORDS: &str = "Unable to mount root fs";
/// Another value of this number means that the machine was started again, on other hardware perhaps.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What runs the guest's processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// This machine's processor.
    Kvm,
    /// A program.
    Tcg,
}

impl Accelerator {
    /// The fastest that works here. The first call tries, and says on standard error what it found.
    pub(crate) fn here() -> Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let found = remembered().unwrap_or(Self::Tcg);
            let text = match found {
                Self::Kvm => "virtual machines run on this machine's processor (KVM)",
                Self::Tcg => "virtual machines are emulated (TCG); KVM does not work here",
            };
            // Who waits for machines wants to know why it takes so long.
            eprintln!("{text}");
            found
        })
    }

    /// The arguments for QEMU.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-smp", "1", "-cpu", "host"],
            // Fastest of what was tried with emulation: one processor of an old model. Emulated
            // cmpxchg16b corrupts the memory of newer kernels; without it they do without.
            Self::Tcg => &["-accel", "tcg,thread=multi", "-smp", "1", "-cpu", "Nehalem,-cx16"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// Looks into the target folder, and tries when nothing is known there.
fn remembered() -> Result<Accelerator> {
    let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
    let name = format!("accelerator-{}", boot.trim());
    let folder = cache::once(&name, |folder| {
        let found = if kvm_works(folder) { Accelerator::Kvm } else { Accelerator::Tcg };
        Ok(fs::write(folder.join("name"), found.name())?)
    })?;
    let name = fs::read_to_string(folder.join("name"))?;
    Ok(if name == Accelerator::Kvm.name() { Accelerator::Kvm } else { Accelerator::Tcg })
}

/// Whether a kernel comes to its end in time.
fn kvm_works(folder: &Path) -> bool {
    let usable = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    usable && try_kvm(folder).unwrap_or(false)
}

fn try_kvm(folder: &Path) -> Result<bool> {
    let kernel = Kernel::cloud()?;
    let console = folder.join("console");
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(Accelerator::Kvm.arguments())
        .args(["-m", "256", "-nodefaults", "-display", "none", "-vga", "none", "-no-reboot"])
        .args(["-append", "console=ttyS0 panic=-1", "-kernel"])
        .arg(kernel.image())
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let done = ends(&mut child, &console);
    let _ = child.kill();
    let _ = child.wait();
    let _ = fs::remove_file(console);
    Ok(done)
}

fn ends(child: &mut Child, console: &Path) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        let said = fs::read(console).unwrap_or_default();
        if String::from_utf8_lossy(&said).contains(LAST_WORDS) {
            return true;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(PERIOD);
    }
    false
}
