//! A fleet server as a process.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use updraft_http::{Client, ClientOptions, Identity};

use crate::{Answer, Programs};

/// This machine, as virtual machines with QEMU's user network see it.
const FROM_GUESTS: &str = "10.0.2.2";
/// How long the server may take until it answers.
const START: Duration = Duration::from_mins(1);
/// Between two questions whether it answers yet.
const ASK: Duration = Duration::from_millis(50);

/// A running server with its data folder. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    data: PathBuf,
    /// What tells it from others on the same data.
    name: String,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Initialises `data` and starts a server on a free port of the loopback address.
    ///
    /// # Errors
    /// When that does not work; the log is in `DATA/../server.log`.
    pub fn start(programs: &Programs, data: &Path) -> Result<Self> {
        Self::init(programs, data, &[])?;
        Self::run_on(programs, data, "")
    }

    /// The same with a database of PostgreSQL.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_with_database(programs: &Programs, data: &Path, url: &str) -> Result<Self> {
        Self::start_shared(programs, data, &["--database", url])
    }

    /// The same with further arguments of `init`.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_shared(programs: &Programs, data: &Path, more: &[&str]) -> Result<Self> {
        Self::init(programs, data, more)?;
        Self::run_on(programs, data, "")
    }

    /// One more server with a folder of its own: a copy of keys, certificates and configuration,
    /// for what may be shared without a folder.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn elsewhere(&self, data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        for name in ["server.toml", "tls", "keys"] {
            Answer::good(Command::new("cp").arg("-a").arg(self.data.join(name)).arg(data))?;
        }
        Self::run_on(&self.programs, data, "")
    }

    /// One more server on the same data, which have to be in a database that may be shared.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn another(&self, name: &str) -> Result<Self> {
        Self::run_on(&self.programs, &self.data, name)
    }

    fn init(programs: &Programs, data: &Path, more: &[&str]) -> Result<()> {
        let names = ["--name", "localhost", "--name", "127.0.0.1", "--name", FROM_GUESTS];
        let mut init = programs.command("updraft-server");
        Answer::good(init.arg("init").arg("--data").arg(data).args(names).args(more))?;
        Ok(())
    }

    fn run_on(programs: &Programs, data: &Path, name: &str) -> Result<Self> {
        // The port is free at this moment; the server takes it a moment later.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (programs, data, name) = (programs.clone(), data.to_path_buf(), name.to_owned());
        let mut server = Self { programs, data, name, port, process: None };
        server.run()?;
        Ok(server)
    }

    /// Starts the process again after [`Server::stop`].
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn run(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.programs.command("updraft-server");
        command.arg("run").arg("--data").arg(&self.data);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(command.spawn().context("start updraft-server")?);
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if let Some(status) = ended {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                bail!("the server ended with {status}: {log}");
            }
            if begun.elapsed() > START {
                bail!("the server does not answer on port {}", self.port);
            }
            std::thread::sleep(ASK);
        }
        Ok(())
    }

    /// Kills the process, as a power cut would.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Asks the process to end, as a service manager would, and waits until it has; whether it
    /// says that all went well.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn end(&mut self) -> Result<bool> {
        let Some(mut process) = self.process.take() else { return Ok(true) };
        Answer::good(Command::new("kill").arg("-TERM").arg(process.id().to_string()))?;
        Ok(process.wait()?.success())
    }

    /// Asks the process to look for new tenants and certificates, as a service manager would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn reload(&self) -> Result<()> {
        let process = self.process.as_ref().context("the server does not run")?;
        Answer::good(Command::new("kill").arg("-HUP").arg(process.id().to_string()))?;
        Ok(())
    }

    /// Lets the process go on after this value is gone, and returns its process id.
    pub fn leave_running(&mut self) -> Option<u32> {
        self.process.take().map(|process| process.id())
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The certificate of its CA.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.data.join("tls/ca.pem")
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.with_extension(format!("{}log", self.name))
    }

    /// Makes an operator's token.
    ///
    /// # Errors
    /// When the program does not succeed.
    pub fn token(&self, name: &str) -> Result<String> {
        self.token_with_scope(name, "admin")
    }

    /// The same with this scope.
    ///
    /// # Errors
    /// When the program does not succeed.
    pub fn token_with_scope(&self, name: &str, scope: &str) -> Result<String> {
        let mut command = self.programs.command("updraft-server");
        command.args(["token", "create", name, "--scope", scope]).arg("--data").arg(&self.data);
        let answer = Answer::good(&mut command)?;
        let token = answer.out.split_whitespace().last().context("find the token")?;
        Ok(token.to_owned())
    }

    /// Writes a credentials file for new devices.
    ///
    /// # Errors
    /// When the program does not succeed.
    pub fn credentials(&self, path: &Path) -> Result<()> {
        self.credentials_with(path, &self.url())
    }

    /// Writes a credentials file for new devices in virtual machines.
    ///
    /// # Errors
    /// When the program does not succeed.
    pub fn credentials_for_guests(&self, path: &Path) -> Result<()> {
        self.credentials_with(path, &format!("https://{FROM_GUESTS}:{}", self.port))
    }

    fn credentials_with(&self, path: &Path, url: &str) -> Result<()> {
        let mut command = self.programs.command("updraft-server");
        command.arg("credentials").arg("--data").arg(&self.data).arg("--out").arg(path);
        Answer::good(command.args(["--url", url]))?;
        Ok(())
    }

    /// A client that trusts this server and shows `identity`.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn client(&self, identity: Option<Identity>) -> Result<Client> {
        let ca_pem = Some(std::fs::read(self.ca())?);
        Ok(Client::new(&ClientOptions { ca_pem, identity, ..ClientOptions::default() })?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
