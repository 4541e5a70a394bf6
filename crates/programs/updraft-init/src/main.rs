//! `updraft-init`: from a physical root to the root of an OSTree deployment, in the initramfs.
//!
//! ```text
//! updraft-init SYSROOT [CMDLINE]   inside another initramfs, which mounted the root file system
//!                                  at SYSROOT: what `ostree-prepare-root` does
//! /init                            as the whole initramfs: modules, waiting for the root file
//!                                  system, the same, and the switch to the new root
//! updraft-init --soft-reboot DEPLOYMENT [SYSROOT]
//!                                  puts the next root together at /run/nextroot
//! ```
//!
//! It is one static program without a configuration of its own but `[updraft]` in
//! `prepare-root.conf`. What goes wrong is told on the console with a way out, and the machine never
//! stands still without a word: see [`fallback`] and [`last_resort`].

mod console;
mod failure;
mod kernel_arguments;

mod config;
mod deployment;
mod mounts;
mod settings;

mod signature;

mod booted;
mod composefs;

mod assemble;
mod prepare;

mod note;
mod tries;

mod fallback;
mod last_resort;

mod block_devices;
mod modules;
mod partition_tables;
mod root_device;
mod superblock;
mod switch_root;
mod torn_commit;
mod torn_superblock;
mod verity;
mod watchdog;
mod whole_initramfs;

mod soft_reboot;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use failure::{During, Failure, Result};
use kernel_arguments::KernelArguments;
use settings::Settings;

const USAGE: &str = "usage: updraft-init SYSROOT [CMDLINE]
       updraft-init --soft-reboot DEPLOYMENT [SYSROOT]
       updraft-init --version
Without arguments, as process 1, it is a whole initramfs.
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if rustix::process::getpid().is_init() {
        return whole_initramfs::run(&arguments);
    }
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["--version"] => print(&format!("updraft-init {}\n", env!("CARGO_PKG_VERSION"))),
        ["--help"] => print(USAGE),
        ["--soft-reboot", link] => told(soft_reboot::prepare(Path::new("/sysroot"), link)),
        ["--soft-reboot", link, sysroot] => told(soft_reboot::prepare(Path::new(sysroot), link)),
        [sysroot] if !sysroot.starts_with('-') => prepare_root(Path::new(sysroot), None),
        [sysroot, line] if !sysroot.starts_with('-') => {
            prepare_root(Path::new(sysroot), Some(line))
        }
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Does what `ostree-prepare-root` does.
fn prepare_root(sysroot: &Path, line: Option<&str>) -> ExitCode {
    let mut arguments = KernelArguments::default();
    let mut wanted = None;
    let result = command_line(line).and_then(|line| {
        arguments = KernelArguments::parse(&line);
        if arguments.contains("quiet") {
            console::be_quiet();
        }
        let sysroot =
            sysroot.canonicalize().during(|| format!("find the folder {}", sysroot.display()))?;
        let settings = Settings::load(Path::new("/"), &arguments);
        wanted = settings.fallback;
        fallback::prepare_some(&settings, &sysroot, &arguments)
    });
    let Err(failure) = result else { return ExitCode::SUCCESS };
    last_resort::act(&failure, wanted, &arguments);
    ExitCode::FAILURE
}

fn command_line(given: Option<&str>) -> Result<String> {
    match given {
        Some(line) => Ok(line.to_owned()),
        None => fs::read_to_string("/proc/cmdline")
            .during(|| "read the kernel's arguments in /proc/cmdline".to_owned())
            .map_err(|failure: Failure| failure.way_out("mount proc at /proc first")),
    }
}

fn told(result: Result<()>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    console::complain(&failure.to_string());
    ExitCode::FAILURE
}

fn print(text: &str) -> ExitCode {
    let written = std::io::stdout().write_all(text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
