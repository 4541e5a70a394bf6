//! A machine with a disk, and the part of the boot loader where none is on it.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use machine::{Firmware, Foreign, Kernel, Machine, Options};
use updraft_bootenv::{BootEntry, BootVerdict, CountedName, version_cmp};

use crate::DiskFile;

/// Debian's firmware for EFI, and its variables.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// Room for a hundred records of 8 KiB; a panic takes one or two.
const CRASH_RECORDS: &str = "1M";

/// For the files behind a recorded disk. The guest's flushes are recorded above them.
const NO_FLUSH: &str = "cache.no-flush=on";

/// A machine with a disk.
#[derive(Debug, Clone)]
pub struct Rack {
    folder: PathBuf,
    /// Its disk.
    pub disk: DiskFile,
    arguments: Vec<String>,
    log: Option<PathBuf>,
    firmware: Option<Firmware>,
    /// What is started without looking at the disk: a kernel, its initramfs, and arguments.
    kernel: Option<(Kernel, PathBuf, String)>,
    processor: Option<Foreign>,
}

impl Rack {
    /// A machine without boot loader: the entries on the disk are read by this program.
    #[must_use]
    pub fn new(folder: &Path, disk: DiskFile) -> Self {
        let folder = folder.to_path_buf();
        let (arguments, log, firmware) = (Vec::new(), None, None);
        Self { folder, disk, arguments, log, firmware, kernel: None, processor: None }
    }

    /// It has EFI, and boots what is on the disk.
    ///
    /// # Errors
    /// When Debian's ovmf is not installed.
    pub fn with_efi(mut self) -> Result<Self> {
        let [code, variables] = OVMF;
        let own = self.folder.join("efi-variables");
        fs::copy(variables, &own).context("copy EFI variables; install ovmf")?;
        self.firmware = Some(Firmware::Uefi { code: code.into(), variables: own });
        Ok(self)
    }

    /// It has this firmware.
    #[must_use]
    pub fn with_firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// It starts this kernel, whatever is on the disk, and ends when it reboots.
    #[must_use]
    pub fn with_kernel(mut self, kernel: &Kernel, initramfs: &Path, arguments: &str) -> Self {
        self.kernel = Some((kernel.clone(), initramfs.to_path_buf(), arguments.to_owned()));
        self
    }

    /// It has another processor than this machine.
    #[must_use]
    pub fn with_processor(mut self, processor: Foreign) -> Self {
        self.processor = Some(processor);
        self
    }

    /// With a network in which it is 10.0.2.15 and this machine is 10.0.2.2. Ports of this machine,
    /// the first of each pair, lead to ports of that one.
    #[must_use]
    pub fn with_network(self, ports: &[(u16, u16)]) -> Self {
        let ports =
            ports.iter().map(|(here, there)| format!(",hostfwd=tcp:127.0.0.1:{here}-:{there}"));
        let network = format!("user,model=virtio-net-pci{}", ports.collect::<String>());
        self.with_arguments(&["-nic", &network])
    }

    /// With memory that outlives a reset, for a kernel's last words: ACPI's ERST, which the kernel's
    /// pstore writes to when it panics.
    #[must_use]
    pub fn with_crash_records(self) -> Self {
        let file = self.folder.join("crash-records");
        let (size, file) = (CRASH_RECORDS, file.display());
        let memory =
            format!("memory-backend-file,id=crash-records,size={size},share=on,mem-path={file}");
        self.with_arguments(&["-object", &memory, "-device", "acpi-erst,memdev=crash-records"])
    }

    /// With more arguments for QEMU.
    #[must_use]
    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// What it writes to its disk is recorded in this file.
    #[must_use]
    pub fn recording(mut self, log: &Path) -> Self {
        self.log = Some(log.to_path_buf());
        self
    }

    /// Switches it on. Without firmware the machine ends when it reboots; call this again then.
    ///
    /// # Errors
    /// When nothing can be booted.
    pub fn start(&self) -> Result<Machine> {
        let options = match (&self.firmware, &self.kernel) {
            (Some(firmware), _) => Options::firmware(firmware.clone()),
            (None, Some((kernel, initramfs, arguments))) => {
                Options::kernel(kernel, Some(initramfs), arguments).arguments(&["-no-reboot"])
            }
            (None, None) => self.as_boot_loader()?,
        };
        let mut options = options.folder(&self.folder).memory_mib(768);
        if let Some(processor) = self.processor {
            options = options.processor(processor);
        }
        let drives = match &self.log {
            None => {
                options = options.disk(&self.disk.path);
                Vec::new()
            }
            Some(log) => recorder(&self.disk.path, log)?,
        };
        let drives: Vec<&str> = drives.iter().map(String::as_str).collect();
        let more: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Machine::start(&options.arguments(&drives).arguments(&more))
    }

