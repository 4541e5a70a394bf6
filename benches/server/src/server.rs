//! A server to measure, and its operator.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use peers::PostgresDatabase;
use serde_json::{Value, json};
use tempfile::TempDir;
use updraft_http::{Client, ClientOptions, Method, Request};

use crate::Bench;
use crate::process::processor_time;

/// What devices of hawkBit show.
pub(crate) const GATEWAY: &str = "gateway-secret";
/// The largest answer that is read.
const LIMIT: u64 = 64 << 20;
/// The bench is one client, and asks as often as it can.
const CONFIGURATION: &str = "[limits]\nconnections = 20000\ndevice_requests_per_minute = 0\n\
                             address_requests_per_minute = 0\n";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    folder: TempDir,
    process: Child,
    /// For TLS, and for plain HTTP.
    pub(crate) url: String,
    pub(crate) plain: String,
    operator: Client,
    database: Option<PostgresDatabase>,
}

impl Server {
    /// A new server on SQLite, or on PostgreSQL.
    pub(crate) fn start(bench: &Bench, database: Option<PostgresDatabase>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let program = bench.programs.join("updraft-server");
        let server = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(arguments).arg("--data").arg(&data).env("UPDRAFT_LOG", "error");
            command
        };
        let mut init = server(&["init", "--name", "localhost", "--name", "127.0.0.1"]);
        if let Some(database) = &database {
            init.args(["--database", &database.url()]);
        }
        output(&mut init)?;
        let file = data.join("server.toml");
        let made = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, format!("{}\n{CONFIGURATION}", without_limits(&made)))?;
        let token = output(&mut server(&["token", "create", "operator", "--scope", "admin"]))?;
        let token = token.split_whitespace().last().context("find the token")?.to_owned();
        let addresses = ["--listen", "127.0.0.1:0", "--listen-plain", "127.0.0.1:0"];
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut run = server(&["run", "--json"]);
        let mut process = run.args(addresses).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().context("a pipe")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).context("the server did not start")?;
        let address = |name: &str| told[name].as_str().map(str::to_owned).context("an address");
        let operator = Client::new(&ClientOptions {
            ca_pem: Some(std::fs::read(data.join("tls/ca.pem"))?),
            bearer_token: Some(token),
            ..ClientOptions::default()
        })?;
        let server = Self {
            programs: bench.programs.clone(),
            url: format!("https://{}", address("listening")?),
            plain: format!("http://{}", address("listening_plain")?),
            folder,
            process,
            operator,
            database,
        };
        for (key, value) in [("enabled", json!(true)), ("key", json!(GATEWAY))] {
            let path = format!("/rest/v1/system/configs/authentication.gatewaytoken.{key}");
            server.send(Method::Put, &path, &json!({ "value": value }))?;
        }
        Ok(server)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A path for something of this server.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether its database is one of PostgreSQL.
    pub(crate) fn is_on_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// Runs statements in its database, beside it.
    pub(crate) fn sql(&self, statements: &str) -> Result<()> {
        if let Some(database) = &self.database {
            return database.run(&format!("SET search_path TO updraft; {statements}")).map(drop);
        }
        let file = rusqlite::Connection::open(self.path("data/updraft.db"))?;
        file.busy_timeout(Duration::from_mins(1))?;
        Ok(file.execute_batch(statements)?)
    }

    /// Writes a credentials file.
    pub(crate) fn credentials(&self) -> Result<PathBuf> {
        let path = self.path("credentials.zip");
        let mut command = Command::new(self.programs.join("updraft-server"));
        command.arg("credentials").arg("--data").arg(self.path("data")).arg("--out").arg(&path);
        output(command.args(["--url", &self.url]))?;
        Ok(path)
    }

    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.ask(method, path, ("application/json", body.to_string().into_bytes()))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::Get, path, ("", Vec::new()))
    }

    pub(crate) fn ask(&self, method: Method, path: &str, body: (&str, Vec<u8>)) -> Result<Value> {
        let mut request = Request::new(method, format!("{}{path}", self.url));
        if method != Method::Get {
            request = request.header("Content-Type", body.0).body(body.1);
        }
        let answer = self.operator.send(request)?;
        let status = answer.status;
        let bytes = answer.bytes(LIMIT)?;
        ensure!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A distribution set with one file, and its software module.
    pub(crate) fn make_set(&self, version: &str, content: &[u8]) -> Result<(i64, i64)> {
        let id = |made: &Value| made[0]["id"].as_i64().context("a number");
        let module = json!([{ "name": "firmware", "version": version, "type": "os" }]);
        let module = id(&self.send(Method::Post, "/rest/v1/softwaremodules", &module)?)?;
        let mut form = b"--line\r\nContent-Disposition: form-data; name=\"file\"; \
            filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            .to_vec();
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n--line--\r\n");
        let path = format!("/rest/v1/softwaremodules/{module}/artifacts");
        self.ask(Method::Post, &path, ("multipart/form-data; boundary=line", form))?;
        let set = json!([{ "name": "system", "version": version, "type": "os",
            "modules": [{ "id": module }] }]);
        Ok((id(&self.send(Method::Post, "/rest/v1/distributionsets", &set)?)?, module))
    }

    /// Lets a device of hawkBit be known.
    pub(crate) fn make_device(&self, id: &str) -> Result<()> {
        self.send(Method::Post, "/rest/v1/targets", &json!([{ "controllerId": id, "name": id }]))?;
        Ok(())
    }

    /// Assigns a distribution set to a device; gives the action.
    pub(crate) fn assign(&self, id: &str, set: i64) -> Result<i64> {
        let path = format!("/rest/v1/targets/{id}/assignedDS");
        let assigned = self.send(Method::Post, &path, &json!({ "id": set }))?;
        assigned["assignedActions"][0]["id"].as_i64().context("an action")
    }

    /// Plays a fleet: what the summary says, and how much processor time the server took.
    pub(crate) fn play(&self, arguments: &[&str]) -> Result<(Value, Duration)> {
        let before = processor_time(self.id())?;
        let mut sim = Command::new(self.programs.join("updraft-sim"));
        let said = output(sim.args(arguments).args(["--json", "--quiet"]))?;
        let took = processor_time(self.id())?.saturating_sub(before);
        Ok((serde_json::from_str(&said)?, took))
    }

    /// How long a request of an operator takes.
    pub(crate) fn timed<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<(T, Duration)> {
        let begun = Instant::now();
        let done = work(self)?;
        Ok((done, begun.elapsed()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `init` wrote, without the section that is replaced.
fn without_limits(text: &str) -> String {
    let mut is_kept = true;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            is_kept = line.trim() != "[limits]";
        }
        if is_kept {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// What a program prints that has to succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.env("NO_COLOR", "1").output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The path as text.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in Unicode")
}
