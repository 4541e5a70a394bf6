//! How a machine is to be started.

use std::path::{Path, PathBuf};

use crate::foreign::Foreign;
use crate::kernel::Kernel;

/// A kernel argument for this machine's processor: on a busy host the kernel may find that its timer does not tick, and panic.
const NO_TIMER_CHECK: &str = "no_timer_check";

/// What a machine without a kernel of ours begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// QEMU's own: the BIOS of a PC, or what a mainframe begins with.
    Bios,
    /// Another ROM, such as U-Boot (`-bios FILE`).
    Rom(PathBuf),
    /// UEFI: the code and a writable copy of the variables (Debian's package ovmf).
    Uefi {
        /// The firmware's code.
        code: PathBuf,
        /// Its variables; they are written to.
        variables: PathBuf,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Boot {
    Kernel { image: PathBuf, initramfs: Option<PathBuf>, arguments: String },
    Firmware(Firmware),
}

/// How a machine is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) boot: Boot,
    pub(crate) processor: Option<Foreign>,
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) snapshot: bool,
    pub(crate) memory_mib: u32,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
}

impl Options {
    /// Boots a kernel of this machine's processor without a boot loader. `console=ttyS0` is added to
    /// its arguments.
    #[must_use]
    pub fn kernel(kernel: &Kernel, initramfs: Option<&Path>, arguments: &str) -> Self {
        let arguments = format!("console=ttyS0 {NO_TIMER_CHECK} {arguments}");
        Self::bare_kernel(kernel, initramfs, arguments)
    }

    /// Boots a kernel without a boot loader, with these arguments and no others.
    #[must_use]
    pub fn bare_kernel(kernel: &Kernel, initramfs: Option<&Path>, arguments: String) -> Self {
        let initramfs = initramfs.map(Path::to_path_buf);
        Self::of(Boot::Kernel { image: kernel.image().to_path_buf(), initramfs, arguments })
    }

    /// Boots from the first disk, by its boot loader.
    #[must_use]
    pub fn firmware(firmware: Firmware) -> Self {
        Self::of(Boot::Firmware(firmware))
    }

    fn of(boot: Boot) -> Self {
        let (disks, arguments) = (Vec::new(), Vec::new());
        let processor = None;
        Self { boot, processor, disks, snapshot: false, memory_mib: 512, folder: None, arguments }
    }

    /// With another processor than this machine's: QEMU's `virt` of arm64, or a mainframe. Their
    /// agent is not heard.
    #[must_use]
    pub fn processor(mut self, processor: Foreign) -> Self {
        self.processor = Some(processor);
        self
    }

    /// Adds a disk: `/dev/vda` first.
    #[must_use]
    pub fn disk(mut self, path: &Path) -> Self {
        self.disks.push(path.to_path_buf());
        self
    }

    /// Forgets what the machine writes to its disks, so that one disk serves many machines.
    #[must_use]
    pub fn snapshot(mut self) -> Self {
        self.snapshot = true;
        self
    }

    /// Its memory in MiB; 512 when not said.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Where its console and its socket are; a temporary folder when not said.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_path_buf());
        self
    }

    /// More arguments for QEMU, such as `["-nic", "user,model=virtio-net-pci"]`. Without them the
    /// machine has no network.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }
}
