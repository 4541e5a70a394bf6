//! Going into the background: the program starts itself once more, waits until that one serves,
//! and ends.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Set for the one in the background.
const MARK: &str = "UPDRAFT_TRIVIAL_HTTPD_IN_BACKGROUND";
/// What it prints when it serves.
const READY: &[u8] = b"ready\n";

/// Starts the server in the background with the same words, and returns when it serves.
pub(super) fn start() -> Result {
    let program = std::env::current_exe().context("failed to find this program")?;
    let mut words = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    let mut child = command
        .args(words.filter_map(foreground))
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Whoever waits for our outputs to close must not wait for the server's.
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("failed to start the server")?;
    let mut told = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(4096);
        let mut byte = [0];
        while !told.ends_with(READY) && stdout.read(&mut byte).is_ok_and(|read| read == 1) {
            told.push(byte[0]);
        }
    }
    let Some(printed) = told.strip_suffix(READY) else {
        let output = child.wait_with_output().context("failed to wait for the server")?;
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.trim().trim_start_matches("error: ");
        return Err(Failure::new(Kind::Invalid, words));
    };
    // The port, when it was to be printed.
    std::io::stdout().write_all(printed)?;
    Ok(())
}

/// The word without its wish to go into the background; `None` when nothing is left.
fn foreground(word: std::ffi::OsString) -> Option<std::ffi::OsString> {
    match word.to_str() {
        Some("-d" | "--daemonize") => None,
        // Short options in one word, such as `-dp FILE`.
        Some(text) if text.starts_with("-d") && !text.starts_with("--") => {
            Some(text.replacen('d', "", 1).into())
        }
        _ => Some(word),
    }
}

/// Tells whoever started this one in the background that it serves now.
pub(super) fn tell_ready() {
    if std::env::var_os(MARK).is_some() {
        let mut stdout = std::io::stdout().lock();
        // Nobody may be listening any more.
        let _ = stdout.write_all(READY).and_then(|()| stdout.flush());
    }
}