    /// Takes the first entry on the disk, its kernel and its initramfs.
    fn as_boot_loader(&self) -> Result<Options> {
        let boot = self.folder.join("boot-as-read");
        let _ = fs::remove_dir_all(&boot);
        self.disk.read_as_boot_loader(&boot)?;
        let entry = first_by(&boot, Rules::on(&self.disk)?)?;
        let file = |key: &str| -> Result<PathBuf> {
            let path = entry.get(key).with_context(|| format!("find {key} in an entry"))?;
            Ok(boot.join(path.trim_start_matches('/')))
        };
        let kernels = self.folder.join("kernel-as-read");
        fs::create_dir_all(kernels.join("boot"))?;
        fs::copy(file("linux")?, kernels.join("boot/vmlinuz-as-read"))?;
        let arguments = entry.get("options").context("find the options of an entry")?;
        let kernel = Kernel::in_folder(&kernels)?;
        let initramfs = file("initrd")?;
        Ok(Options::kernel(&kernel, Some(&initramfs), arguments).arguments(&["-no-reboot"]))
    }
}

/// How a boot loader chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The highest version, whatever it is.
    Highest,
    /// As systemd-boot: what names no kernel that is there is no entry, and what was tried in vain
    /// comes last.
    SystemdBoot,
}

impl Rules {
    /// Those of the boot loader that reads such a disk.
    pub(crate) fn on(disk: &DiskFile) -> Result<Self> {
        Ok(if disk.is_fat(disk.boot_part()?)? { Self::SystemdBoot } else { Self::Highest })
    }
}

/// The entry that a boot loader takes: the one with the highest version.
///
/// # Errors
/// When there is none.
pub fn first_entry(boot: &Path) -> Result<BootEntry> {
    first_by(boot, Rules::Highest)
}

/// The entry that a boot loader with these rules takes.
pub(crate) fn first_by(boot: &Path, rules: Rules) -> Result<BootEntry> {
    let folder = boot.join("loader/entries");
    let mut entries = Vec::new();
    for item in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = item?.path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        let entry = BootEntry::parse(&fs::read(&path)?)?;
        let mut place = None;
        if rules == Rules::SystemdBoot {
            let kernel = entry.get("linux").map(|kernel| kernel.trim_start_matches('/'));
            if !kernel.is_some_and(|kernel| boot.join(kernel).is_file()) {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name: CountedName = name.parse().with_context(|| name.clone())?;
            let is_bad = BootVerdict::of(name.count) == BootVerdict::Bad;
            let key = entry.get("sort-key").map(str::to_owned);
            place = Some((is_bad, key.is_none(), key, name.stem));
        }
        entries.push((place, entry));
    }
    entries.sort_by(|(left, left_entry), (right, right_entry)| {
        let versions = || left_entry.offer_order(right_entry);
        let (Some(left), Some(right)) = (left, right) else { return versions() };
        // Without a key the version does not count, and the higher name does.
        let by_key = (left.0, left.1, &left.2).cmp(&(right.0, right.1, &right.2));
        by_key
            .then_with(|| if left.1 { Ordering::Equal } else { versions() })
            .then_with(|| version_cmp(&right.3, &left.3))
    });
    let first = entries.into_iter().next().map(|(_, entry)| entry);
    first.with_context(|| format!("no entry in {}", folder.display()))
}

/// A disk whose writes and flushes QEMU records, in the format of the kernel's dm-log-writes.
fn recorder(disk: &Path, log: &Path) -> Result<Vec<String>> {
    // A machine that starts again writes on.
    let mode = if log.exists() { "log-append=on" } else { "log-sector-size=512" };
    fs::File::options().create(true).append(true).open(log)?;
    let (disk, log) = (disk.display(), log.display());
    Ok(vec![
        "-blockdev".to_owned(),
        format!("driver=file,node-name=disk-file,filename={disk},{NO_FLUSH}"),
        "-blockdev".to_owned(),
        format!("driver=file,node-name=log-file,filename={log},{NO_FLUSH}"),
        "-blockdev".to_owned(),
        format!(
            "driver=blklogwrites,node-name=recorded,file=disk-file,log=log-file,\
             log-super-update-interval=1,{mode}"
        ),
        "-device".to_owned(),
        "virtio-blk-pci,drive=recorded".to_owned(),
    ])
}
