//! Running the programs that make kernels and disks: a failure is an error with what they said.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command to its end and gives what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    run_with(command, b"")
}

/// As [`run`], with `input` as its standard input.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start `{text}`"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not want all its input says so by its status.
        let _ = pipe.write_all(input);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{text}` ended with {}: {}", output.status, said.trim_end());
    }
    Ok(output.stdout)
}
