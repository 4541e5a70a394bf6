//! [`Nginx`]: a web server that sends files, as a peer.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(10);

/// A real nginx: one process, so that its processor time is its own.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    url: String,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// Its address, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Serves a folder, each connection with at most so many bytes a second. None when there is no
    /// nginx.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start(folder: &Path, limit: Option<u64>) -> Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = folder.parent().context("a folder")?;
        let limit = limit.map_or(String::new(), |limit| format!("limit_rate {limit};"));
        let configuration = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/nginx.log;
             events {{ }}
             http {{ access_log off; sendfile on; tcp_nopush on; {limit}
                 server {{ listen 127.0.0.1:{port}; root {root}; }} }}",
            at = at.display(),
            root = folder.display(),
        );
        let file = at.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let nginx = Self { process, url: format!("http://127.0.0.1:{port}") };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > START {
                bail!("nginx does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(nginx))
    }
}
