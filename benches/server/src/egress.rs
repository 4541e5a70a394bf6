//! Downloads of one file, beside nginx: over plain HTTP, and over TLS with the same certificate and
//! the same cipher. The client is curl, which takes one file after the other.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Bench;
use crate::process::processor_time;
use crate::report::{Goal, Report, median};
use crate::server::{GATEWAY, Server, output, text};

/// The size of the file.
const BYTES: usize = 256 << 20;
/// How often it is downloaded from each in one round,
const TIMES: u32 = 16;
/// and how many rounds there are, of both in turn.
const ROUNDS: usize = 5;
/// The cipher of both, which the processor has instructions for.
const CIPHER: &str = "TLS_AES_256_GCM_SHA384";
/// How long nginx may take until it answers.
const START: Duration = Duration::from_secs(10);

/// A real nginx: one process, so that its processor time is its own.
struct Nginx {
    process: Child,
    plain: String,
    tls: String,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes per CPU-second and per second of ours, by those of nginx.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = Server::start(bench, None)?;
    let content: Vec<u8> = (0..BYTES).map(|at| (at ^ (at >> 9)).to_le_bytes()[0]).collect();
    let (set, module) = server.make_set("1", &content)?;
    let folder = server.path("www");
    std::fs::create_dir(&folder)?;
    drop(content);
    // The very same file: how the kernel keeps one in memory depends on how it was written.
    let stored = std::fs::read_dir(server.path("data/targets"))?.next().context("a file")??;
    std::fs::hard_link(stored.path(), folder.join("a.bin"))?;
    let path = format!("/default/controller/v1/d1/softwaremodules/{module}/artifacts/a.bin");
    server.make_device("d1")?;
    server.assign("d1", set)?;
    let nginx = Nginx::start(&server, &folder)?;
    if nginx.is_none() {
        report.skip("artifact egress beside nginx", "there is no nginx: apt-get install nginx");
    }
    for (how, ours, theirs) in [
        ("plain", &server.plain, nginx.as_ref().map(|nginx| &nginx.plain)),
        ("TLS", &server.url, nginx.as_ref().map(|nginx| &nginx.tls)),
    ] {
        let ours = format!("{ours}{path}");
        let (mut rates, mut by_processor, mut by_wall) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (took, wall) = download(&server, &ours, server.id())?;
            rates.push(f64::from(TIMES) * 0.25 / took);
            if let (Some(theirs), Some(nginx)) = (theirs, &nginx) {
                let (their_time, their_wall) = download(&server, theirs, nginx.process.id())?;
                by_processor.push(their_time / took);
                by_wall.push(their_wall / wall);
            }
        }
        let name = format!("artifact egress, {how}");
        report.line(&name, median(rates), "GiB per CPU-second", Goal::Nothing);
        if nginx.is_some() {
            let goal = Goal::AtLeast(0.9);
            report.line(&format!("{name}, by nginx, CPU"), median(by_processor), "ratio", goal);
            report.line(&format!("{name}, by nginx, time"), median(by_wall), "ratio", goal);
        }
    }
    Ok(())
}

/// The processor time that the server with this process takes for all downloads of a round, and the
/// time that these take, in seconds.
fn download(server: &Server, url: &str, id: u32) -> Result<(f64, f64)> {
    let token = format!("Authorization: GatewayToken {GATEWAY}");
    let authority = server.path("data/tls/ca.pem");
    let (before, begun) = (processor_time(id)?, Instant::now());
    for _ in 0..TIMES {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--http1.1", "-o", "/dev/null"]);
        curl.args(["--cacert", text(&authority)?, "--tls13-ciphers", CIPHER, "-H", &token, url]);
        output(&mut curl)?;
    }
    let took = processor_time(id)?.saturating_sub(before);
    Ok((took.as_secs_f64().max(0.01), begun.elapsed().as_secs_f64()))
}

impl Nginx {
    /// None when there is none.
    fn start(server: &Server, folder: &Path) -> Result<Option<Self>> {
        let free = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (port, tls) = (free()?, free()?);
        let at = folder.parent().context("a folder")?;
        let keys = server.path("data/tls");
        let configuration = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/nginx.log;
             user root;
             events {{ }}
             http {{ access_log off; sendfile on; tcp_nopush on;
                 ssl_certificate {keys}/server.pem; ssl_certificate_key {keys}/server.key;
                 ssl_protocols TLSv1.3;
                 server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl; root {root}; }} }}",
            at = at.display(),
            keys = keys.display(),
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
        let (plain, tls_url) =
            (format!("http://127.0.0.1:{port}/a.bin"), format!("https://127.0.0.1:{tls}/a.bin"));
        let nginx = Self { process, plain, tls: tls_url };
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
