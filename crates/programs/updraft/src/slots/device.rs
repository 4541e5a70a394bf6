//! The device that commands are about, and what they say when it refuses.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Classify as _;
use updraft_slots::{Engine, Error, ErrorCode, SlotsConfig};
use updraft_terminal::{Failure, Result, ResultExt as _};

const COMMAND_LINE: &str = "/proc/cmdline";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which device.
#[derive(Debug, Args)]
pub(super) struct DeviceOptions {
    /// What the slots are.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/updraft/slots.toml")]
    config: PathBuf,
    /// What tells this start of the system from others, in place of the kernel's own.
    #[arg(long, global = true, value_name = "ID", hide = true)]
    boot_id: Option<String>,
}

impl DeviceOptions {
    /// What the slots are.
    pub(super) fn config(&self) -> Result<SlotsConfig> {
        SlotsConfig::load(&self.config)
            .hint("the guide's page \"Updating slots\" shows what the file has to say")
    }

    pub(super) fn open(&self) -> Result<Engine> {
        let config = self.config()?;
        let command_line = read(Path::new(COMMAND_LINE))?;
        let root = std::fs::metadata("/").map(|about| about.dev()).ok();
        let running = config.running_slot(&command_line, root);
        let boot_id = match &self.boot_id {
            Some(id) => id.clone(),
            None => read(Path::new(BOOT_ID))?,
        };
        let engine = Engine::open(config, running, boot_id.trim()).map_err(failure)?;
        Ok(engine.with_clock(std::time::SystemTime::now))
    }
}

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path);
    text.with_context(|| format!("failed to read {}", path.display()))
}

/// An error of slots, with its code and the way out.
pub(super) fn failure(error: Error) -> Failure {
    if let Error::Refused(obstacles) = &error {
        let problems = obstacles.iter().map(|one| format!("\n  {}", one.problem));
        let message = format!("the update is not begun:{}", problems.collect::<String>());
        let mut failure = Failure::new(error.kind(), message);
        for obstacle in obstacles {
            failure = failure.hint(&obstacle.way_out);
        }
        return failure;
    }
    let code = ErrorCode::of(&error);
    let failure = Failure::from(error);
    if code == ErrorCode(1) {
        return failure;
    }
    failure.hint(format!("{} (update_engine's code {}: {})", code.cure(), code.0, code.name()))
}
