//! `cargo xtask fuzz`: libFuzzer on stable Rust.
//!
//! The instrumentation is asked of LLVM directly, so that no nightly toolchain is needed. An
//! explicit target keeps it away from build scripts.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell;

const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to run each target
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only these targets
    targets: Vec<String>,
}

impl Options {
    /// Every target, for so many seconds.
    pub(crate) fn all_for(seconds: u64) -> Self {
        Self { seconds, targets: Vec::new() }
    }
}

/// Builds the targets that are asked for, and runs them one after the other.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = chosen(targets()?, &options.targets)?;
    build(&chosen)?;
    let folder = shell::workspace().join("fuzz");
    let mut found = Vec::new();
    for target in chosen {
        let corpus = folder.join("corpus").join(&target);
        std::fs::create_dir_all(&corpus)?;
        let mut command = Command::new(binaries().join(&target));
        command.arg(&corpus).arg(format!("-max_total_time={}", options.seconds));
        command.arg(format!("-artifact_prefix={}/{target}-", folder.join("artifacts").display()));
        std::fs::create_dir_all(folder.join("artifacts"))?;
        if let Err(error) = shell::run(&mut command) {
            found.push(format!("{target}: {error:#}"));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("found something; the inputs lie in fuzz/artifacts:\n  {}", found.join("\n  "))
}

/// Whether there are targets.
pub(crate) fn exists() -> bool {
    shell::workspace().join("fuzz/Cargo.toml").is_file()
}

/// Checks all targets against the libraries as they are, without the minutes that instrumented code
/// and a link for each target would take.
pub(crate) fn check() -> Result<()> {
    let mut command = shell::cargo();
    command.current_dir(shell::workspace().join("fuzz"));
    command.env("CARGO_TARGET_DIR", shell::target_folder()?);
    shell::run(command.args(["clippy", "--locked", "--keep-going", "--", "-D", "warnings"]))
}

/// Builds these targets: each is linked by itself, which takes the most memory and time.
fn build(targets: &[String]) -> Result<()> {
    let mut command = shell::cargo();
    command.current_dir(shell::workspace().join("fuzz"));
    command.env("RUSTFLAGS", INSTRUMENTATION).env("CARGO_TARGET_DIR", target_folder());
    command.args(["build", "--profile", "fuzz", "--target", &host()?]);
    for target in targets {
        command.args(["--bin", target]);
    }
    shell::run(&mut command)
}

/// Those of all targets that are asked for: all, if none is.
fn chosen(all: Vec<String>, asked: &[String]) -> Result<Vec<String>> {
    if let Some(name) = asked.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {name}; there are {}", all.join(", "));
    }
    Ok(all.into_iter().filter(|name| asked.is_empty() || asked.contains(name)).collect())
}

/// The names of the targets: files of `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = shell::workspace().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn target_folder() -> PathBuf {
    shell::target_folder().map_or_else(|_| "target".into(), |folder| folder.join("fuzz"))
}

fn binaries() -> PathBuf {
    let host = host().unwrap_or_default();
    target_folder().join(host).join("fuzz")
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("find the host's name in the output of `rustc -vV`")
}

#[cfg(test)]
mod tests {
    use super::chosen;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn all_targets_run_unless_some_are_asked_for() {
        assert_eq!(chosen(names("a b c"), &[]).ok(), Some(names("a b c")));
        assert_eq!(chosen(names("a b c"), &names("c a")).ok(), Some(names("a c")));
        let error = chosen(names("a b"), &names("x")).map_err(|error| error.to_string());
        assert_eq!(error, Err("there is no target x; there are a, b".to_owned()));
    }
}
