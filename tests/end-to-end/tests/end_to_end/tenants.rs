//! Tenants come and go while the server runs.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::{Answer, Programs, Server};

const HOST: &str = "acme.test";
/// How long the server may take to look.
const PATIENCE: Duration = Duration::from_secs(30);

struct Lab {
    programs: Programs,
    server: Server,
}

impl Lab {
    fn tenant(&self, words: &[&str]) -> Result<Answer> {
        let mut command = self.programs.command("updraft-server");
        Answer::good(command.args(words).arg("--data").arg(self.server.data()))
    }

    fn curl(&self, ca: &Path, host: &str, path: &str) -> Command {
        let port = self.server.url().rsplit(':').next().unwrap_or_default().to_owned();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "20", "--cacert"]).arg(ca);
        curl.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
        curl.arg(format!("https://{host}:{port}{path}"));
        curl
    }

    /// Whether a client that trusts `ca` is answered at the tenant's host.
    fn is_served(&self, ca: &Path, token: &str) -> Result<bool> {
        let mut curl = self.curl(ca, HOST, "/api/v1/devices");
        curl.args(["--fail", "-H", &format!("Authorization: Bearer {token}")]);
        Ok(Answer::of(&mut curl)?.code == 0)
    }

    fn wait(&self, what: &str, mut seen: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !seen()? {
            let log = || std::fs::read_to_string(self.server.log()).unwrap_or_default();
            ensure!(begun.elapsed() < PATIENCE, "it is not seen that {what}: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A client that listens to events as long as the server lets it.
struct Listener {
    process: Child,
    out: ChildStdout,
}

impl Listener {
    fn start(lab: &Lab, ca: &Path, host: &str, token: &str) -> Result<Self> {
        let mut curl = lab.curl(ca, host, "/api/v1/events/stream");
        curl.args([
            "--no-buffer",
            "--max-time",
            "600",
            "-H",
            &format!("Authorization: Bearer {token}"),
        ]);
        curl.arg("--include").stdout(Stdio::piped());
        let mut process = curl.spawn().context("curl is installed")?;
        let mut out = process.stdout.take().context("stdout")?;
        let mut head = [0; 10];
        out.read_exact(&mut head)?;
        ensure!(&head == b"HTTP/2 200", "{}", String::from_utf8_lossy(&head));
        Ok(Self { process, out })
    }

    fn is_ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.out.read(&mut [0; 1]);
    }
}

#[test]
fn tenants_come_and_go_while_others_are_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let programs = Programs::beside_tests()?;
    let server = Server::start(&programs, &folder.path().join("server"))?;
    let own = server.token("operator")?;
    let lab = Lab { programs, server };
    let mut listens = Listener::start(&lab, &lab.server.ca(), "localhost", &own)?;

    lab.tenant(&["tenant", "add", "acme", "--hostname", HOST])?;
    let made =
        lab.tenant(&["token", "create", "operator", "--scope", "admin", "--tenant", "acme"])?;
    let token = made.out.split_whitespace().last().context("a token")?.to_owned();
    let tenant = lab.server.data().join("tenants/acme");
    let kept = folder.path().join("ca.pem");
    std::fs::copy(tenant.join("tls/ca.pem"), &kept)?;
    ensure!(!lab.is_served(&kept, &token)?, "it is served before anybody asked for it");
    // One that is wrong holds up no other.
    std::fs::create_dir(lab.server.data().join("tenants/broken"))?;
    lab.server.reload()?;
    lab.wait("the tenant is served", || lab.is_served(&kept, &token))?;
    let log = std::fs::read_to_string(lab.server.log())?;
    ensure!(log.contains("a tenant cannot be served") && log.contains("broken"), "{log}");
    let mut listens_there = Listener::start(&lab, &kept, HOST, &token)?;

    // The folder is anybody's once the tenant is gone, and its connections end.
    let away = folder.path().join("acme");
    std::fs::rename(&tenant, &away)?;
    lab.server.reload()?;
    lab.wait("the tenant's connection ends", || listens_there.is_ended())?;
    lab.wait("it is let go", || {
        Ok(std::fs::read_to_string(lab.server.log())?.contains("a tenant is gone"))
    })?;
    ensure!(!lab.is_served(&kept, &token)?, "it is served although it is gone");
    std::fs::rename(&away, &tenant)?;
    lab.server.reload()?;
    lab.wait("the tenant is served again", || lab.is_served(&kept, &token))?;

    // Nobody else has noticed.
    ensure!(!listens.is_ended()?, "the connection of another tenant has ended");
    Ok(())
}

#[test]
fn a_new_certificate_is_shown_without_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let programs = Programs::beside_tests()?;
    let server = Server::start(&programs, &folder.path().join("server"))?;
    let lab = Lab { programs, server };
    let shown = || -> Result<String> {
        let mut curl = lab.curl(&lab.server.ca(), "localhost", "/");
        curl.args(["--output", "/dev/null", "--write-out", "%{certs}"]);
        Ok(Answer::good(&mut curl)?.out)
    };
    let before = shown()?;
    lab.tenant(&["certificate", "renew", "--name", "localhost"])?;
    ensure!(shown()? == before, "it is read anew for every connection");
    lab.server.reload()?;
    lab.wait("the new certificate is shown", || Ok(shown()? != before))
}
