//! A running machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::accelerator::Accelerator;
use crate::agent::{Answer, Line};
use crate::foreign::Foreign;
use crate::options::{Boot, Firmware, Options};
use crate::patience::Patience;

/// What the guest flushes stays in this machine's memory, as all that it writes: only this machine's
/// own power cut would tell the difference, and waiting for its disk takes most of a guest's time.
const CACHE: &str = "unsafe";
/// How often the console is looked at.
const PERIOD: Duration = Duration::from_millis(20);
/// How long QEMU may take to make its socket.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a command in the guest may take, when the caller does not say.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
/// How much of the console an error shows.
const CONSOLE_END: usize = 3000;

/// The process of QEMU.
#[derive(Debug)]
enum Process {
    /// We started it, and end it.
    Own(Child),
    /// Somebody else started it. It goes on when we end.
    Other(Pid),
}

impl Process {
    fn number(&self) -> Pid {
        match self {
            Self::Own(child) => Pid::from_child(child),
            Self::Other(pid) => *pid,
        }
    }
}

/// A machine that runs. It ends when this value is dropped, unless it was left running or found
/// running.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    console: PathBuf,
    socket: PathBuf,
    seen: usize,
    line: Option<Line>,
    _folder: Option<TempDir>,
}

impl Machine {
    /// Starts QEMU, with KVM where that works.
    ///
    /// # Errors
    /// When QEMU does not start; with what it said.
    pub fn start(options: &Options) -> Result<Self> {
        let temporary = if options.folder.is_none() { Some(tempfile::tempdir()?) } else { None };
        let folder = options.folder.clone().or_else(|| Some(temporary.as_ref()?.path().into()));
        let folder = folder.context("choose a folder")?;
        // The name of a socket has at most 107 bytes: QEMU gets it relative to its folder.
        let (console, socket) = (folder.join("console"), folder.join("agent"));
        for old in [&console, &socket] {
            let _ = fs::remove_file(old);
        }
        let said = fs::File::create(folder.join("qemu.log"))?;
        let child = command(options)?
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("start QEMU; install qemu-system-x86, qemu-system-arm and qemu-system-misc")?;
        let process = Process::Own(child);
        let mut machine =
            Self { process, console, socket, seen: 0, line: None, _folder: temporary };
        let mut patience = machine.patience(START_TIMEOUT);
        while !machine.socket.exists() {
            if machine.has_ended() || patience.is_over() {
                let said = fs::read_to_string(folder.join("qemu.log")).unwrap_or_default();
                bail!("QEMU did not start: {}", said.trim_end());
            }
            std::thread::sleep(PERIOD);
        }
        Ok(machine)
    }

    /// A machine that runs already, in this folder and as this process.
    ///
    /// # Errors
    /// When it does not.
    pub fn attach(folder: &Path, process: i32) -> Result<Self> {
        let (console, socket) = (folder.join("console"), folder.join("agent"));
        let pid = Pid::from_raw(process).context("a process number is not 0")?;
        let process = Process::Other(pid);
        let seen = fs::metadata(&console).map_or(0, |file| file.len());
        let seen = usize::try_from(seen)?;
        let mut machine = Self { process, console, socket, seen, line: None, _folder: None };
        if machine.has_ended() {
            bail!("the machine in {} does not run", folder.display());
        }
        Ok(machine)
    }

    /// Lets it run on, and gives its process number for [`Machine::attach`]. Its folder has to be
    /// one that was said.
    ///
    /// # Errors
    /// When it has ended.
    pub fn leave_running(mut self) -> Result<i32> {
        if self.has_ended() {
            bail!("the machine has ended");
        }
        let pid = self.process.number();
        self.process = Process::Other(pid);
        Ok(pid.as_raw_nonzero().get())
    }

    /// Everything on the console so far.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits until the console says `mark`, after the last mark that was found, and gives what
    /// it said up to and including the line of the mark.
    ///
    /// # Errors
    /// With the end of the console, when the time is over or QEMU ended.
    pub fn wait_for(&mut self, mark: &str, timeout: Duration) -> Result<String> {
        let mut patience = self.patience(timeout);
        loop {
            // In this order, what was said just before the end is still found.
            let ended = self.has_ended();
            let text = self.console();
            let new = text.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(mark) {
                let end = at + mark.len();
                let end = new[end..].find('\n').map_or(new.len(), |line| end + line + 1);
                self.seen += end;
                return Ok(new[..end].to_owned());
            }
            if ended || patience.is_over() {
                let why = if ended { "QEMU ended" } else { "the time is over" };
                let mut from = text.len().saturating_sub(CONSOLE_END);
                while !text.is_char_boundary(from) {
                    from += 1;
                }
                bail!("{why} before the console said `{mark}`; it ends with:\n{}", &text[from..]);
            }
            std::thread::sleep(PERIOD);
        }
    }

