//! `cargo xtask initramfs`: a whole initramfs that consists of `updraft-init` and kernel modules.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use machine::{Initramfs, Modules};

/// What most machines with a disk need, as far as their kernel has it as a module.
const USUAL: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "nvme",
    "ahci",
    "sd_mod",
    "mmc_block",
    "usb_storage",
    "ext4",
    "xfs",
    "btrfs",
    "f2fs",
    "erofs",
    "loop",
    "overlay",
];

/// Options of `cargo xtask initramfs`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to write it
    #[arg(long, value_name = "FILE", default_value = "target/initramfs.img")]
    output: PathBuf,
    /// The modules of the kernel that it is for, such as /lib/modules/6.1.0-42-amd64; without, the
    /// kernel has to have all that it needs built in
    #[arg(long, value_name = "FOLDER")]
    modules_from: Option<PathBuf>,
    /// A module to put in, with all that it needs (repeatable); without, the usual ones that the
    /// kernel has
    #[arg(long, value_name = "NAME", requires = "modules_from")]
    module: Vec<String>,
    /// A file to put in, such as etc/ostree/prepare-root.conf=FILE (repeatable)
    #[arg(long, value_name = "PATH=FILE")]
    file: Vec<String>,
    /// Put in `updraft-recovery` as well, as /usr/bin/updraft-recovery, for what starts it: a device
    /// with one copy of its system
    #[arg(long)]
    recovery: bool,
    /// The target of the compiler that it is for; without, this machine
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Pack it by `zstd` or `gzip`, as the kernel can unpack it
    #[arg(long, value_name = "PROGRAM")]
    compress: Option<String>,
}

/// Builds the program and the archive.
pub(crate) fn run(options: &Options) -> Result<()> {
    let triple = options.target.clone().unwrap_or_else(machine::this_machine);
    let program = machine::build_updraft_init_for(&triple)?;
    let mut initramfs = Initramfs::new().copy("/init", &program)?;
    if options.recovery {
        let recovery = machine::build_updraft_recovery_for(&triple)?;
        initramfs = initramfs.copy("/usr/bin/updraft-recovery", &recovery)?;
    }
    if let Some(folder) = &options.modules_from {
        let modules = Modules::in_folder(folder)?;
        let asked: Vec<&str> = options.module.iter().map(String::as_str).collect();
        let usual = || USUAL.iter().copied().filter(|name| modules.has(name)).collect();
        let names: Vec<&str> = if asked.is_empty() { usual() } else { asked };
        println!("modules: {}", names.join(" "));
        initramfs = initramfs.modules(&modules, &names)?;
    }
    for file in &options.file {
        let (path, from) = file.split_once('=').with_context(|| format!("{file}: no PATH=FILE"))?;
        let bytes = std::fs::read(from).with_context(|| format!("read {from}"))?;
        initramfs = initramfs.file(&format!("/{}", path.trim_start_matches('/')), 0o644, bytes);
    }
    initramfs.build(&options.output)?;
    if let Some(packer) = &options.compress {
        pack(packer, &options.output)?;
    }
    let size = options.output.metadata()?.len();
    println!("wrote {} ({} KiB)", options.output.display(), size.div_ceil(1024));
    Ok(())
}

fn pack(packer: &str, file: &PathBuf) -> Result<()> {
    if !["zstd", "gzip"].contains(&packer) {
        bail!("--compress is `zstd` or `gzip`, not `{packer}`");
    }
    let packed = std::process::Command::new(packer).args(["-c", "-q", "-9"]).arg(file).output()?;
    if !packed.status.success() {
        bail!("{packer}: {}", String::from_utf8_lossy(&packed.stderr).trim_end());
    }
    std::fs::write(file, packed.stdout).with_context(|| format!("write {}", file.display()))
}
