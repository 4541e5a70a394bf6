//! A machine whose agent takes its orders from a server on this machine, over mutual TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use machine::{Answer, Firmware, Machine};

use crate::vendor::{DEVICE, Vendor};
use crate::{DiskFile, Image, Rack, Release};

/// What a very busy machine needs for a boot.
const BOOT: Duration = Duration::from_mins(8);
/// How long the server may take to hear of something.
const HEARD: Duration = Duration::from_mins(3);
const ASK: Duration = Duration::from_millis(500);

/// What the init of each release runs: the network, `/boot`, and the agent.
const RC: &str = "\
mkdir -p /run/updraft-session
mount -o remount,rw /sysroot
mount -t pstore pstore /sys/fs/pstore
mount LABEL=boot /boot || mount /dev/vda1 /boot
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
[ ! -x /usr/lib/trouble ] || /usr/lib/trouble
updraftd --config /etc/updraft/updraftd.toml run >>/var/log/updraftd.log 2>&1 &
";

/// The rest of the agent's configuration.
const CONFIGURATION: &str = "\
[uptane]
polling_sec = 1

[pacman]
os = \"os\"

[storage]
path = \"/var/sota\"

[bootloader]
reboot_sentinel_dir = \"/run/updraft-session\"
reboot_command = \"sync; reboot -f\"

[watchdog]
mode = \"always\"
interval_sec = 2

[health]
server = true
wait_sec = 15

[[health.checks]]
name = \"service\"
command = [\"/usr/bin/test\", \"!\", \"-e\", \"/usr/share/ill\"]
timeout_sec = 20
";

/// A machine, and who made it.
#[derive(Debug)]
pub struct Vehicle {
    /// Who made it, and tells it what to run.
    pub vendor: Vendor,
    rack: Rack,
    machine: Option<Machine>,
}

impl Vehicle {
    /// Starts a server, and makes a machine that was never switched on, with `first` on its disk.
    ///
    /// # Errors
    /// With what a program said.
    pub fn create(folder: &Path, first: &Release) -> Result<Self> {
        Self::create_with(folder, first, |image| image.counting(2), |rack| rack)
    }

    /// The same with a watchdog that is a device of its own, and GRUB, which counts a single try: a
    /// device keeps its state only over a reset that the machine does by itself.
    ///
    /// # Errors
    /// With what a program said.
    pub fn with_hardware_watchdog(folder: &Path, first: &Release) -> Result<Self> {
        Self::create_with(
            folder,
            first,
            |image| {
                image
                    .option("--boot-loader=grub-bios")
                    .option("--set=sysroot.boot-counting-tries=1")
            },
            |rack| rack.with_firmware(Firmware::Bios).with_arguments(&["-device", "i6300esb"]),
        )
    }

    fn create_with(
        folder: &Path,
        first: &Release,
        options: impl FnOnce(Image<'_>) -> Image<'_>,
        hardware: impl FnOnce(Rack) -> Rack,
    ) -> Result<Self> {
        let vendor = Vendor::create(folder)?;
        vendor.repository.add(first)?;
        let etc = folder.join("etc");
        vendor.configure(&etc, "updraftd.toml", CONFIGURATION)?;
        let var = folder.join("var");
        fs::create_dir_all(var.join("log"))?;
        let image = Image::of(&vendor.repository, first.name())
            .option("--karg=updraft.watchdog")
            .option(format!("--etc={}", etc.display()))
            .option(format!("--var={}", var.display()));
        let disk = options(image).build(&folder.join("disk"))?;
        fs::create_dir_all(folder.join("rack"))?;
        let rack = Rack::new(&folder.join("rack"), disk).with_network(&[]).with_crash_records();
        Ok(Self::new(vendor, hardware(rack)))
    }

    /// This machine, which has a network, and its vendor.
    #[must_use]
    pub fn new(vendor: Vendor, rack: Rack) -> Self {
        Self { vendor, rack, machine: None }
    }

    /// A release with the agent in it.
    ///
    /// # Errors
    /// When the programs are not built.
    pub fn release(name: &str) -> Result<Release> {
        let programs: PathBuf = std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("find target/debug")?
            .to_path_buf();
        Ok(Release::new(name)
            .program(&programs.join("updraft"))
            .program(&programs.join("updraftd"))
            .file("usr/etc/rc", 0o755, RC))
    }

    /// Waits until the machine, which reboots as often as it likes, says that a release is up.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn wait_for(&mut self, release: &str) -> Result<()> {
        let mark = format!("SYSTEM READY {release}");
        let begun = Instant::now();
        loop {
            let machine = match &mut self.machine {
                Some(machine) => machine,
                none => none.insert(self.rack.start()?),
            };
            let waited = machine.wait_for(&mark, BOOT);
            match waited {
                Ok(_) => return Ok(()),
                // It rebooted into something else.
                Err(_) if machine.has_ended() && begun.elapsed() < 3 * BOOT => self.machine = None,
                Err(error) => return Err(error.context(self.agent_log())),
            }
        }
    }

    /// Waits until what runs has come to its end, as a machine does that does not go on over a reboot.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_for_end_of_boot(&mut self) -> Result<()> {
        self.machine.take().context("the machine is off")?.wait_for_end(BOOT)
    }

    /// Runs a command in the machine, which has to succeed.
    ///
    /// # Errors
    /// With what it said.
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.answer(command)?.good()
    }

    /// Runs a command in the machine, which may fail.
    ///
    /// # Errors
    /// When its agent does not answer.
    pub fn answer(&mut self, command: &str) -> Result<Answer> {
        let machine = self.machine.as_mut().context("the machine is off")?;
        machine.run_within(command, BOOT)
    }

    /// Gives a command that the machine does not survive.
    ///
    /// # Errors
    /// When its agent does not answer.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        self.machine.as_mut().context("the machine is off")?.tell(command)
    }

    /// Waits until the server knows that the machine runs a release, and nothing else is ordered.
    ///
    /// # Errors
    /// With what the server knows instead.
    pub fn wait_for_server(
        &mut self,
        what: &str,
        known: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            let device = self.vendor.operator.device(DEVICE);
            if device.as_ref().is_ok_and(&known) {
                return Ok(());
            }
            if begun.elapsed() > HEARD {
                let log = self.agent_log();
                bail!("the server does not know of {what}: {device:?}\n{log}");
            }
            std::thread::sleep(ASK);
        }
    }

    /// The machine's disk, once the machine has switched itself off.
    ///
    /// # Errors
    /// When it does not.
    pub fn disk_when_off(&mut self) -> Result<&DiskFile> {
        if let Some(mut machine) = self.machine.take() {
            machine.wait_for_end(BOOT)?;
        }
        Ok(&self.rack.disk)
    }

    /// Cuts the power.
    pub fn cut(&mut self) {
        self.machine = None;
    }

    fn agent_log(&mut self) -> String {
        let log = "tail -n 30 /var/log/updraftd.log 2>/dev/null || journalctl -n 60 --no-pager";
        let answer = self.machine.as_mut().and_then(|machine| machine.run(log).ok());
        answer.map_or_else(|| "the agent's log cannot be read".to_owned(), |answer| answer.output)
    }
}
