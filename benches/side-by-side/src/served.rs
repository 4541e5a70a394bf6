//! A web server in a process of its own: what is measured is started by this process, and the
//! kernel counts the memory of whoever starts a program as the program's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use updraft_http::testing::Server;

/// The option under which this program is only a web server.
pub(crate) const OPTION: &str = "--serve";

/// A running server; it ends with this value.
pub(crate) struct Served {
    process: Child,
    url: String,
}

impl Served {
    /// Serves the files below `folder`, which need not exist yet.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(OPTION).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("start the web server")?;
        let output = process.stdout.take().context("take the output of the web server")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        Ok(Self { process, url: url.trim().to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It ends with its input in any case.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the other process does: serves until its input ends.
pub(crate) fn serve(folder: &Path) -> Result<()> {
    let server = Server::files(folder);
    writeln!(std::io::stdout(), "{}", server.url())?;
    let mut rest = Vec::new();
    std::io::stdin().lock().read_to_end(&mut rest)?;
    Ok(())
}