    /// Runs a shell command in the guest, for at most a minute.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn run(&mut self, command: &str) -> Result<Answer> {
        self.run_within(command, COMMAND_TIMEOUT)
    }

    /// Runs a shell command in the guest.
    ///
    /// # Errors
    /// When the agent does not answer in time.
    pub fn run_within(&mut self, command: &str, timeout: Duration) -> Result<Answer> {
        let mut patience = self.patience(timeout);
        self.line()?.run(command, &mut patience)
    }

    /// Gives a shell command that the agent does not survive, such as `reboot -f`. It begins a
    /// moment after it has arrived.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        let mut patience = self.patience(COMMAND_TIMEOUT);
        self.line()?.tell(command, &mut patience)
    }

    fn line(&mut self) -> Result<&mut Line> {
        match &mut self.line {
            Some(line) => Ok(line),
            empty => {
                // Another program, or an earlier value of this one, used up the small numbers.
                let sent = match self.process {
                    Process::Own(_) => 0,
                    Process::Other(_) => {
                        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
                        u64::try_from(now.as_millis())?
                    }
                };
                Ok(empty.insert(Line::connect(&self.socket, sent)?))
            }
        }
    }

    /// Waits until QEMU has ended, as it does when the guest switches itself off.
    ///
    /// # Errors
    /// When it still runs after that time.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<()> {
        let mut patience = self.patience(timeout);
        while !self.has_ended() {
            if patience.is_over() {
                bail!("the machine still runs after {timeout:?}");
            }
            std::thread::sleep(PERIOD);
        }
        Ok(())
    }

    fn patience(&self, timeout: Duration) -> Patience {
        Patience::with(self.process.number(), timeout)
    }

    /// Whether QEMU has ended.
    pub fn has_ended(&mut self) -> bool {
        match &mut self.process {
            Process::Own(child) => !matches!(child.try_wait(), Ok(None)),
            // A number may be given to another program later.
            Process::Other(pid) => {
                let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
                !name.is_ok_and(|name| name.starts_with("qemu-system"))
            }
        }
    }

    /// Cuts the power. What the guest had written arrives on the disk; what it had not, does not.
    pub fn kill(&mut self) {
        if self.has_ended() {
            return;
        }
        match &mut self.process {
            Process::Own(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::Other(pid) => {
                let _ = rustix::process::kill_process(*pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if matches!(self.process, Process::Own(_)) {
            self.kill();
        }
    }
}

fn command(options: &Options) -> Result<Command> {
    let mut command = match options.processor {
        None => {
            let mut command = Command::new("qemu-system-x86_64");
            command.args(Accelerator::here().arguments()).args(["-vga", "none"]);
            command
        }
        Some(Foreign::Arm64) => {
            let mut command = Command::new("qemu-system-aarch64");
            command.args(["-machine", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a53"]);
            command
        }
        Some(Foreign::S390x) => {
            let mut command = Command::new("qemu-system-s390x");
            command.args(["-machine", "s390-ccw-virtio", "-accel", "tcg,thread=multi"]);
            command
        }
    };
    command.args(["-m", &options.memory_mib.to_string()]);
    command.args(["-nodefaults", "-display", "none"]);
    command.args(["-chardev", "file,id=console,path=console"]);
    command.args(["-chardev", "socket,id=agent,path=agent,server=on,wait=off"]);
    match options.processor {
        None => command.args(["-serial", "chardev:console", "-serial", "chardev:agent"]),
        Some(Foreign::Arm64) => command.args(["-serial", "chardev:console"]),
        Some(Foreign::S390x) => command.args(["-device", "sclpconsole,chardev=console"]),
    };
    match &options.boot {
        Boot::Kernel { image, initramfs, arguments } => {
            command.arg("-kernel").arg(absolute(image)?).args(["-append", arguments]);
            if let Some(initramfs) = initramfs {
                command.arg("-initrd").arg(absolute(initramfs)?);
            }
        }
        Boot::Firmware(Firmware::Bios) => {}
        Boot::Firmware(Firmware::Rom(file)) => {
            command.arg("-bios").arg(absolute(file)?);
        }
        Boot::Firmware(Firmware::Uefi { code, variables }) => {
            let drive = |file: &PathBuf, readonly| -> Result<String> {
                let file = absolute(file)?;
                Ok(format!("if=pflash,format=raw,readonly={readonly},file={}", file.display()))
            };
            command.args(["-drive", &drive(code, "on")?, "-drive", &drive(variables, "off")?]);
        }
    }
    for (number, disk) in options.disks.iter().enumerate() {
        let snapshot = if options.snapshot { "on" } else { "off" };
        let file = absolute(disk)?;
        command.arg("-drive").arg(format!(
            "if=none,id=disk{number},format=raw,cache={CACHE},snapshot={snapshot},file={}",
            file.display()
        ));
        let device = match options.processor {
            Some(Foreign::S390x) => format!("virtio-blk-ccw,drive=disk{number},bootindex={number}"),
            _ => format!("virtio-blk-pci,drive=disk{number}"),
        };
        command.args(["-device", &device]);
    }
    command.args(&options.arguments);
    Ok(command)
}

fn absolute(path: &PathBuf) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}
