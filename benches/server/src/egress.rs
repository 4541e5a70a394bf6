//! Downloads of one file over plain HTTP, beside nginx.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Bench;
use crate::process::processor_time;
use crate::report::{Goal, Report};
use crate::server::{GATEWAY, Server, output};

/// The size of the file.
const BYTES: usize = 256 << 20;
/// How often it is downloaded from each.
const TIMES: u32 = 12;
/// How long nginx may take until it answers.
const START: Duration = Duration::from_secs(10);

/// A real nginx: one process, so that its processor time is its own.
struct Nginx {
    process: Child,
    url: String,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes per CPU-second of ours, by those of nginx.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = Server::start(bench, None)?;
    let content: Vec<u8> = (0..BYTES).map(|at| (at ^ (at >> 9)).to_le_bytes()[0]).collect();
    let (set, module) = server.make_set(&content)?;
    let folder = server.path("www");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("a.bin"), &content)?;
    drop(content);
    let path = format!("/default/controller/v1/d1/softwaremodules/{module}/artifacts/a.bin");
    server.make_device("d1")?;
    server.assign("d1", set)?;
    let ours = download(&format!("{}{path}", server.plain), server.id())?;
    let gibibytes = f64::from(TIMES) * 0.25;
    let rate = gibibytes / ours.as_secs_f64().max(0.01);
    report.line("artifact egress", rate, "GiB per CPU-second", Goal::Nothing);
    let Some(nginx) = Nginx::start(&folder)? else {
        report.skip("artifact egress beside nginx", "there is no nginx: apt-get install nginx");
        return Ok(());
    };
    let theirs = download(&nginx.url, nginx.process.id())?;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64().max(0.01);
    report.line("artifact egress, by nginx", ratio, "ratio", Goal::AtLeast(0.9));
    Ok(())
}

/// The processor time that the server with this process takes for all downloads.
fn download(url: &str, id: u32) -> Result<Duration> {
    let before = processor_time(id)?;
    let token = format!("Authorization: GatewayToken {GATEWAY}");
    for _ in 0..TIMES {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "-o", "/dev/null", "-H", &token, url]);
        output(&mut curl)?;
    }
    Ok(processor_time(id)?.saturating_sub(before))
}

impl Nginx {
    /// None when there is none.
    fn start(folder: &Path) -> Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = folder.parent().context("a folder")?;
        let configuration = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/nginx.log;
             events {{ }}
             http {{ access_log off; sendfile on; tcp_nopush on;
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
        let nginx = Self { process, url: format!("http://127.0.0.1:{port}/a.bin") };
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
