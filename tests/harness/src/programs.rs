//! Where the programs are, and running them to their end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The folder with `updraft`, `updraftd` and `updraft-server`.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// The programs in `folder`.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        for name in ["updraft", "updraftd", "updraft-server"] {
            let path = folder.join(name);
            if !path.is_file() {
                bail!("{} is not there; build it with `cargo build --workspace`", path.display());
            }
        }
        Ok(Self(folder.to_path_buf()))
    }

    /// The programs of the build that the current test binary belongs to.
    ///
    /// # Errors
    /// As [`Programs::in_folder`].
    pub fn beside_tests() -> Result<Self> {
        let own = std::env::current_exe().context("find the test binary")?;
        // target/debug/deps/TEST
        let folder = own.parent().and_then(Path::parent).context("find target/debug")?;
        Self::in_folder(folder)
    }

    /// Where a program is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A command that runs one of the programs, without colours.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.0.join(name));
        command.env("NO_COLOR", "1");
        command
    }
}

/// What a program that ended left behind.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its exit code; 255 for a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Result<Self> {
        let name = describe(command);
        let output: Output = command.output().with_context(|| format!("start `{name}`"))?;
        Ok(Self {
            code: output.status.code().unwrap_or(255),
            out: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            err: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        })
    }

    /// Runs a command that has to succeed.
    ///
    /// # Errors
    /// With what it said, when it did not.
    pub fn good(command: &mut Command) -> Result<Self> {
        let name = describe(command);
        let answer = Self::of(command)?;
        if answer.code != 0 {
            bail!("`{name}` ended with {}: {} {}", answer.code, answer.out, answer.err);
        }
        Ok(answer)
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    /// When it is something else.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("read as JSON: {}", self.out))
    }
}

/// Runs the real `ostree`, which has to succeed, and returns what it printed.
///
/// # Errors
/// With what it said, when it did not.
pub fn ostree<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String> {
    Ok(Answer::good(Command::new("ostree").args(arguments))?.out)
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
