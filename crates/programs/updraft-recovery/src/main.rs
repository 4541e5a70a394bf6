//! `updraft-recovery`: installs OTA packages on a device with one copy of its system, from an initramfs
//! or a partition of its own.
//!
//! ```text
//! updraft-recovery [--config FILE] [--root FOLDER] [--reboot] [OPTION…]
//! ```
//! The options are those of Android's recovery: `--update_package=PATH`, `--wipe_data` and so on. Without
//! any the control block says what to do, or the command file in the cache.

mod config;
mod console;
mod gate;
mod kernel_log;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::system::RebootCommand;
use updraft_recovery_engine::{Next, Outcome, Recovery, Settings, System};
use updraft_task::{CancelToken, Context};

use config::Config;

const USAGE: &str = "\
usage: updraft-recovery [--config FILE] [--root FOLDER] [--reboot] [OPTION...]

Does what the options say; without any, what the control block in `misc` says, or the file
`recovery/command` in the cache.

  --update_package=PATH  verify this package and install it
  --sideload             the same with the package at the place that the configuration names
  --wipe_data            remove the data of the user
  --wipe_cache           empty the cache, but for logs
  --shutdown_after       turn the device off at the end
  --reason=TEXT          say in the log why

  --config FILE          instead of /etc/updraft/recovery.toml
  --root FOLDER          below which all other paths are
  --reboot               restart the device, or turn it off, as it turns out

Ends with 0 when the system may start, 10 when recovery has to start again, 11 when the device has
to be turned off, 12 when the system is half written and only another package helps, and 1 when
recovery itself cannot work.
";
const CONFIG: &str = "/etc/updraft/recovery.toml";

struct Arguments {
    config: PathBuf,
    root: PathBuf,
    reboot: bool,
    options: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments {
        config: PathBuf::from(CONFIG),
        root: PathBuf::from("/"),
        reboot: false,
        options: Vec::new(),
    };
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match (&word[..], word.split_once('=')) {
            ("--help", _) => return console::print(USAGE),
            ("--version", _) => {
                return console::print(&format!(
                    "updraft-recovery {}\n",
                    env!("CARGO_PKG_VERSION")
                ));
            }
            ("--reboot", _) => arguments.reboot = true,
            ("--config" | "--root", _) => match words.next() {
                Some(path) if word == "--root" => arguments.root = path.into(),
                Some(path) => arguments.config = path.into(),
                None => return usage(&format!("{word} needs a path")),
            },
            _ if word.starts_with("--") => arguments.options.push(word),
            _ => return usage(&format!("{word} is no option")),
        }
    }
    match run(&arguments) {
        Ok(outcome) => ended(&outcome, arguments.reboot),
        Err(problem) => {
            console::say(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    console::say(problem);
    console::say(USAGE.trim_end());
    ExitCode::from(2)
}

fn run(arguments: &Arguments) -> Result<Outcome, String> {
    let config = Config::read(&arguments.config)?;
    let context = Context::new(CancelToken::new(), Arc::new(console::Console));
    let mut system = System {
        root: arguments.root.clone(),
        super_partition: config.super_partition.clone(),
        ..System::default()
    };
    let failed = |error: updraft_recovery_engine::Error| console::with_causes(&error);
    for path in &config.properties {
        system.add_properties(&system.path(path)).map_err(failed)?;
    }
    if let Some(compatible) = &config.compatible {
        system.properties.insert("compatible".to_owned(), compatible.clone());
    }
    let keys = config.trusted_keys(&system).map_err(failed)?;
    let gate = || gate::ask(&context, &config.gate);
    let settings = Settings {
        cache: system.path(&config.cache),
        data: config.data.as_deref().map(|data| system.path(data)),
        misc: config.misc.clone(),
        keys,
        sideload: config.sideload.clone(),
        gate: &gate,
        kernel_log: kernel_log::read(),
    };
    let recovery = Recovery::new(&context, &settings, &system).map_err(failed)?;
    recovery.run(&arguments.options).map_err(failed)
}

/// Tells how it ended, and leads the device there when it shall.
fn ended(outcome: &Outcome, reboot: bool) -> ExitCode {
    if let Some(error) = &outcome.error {
        console::say(&format!("error: {}", console::with_causes(error)));
    }
    let (code, command) = match outcome.next {
        Next::System => (0, Some(RebootCommand::Restart)),
        Next::Recovery => (10, Some(RebootCommand::Restart)),
        Next::PowerOff => (11, Some(RebootCommand::PowerOff)),
        Next::Stay => {
            console::say(
                "hint: the system is half written: bring another package, and start again",
            );
            (12, None)
        }
    };
    if let Some(command) = command.filter(|_| reboot) {
        rustix::fs::sync();
        if let Err(error) = rustix::system::reboot(command) {
            console::say(&format!("error: failed to restart the device: {error}"));
        }
    }
    ExitCode::from(code)
}
