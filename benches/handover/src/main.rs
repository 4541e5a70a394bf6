//! How long a machine takes from reset until the system's own init runs: with `updraft-init` as the
//! whole initramfs, and with the smallest one that runs `ostree-prepare-root`, busybox and a shell
//! script. The same kernel, disk and deployment, boots in turn.
//!
//! ```text
//! cargo run --release -p updraft-handover-bench -- --rounds 5
//! ```

#![allow(clippy::print_stdout, reason = "its output is for people")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use machine::{Disk, Initramfs, Kernel, Machine, Options, Partition, Sysroot, System};

/// The real one, of Debian's package ostree-boot.
const PEER: &str = "/usr/lib/ostree/ostree-prepare-root";
const BOOT: Duration = Duration::from_mins(4);
/// What the system says as soon as its init runs; behind it are the kernel's seconds.
const MARK: &str = "HANDED OVER AT ";

const SHELL: &str = "#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
while read -r module; do insmod $module; done < /etc/updraft-init/modules
while [ ! -b /dev/vda ]; do usleep 10000; done
mount -t ext4 /dev/vda /sysroot
ostree-prepare-root /sysroot
for folder in proc sys dev run; do mount --move /$folder /sysroot/$folder; done
exec switch_root /sysroot /usr/sbin/init
";

/// Compare `updraft-init` with `ostree-prepare-root` in an initramfs of busybox.
#[derive(Debug, Parser)]
struct Arguments {
    /// Boots of each; the median is shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What was measured of boots.
#[derive(Default)]
struct Times {
    /// From the start of QEMU, in seconds.
    wall: Vec<f64>,
    /// From the start of the kernel, by its own clock.
    kernel: Vec<f64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let kernel = Kernel::cloud()?;
    let sysroot = Sysroot::init(&folder.path().join("sysroot"))?;
    let tree = folder.path().join("tree");
    System::new("one")
        .kernel(&kernel)
        .early(&format!("echo \"{MARK}$(cut -d' ' -f1 /proc/uptime)\" >/dev/console"))
        .write(&tree)?;
    sysroot.deploy(&tree, &[])?;
    let link = sysroot.entries()?.into_iter().next().context("deploy a system")?.link;
    let root = Partition::ext4("root").mib(160).folder(sysroot.folder());
    let disk = Disk::bare(&root, &folder.path().join("disk"))?;
    let modules = kernel.modules()?;

    let ours = Initramfs::new()
        .copy("/init", &machine::build_updraft_init()?)?
        .modules(&modules, machine::DISK_MODULES)?
        .build(&folder.path().join("ours"))?;
    let theirs = Initramfs::new()
        .copy("/bin/busybox", Path::new("/bin/busybox"))?
        .program(Path::new(PEER))?
        .symlink("/bin/ostree-prepare-root", PEER)
        .file("/init", 0o755, SHELL)
        .modules(&modules, machine::DISK_MODULES)?
        .build(&folder.path().join("theirs"))?;

    let (mut our_times, mut their_times) = (Times::default(), Times::default());
    for _ in 0..arguments.rounds.max(1) {
        for (initramfs, times) in [(&theirs, &mut their_times), (&ours, &mut our_times)] {
            let line = format!("root=/dev/vda rw ostree={link}");
            let options = Options::kernel(&kernel, Some(initramfs), &line).disk(disk.path());
            let begun = Instant::now();
            let mut machine = Machine::start(&options.folder(folder.path()))?;
            let said = machine.wait_for(MARK, BOOT)?;
            times.wall.push(begun.elapsed().as_secs_f64());
            let seconds = said.rsplit(MARK).next().unwrap_or_default().trim();
            times.kernel.push(seconds.parse().with_context(|| format!("read `{seconds}`"))?);
            machine.kill();
        }
    }
    println!("seconds until the system's init runs, medians of {}", arguments.rounds.max(1));
    for (name, theirs, ours) in [
        ("from the kernel's start", &mut their_times.kernel, &mut our_times.kernel),
        ("from reset", &mut their_times.wall, &mut our_times.wall),
    ] {
        let (theirs, ours) = (median(theirs), median(ours));
        println!("{name:24} theirs {theirs:.2}  ours {ours:.2}  ratio {:.2}", ours / theirs);
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
