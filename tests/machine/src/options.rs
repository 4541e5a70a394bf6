//! How a machine is to be started.

use std::path::{Path, PathBuf};

use crate::kernel::Kernel;

/// What a machine without a kernel of ours begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// QEMU's BIOS.
    Bios,
    /// Another ROM, such as U-Boot (`-bios FILE`).
    Rom(PathBuf),
    /// The same for a machine with another processor: QEMU's `virt` of arm64.
    Arm64Rom(PathBuf),
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
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) snapshot: bool,
    pub(crate) memory_mib: u32,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
}

impl Options {
    /// Boots a kernel without a boot loader. `console=ttyS0` is added to its arguments, and
    /// `no_timer_check`: on a busy host an emulated timer may come too late for the kernel's test.
    #[must_use]
    pub fn kernel(kernel: &Kernel, initramfs: Option<&Path>, arguments: &str) -> Self {
        Self::of(Boot::Kernel {
            image: kernel.image().to_path_buf(),
            initramfs: initramfs.map(Path::to_path_buf),
            arguments: format!("console=ttyS0 no_timer_check {arguments}"),
        })
    }

    /// Boots from the first disk, by its boot loader.
    #[must_use]
    pub fn firmware(firmware: Firmware) -> Self {
        Self::of(Boot::Firmware(firmware))
    }

    fn of(boot: Boot) -> Self {
        let (disks, arguments) = (Vec::new(), Vec::new());
        Self { boot, disks, snapshot: false, memory_mib: 512, folder: None, arguments }
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
