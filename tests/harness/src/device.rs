//! A device: a folder with a sysroot, a configuration and an agent.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Answer, HEALTH_MARK, Programs, boot};

/// What makes a device different from others.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// The device finds any system whose health mark says so ill.
    pub fails_on: Option<String>,
    /// Talk to these instead of the server: Director, Image repository, object store.
    pub detour: Option<String>,
    /// The device's identity is imported; it needs no credentials.
    pub imported: bool,
    /// More lines of the configuration, whole sections.
    pub configuration: String,
}

/// A device in a folder.
#[derive(Debug, Clone)]
pub struct Device {
    programs: Programs,
    id: String,
    folder: PathBuf,
}

impl Device {
    /// Makes a device: an empty sysroot, a configuration, and credentials to register with.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn create(
        programs: &Programs,
        folder: &Path,
        id: &str,
        hardware: &str,
        credentials: &Path,
        options: &DeviceOptions,
    ) -> Result<Self> {
        let device =
            Self { programs: programs.clone(), id: id.to_owned(), folder: folder.join(id) };
        std::fs::create_dir_all(device.folder.join("run"))?;
        std::fs::write(device.kernel_cmdline(), "quiet\n")?;
        // Each device gets a copy: agents take the secret out of it once it has served.
        let own = device.folder.join("credentials.zip");
        std::fs::copy(credentials, &own).context("copy the credentials")?;
        let text = device.configuration(hardware, &own, options);
        std::fs::write(device.configuration_file(), text)?;
        Ok(device)
    }

    fn configuration(&self, hardware: &str, credentials: &Path, options: &DeviceOptions) -> String {
        let at = |path: &str| self.folder.join(path).display().to_string();
        let (mut uptane, mut pacman) = (String::new(), String::new());
        if let Some(url) = &options.detour {
            uptane =
                format!("director_server = \"{url}/director\"\nrepo_server = \"{url}/repo\"\n");
            pacman = format!("ostree_server = \"{url}/treehub\"\n");
        }
        let ill = options.fails_on.as_deref().unwrap_or("nothing-is-ever-called-this");
        let check = format!(
            "! grep -qx \"{ill}\" \"{}/$(sed -n 's/.*ostree=\\/\\(ostree[^ ]*\\).*/\\1/p' {})/{HEALTH_MARK}\"",
            at("sysroot"),
            self.kernel_cmdline().display()
        );
        let provision = if options.imported {
            "mode = \"DeviceCred\"".to_owned()
        } else {
            format!("provision_path = \"{}\"\nmode = \"SharedCredReuse\"", credentials.display())
        };
        format!(
            "[provision]\n{provision}\n\
             device_id = \"{}\"\nprimary_ecu_serial = \"{}-ecu\"\n\
             primary_ecu_hardware_id = \"{hardware}\"\n\n\
             [uptane]\npolling_sec = 1\n{uptane}\n\
             [pacman]\nos = \"os\"\nsysroot = \"{}\"\ncreate_sysroot = true\n{pacman}\n\
             [storage]\npath = \"{}\"\n\n\
             [bootloader]\nreboot_sentinel_dir = \"{}\"\nreboot_command = \"touch {}\"\n\n\
             [boot]\nkernel_cmdline = \"{}\"\n\n\
             [[health.checks]]\nname = \"mark\"\n\
             command = [\"/bin/sh\", \"-c\", '''{check}''']\ntimeout_sec = 10\n\n{}",
            self.id,
            self.id,
            at("sysroot"),
            at("storage"),
            at("run"),
            self.reboot_request().display(),
            self.kernel_cmdline().display(),
            options.configuration,
        )
    }

    /// Its name on the server.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its sysroot.
    #[must_use]
    pub fn sysroot(&self) -> PathBuf {
        self.folder.join("sysroot")
    }

    /// Its configuration.
    #[must_use]
    pub fn configuration_file(&self) -> PathBuf {
        self.folder.join("updraftd.toml")
    }

    /// The database of its state.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.join("storage/updraft.db")
    }

    /// Its log, when it runs as a process of its own.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("updraftd.log")
    }

    /// Sees to it that its state can be read and is consistent, as an independent reader has it.
    ///
    /// # Errors
    /// With what that reader found.
    pub fn check_state(&self) -> Result<()> {
        let database = self.database();
        if !database.is_file() {
            return Ok(());
        }
        let script = "import sqlite3,sys\n\
             print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
        let answer = Answer::good(Command::new("python3").args(["-c", script]).arg(&database))?;
        anyhow::ensure!(answer.out == "ok", "{}: {}", database.display(), answer.out);
        Ok(())
    }

    /// A cycle that kills itself before its write operation number `operations`; whether it came
    /// to that.
    ///
    /// # Errors
    /// When it ended in another way than by that or well.
    pub fn run_once_until_killed(&self, operations: u32) -> Result<bool> {
        self.run_until_killed(&["run-once"], operations)
    }

    /// Runs the agent with these arguments, and kills it in the same way.
    ///
    /// # Errors
    /// When it ended in another way than by that or well.
    pub fn run_until_killed(&self, arguments: &[&str], operations: u32) -> Result<bool> {
        let mut command = self.agent(arguments);
        command.env("UPDRAFT_TEST_KILL_AFTER", operations.to_string());
        let answer = Answer::of(&mut command)?;
        match answer.code {
            0 => Ok(false),
            // A signal has no exit code.
            255 => Ok(true),
            code => anyhow::bail!("{} ended with {code}: {}", arguments.join(" "), answer.err),
        }
    }

    fn kernel_cmdline(&self) -> PathBuf {
        self.folder.join("cmdline")
    }

    pub(crate) fn reboot_request(&self) -> PathBuf {
        self.folder.join("reboot-requested")
    }

    /// The agent with these arguments.
    #[must_use]
    pub fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = self.programs.command("updraftd");
        command.arg("--config").arg(self.configuration_file()).args(arguments);
        command
    }

    /// Runs the agent to its end, however that is.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Answer> {
        Answer::of(&mut self.agent(arguments))
    }

    /// One cycle, which has to succeed.
    ///
    /// # Errors
    /// With what the agent said.
    pub fn run_once(&self) -> Result<Answer> {
        Answer::good(&mut self.agent(&["run-once"]))
    }

    /// What the agent says about itself.
    ///
    /// # Errors
    /// With what the agent said.
    pub fn status(&self) -> Result<Value> {
        Answer::good(&mut self.agent(&["status", "--json"]))?.json()
    }

    /// Reboots into what the boot loader entries name; returns the entry's title.
    ///
    /// # Errors
    /// When there is nothing to boot.
    pub fn boot(&self) -> Result<String> {
        let _ = std::fs::remove_file(self.reboot_request());
        let title = boot(&self.sysroot(), &self.kernel_cmdline(), &self.folder.join("run"))?;
        // Followed now: later switches replace the link that the command line names.
        std::fs::write(self.folder.join("booted"), self.named_commit()?)?;
        Ok(title)
    }

    /// Cycles and reboots until a cycle asks for no reboot, at most `limit` times.
    ///
    /// # Errors
    /// With what the agent said.
    pub fn settle(&self, limit: usize) -> Result<()> {
        for _ in 0..limit {
            self.run_once()?;
            if self.status()?["reboot_required"] == Value::Bool(true) {
                self.boot()?;
            } else {
                return Ok(());
            }
        }
        anyhow::bail!("{} still wants to reboot after {limit} cycles", self.id)
    }

    /// The commit that was booted last.
    ///
    /// # Errors
    /// When nothing was.
    pub fn booted_commit(&self) -> Result<String> {
        let path = self.folder.join("booted");
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// The commit that the kernel command line leads to.
    fn named_commit(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.kernel_cmdline())?;
        let word = text.split_whitespace().find_map(|word| word.strip_prefix("ostree=/"));
        let link = self.sysroot().join(word.context("find ostree= on the command line")?);
        let target = std::fs::read_link(&link).with_context(|| link.display().to_string())?;
        let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(name.split('.').next().unwrap_or_default().to_owned())
    }

    /// Starts the agent as a service.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.agent(&["run"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().context("start updraftd")
    }
}
