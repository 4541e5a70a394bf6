//! Downloads of one file over plain HTTP, beside nginx.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use updraft_measure::{Goal, Nginx, Report};

use crate::Bench;
use crate::process::processor_time;
use crate::server::{GATEWAY, Server, output};

/// The size of the file.
const BYTES: usize = 256 << 20;
/// How often it is downloaded from each.
const TIMES: u32 = 12;

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
    let Some(nginx) = Nginx::start(&folder, None)? else {
        report.skip("artifact egress beside nginx", "there is no nginx: apt-get install nginx");
        return Ok(());
    };
    let theirs = download(&format!("{}/a.bin", nginx.url()), nginx.id())?;
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
