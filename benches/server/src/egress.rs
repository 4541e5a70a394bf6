//! Downloads of one file, beside nginx: over plain HTTP, and over TLS with the same certificate and
//! the same cipher. The client is curl, which takes one file after the other.
//!
//! On one machine the kernel lets the one who sends do some of the receiver's work, or the other way round,
//! as they happen to run: so the processor time of both together is told, too.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::Bench;
use crate::process::{of_children, processor_time};
use crate::server::{GATEWAY, Server, output, text};
use updraft_measure::{Goal, Nginx, NginxOptions, Report, median};

/// The size of the file.
const BYTES: usize = 256 << 20;
/// How often it is downloaded from each in one round,
const TIMES: u32 = 16;
/// and how many rounds there are, of both in turn.
const ROUNDS: usize = 5;
/// The cipher of both, which the processor has instructions for.
const CIPHER: &str = "TLS_AES_256_GCM_SHA384";

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
    let keys = server.path("data/tls");
    let tls = Some((keys.join("server.pem"), keys.join("server.key")));
    let nginx = Nginx::start(&folder, &NginxOptions { tls, ..NginxOptions::default() })?;
    if nginx.is_none() {
        report.skip("artifact egress beside nginx", "there is no nginx: apt-get install nginx");
    }
    for (how, ours, theirs) in [
        ("plain", &server.plain, nginx.as_ref().map(Nginx::url)),
        ("TLS", &server.url, nginx.as_ref().map(Nginx::tls_url)),
    ] {
        let ours = format!("{ours}{path}");
        let mut rates = Vec::new();
        let (mut by_processor, mut by_both, mut by_wall) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let our = download(&server, &ours, server.id())?;
            rates.push(f64::from(TIMES) * 0.25 / our.server);
            if let (Some(theirs), Some(nginx)) = (theirs, &nginx) {
                let their = download(&server, &format!("{theirs}/a.bin"), nginx.id())?;
                by_processor.push(their.server / our.server);
                by_both.push((their.server + their.client) / (our.server + our.client));
                by_wall.push(their.wall / our.wall);
            }
        }
        let name = format!("artifact egress, {how}");
        report.line(&name, median(rates), "GiB per CPU-second", Goal::Nothing);
        if nginx.is_some() {
            let goal = Goal::AtLeast(0.9);
            report.line(&format!("{name}, by nginx, CPU"), median(by_processor), "ratio", goal);
            let both = format!("{name}, by nginx, CPU of both ends");
            report.line(&both, median(by_both), "ratio", goal);
            report.line(&format!("{name}, by nginx, time"), median(by_wall), "ratio", goal);
        }
    }
    Ok(())
}

/// What all downloads of a round take, in seconds.
struct Took {
    /// Processor time of the server,
    server: f64,
    /// and of its client.
    client: f64,
    wall: f64,
}

/// Downloads from the server with this process.
fn download(server: &Server, url: &str, id: u32) -> Result<Took> {
    let token = format!("Authorization: GatewayToken {GATEWAY}");
    let authority = server.path("data/tls/ca.pem");
    let (before, children, begun) = (processor_time(id)?, of_children()?, Instant::now());
    for _ in 0..TIMES {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--http1.1", "-o", "/dev/null"]);
        curl.args(["--cacert", text(&authority)?, "--tls13-ciphers", CIPHER, "-H", &token, url]);
        output(&mut curl)?;
    }
    let took = processor_time(id)?.saturating_sub(before);
    Ok(Took {
        server: took.as_secs_f64().max(0.01),
        client: of_children()?.saturating_sub(children).as_secs_f64(),
        wall: begun.elapsed().as_secs_f64(),
    })
}
