//! [`Nginx`]: a web server that sends files, as a peer.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(10);

/// A real nginx: one process, so that its processor time is its own.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    url: String,
    tls_url: String,
}

/// How it serves.
#[derive(Debug, Clone, Default)]
pub struct NginxOptions {
    /// Each connection has at most so many bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Certificate and key (PEM), to serve by TLS 1.3 as well.
    pub tls: Option<(PathBuf, PathBuf)>,
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

    /// Its address by TLS, without a path, for what was started with a certificate.
    #[must_use]
    pub fn tls_url(&self) -> &str {
        &self.tls_url
    }

    /// Serves a folder. None when there is no nginx.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start(folder: &Path, options: &NginxOptions) -> Result<Option<Self>> {
        let free = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (port, tls_port) = (free()?, free()?);
        let at = folder;
        let limit = options.bytes_per_second;
        let limit = limit.map_or(String::new(), |limit| format!("limit_rate {limit};"));
        let tls = options.tls.as_ref().map_or(String::new(), |(certificate, key)| {
            format!(
                "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;
                 listen 127.0.0.1:{tls_port} ssl;",
                certificate.display(),
                key.display()
            )
        });
        // As root it reads what tests keep to themselves.
        let configuration = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/nginx.log;
             user root;
             events {{ }}
             http {{ access_log off; sendfile on; tcp_nopush on; {limit}
                 server {{ listen 127.0.0.1:{port}; {tls} root {root}; }} }}",
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
        let url = format!("http://127.0.0.1:{port}");
        let nginx = Self { process, url, tls_url: format!("https://127.0.0.1:{tls_port}") };
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
