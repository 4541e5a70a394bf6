//! A PostgreSQL of Debian's, at a socket in a temporary folder.

use std::io::{Read as _, Seek as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Where Debian's programs are, by version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// What is committed is handed to the system, which goes on when the server crashes; that it
/// reaches the disk, no test needs.
const SETTINGS: &str = "-c listen_addresses='' -c fsync=off -c full_page_writes=off \
     -c max_connections=200 -c shared_buffers=32MB";

static RUNNING: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A running server, which ends with this value.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    settings: String,
    /// Where it listens with TLS, if it does.
    port: Option<u16>,
}

/// A database of its own in a server that others use, too.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    /// The server.
    pub server: Arc<Postgres>,
    /// The database's name.
    pub name: String,
}

impl PostgresDatabase {
    /// A new empty database, in the server that runs or in a new one.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn new() -> Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let server = match running.upgrade() {
            Some(server) => server,
            None => Arc::new(Postgres::start(SETTINGS)?),
        };
        *running = Arc::downgrade(&server);
        drop(running);
        server.database()
    }

    /// The same in a server of its own, which may be ended.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn alone() -> Result<Self> {
        Arc::new(Postgres::start(SETTINGS)?).database()
    }

    /// The same in a server of its own that listens on the loopback interface, with TLS only, and has
    /// this certificate and key (PEM).
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn with_tls(certificate: &str, key: &str) -> Result<Self> {
        Arc::new(Postgres::start_with_tls(certificate, key)?).database()
    }

    /// How a client finds it by this name of the host, through TLS.
    pub fn tls_url(&self, host: &str) -> String {
        let port = self.server.port.unwrap_or(5432);
        format!("postgresql://postgres@{host}:{port}/{}", self.name)
    }

    /// How a client finds it.
    pub fn url(&self) -> String {
        format!("host={} user=postgres dbname={}", self.server.folder().display(), self.name)
    }

    /// Runs statements; gives the values of what they answer, a line each.
    ///
    /// # Errors
    /// When one fails.
    pub fn run(&self, statements: &str) -> Result<String> {
        let mut psql = self.server.program("psql")?;
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
        psql.arg(self.server.folder()).args(["-c", statements]).arg(&self.name);
        let output = psql.output().context("run psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

impl Postgres {
    /// Starts a server with settings as its command line takes them (`-c fsync=off …`).
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start(settings: &str) -> Result<Self> {
        let server = Self::made(settings.to_owned(), None)?;
        server.up()?;
        Ok(server)
    }

    fn start_with_tls(certificate: &str, key: &str) -> Result<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = SETTINGS.replace("listen_addresses=''", "listen_addresses=127.0.0.1");
        let server = Self::made(format!("{settings} -c ssl=on -c port={free}"), Some(free))?;
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        let files = [("server.crt", certificate), ("server.key", key), ("pg_hba.conf", rules)];
        for (name, text) in files {
            let path = server.data().join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
            if let Some(user) = other_user()? {
                std::os::unix::fs::chown(&path, Some(user.0), Some(user.1))?;
            }
        }
        server.up()?;
        Ok(server)
    }

    /// A folder with everything in it, and nothing that runs.
    fn made(settings: String, port: Option<u16>) -> Result<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().context("a folder for PostgreSQL")?;
        // It refuses to run as root.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
        let server = Self { folder, programs, settings, port };
        if let Some(user) = other_user()? {
            std::os::unix::fs::chown(server.folder(), Some(user.0), Some(user.1))?;
        }
        let mut init = server.program("initdb")?;
        init.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]);
        init.args(["--username=postgres", "--pgdata"]).arg(server.data());
        succeed(&mut init)?;
        Ok(server)
    }

    /// A new empty database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(self: Arc<Self>) -> Result<PostgresDatabase> {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let mut create = self.program("createdb")?;
        create.args(["-U", "postgres", "-h"]).arg(self.folder()).arg(&name);
        succeed(&mut create)?;
        Ok(PostgresDatabase { server: self, name })
    }

    /// Ends it as a cut of the power would, and starts it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crash_and_restart(&self) -> Result<()> {
        self.down("immediate")?;
        self.up()
    }

    /// Its first process, which starts all others.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self) -> Result<u32> {
        let file = self.data().join("postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        text.lines().next().and_then(|line| line.trim().parse().ok()).context("its process")
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn up(&self) -> Result<()> {
        let mut start = self.program("pg_ctl")?;
        start.arg("--pgdata").arg(self.data()).arg("--log").arg(self.folder().join("log"));
        let options = format!("-k {} {}", self.folder().display(), self.settings);
        start.args(["--wait", "--options", &options, "start"]);
        succeed(&mut start)
    }

    fn down(&self, mode: &str) -> Result<()> {
        let mut stop = self.program("pg_ctl")?;
        stop.arg("--pgdata").arg(self.data()).args(["--wait", "--mode", mode, "stop"]);
        succeed(&mut stop)
    }

    fn program(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        if let Some(port) = self.port {
            // Also the name of the socket.
            command.env("PGPORT", port.to_string());
        }
        if let Some((user, group)) = other_user()? {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(error) = self.down("immediate") {
            eprintln!("PostgreSQL does not stop: {error:#}");
        }
    }
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir(PROGRAMS)
        .with_context(|| format!("no PostgreSQL in {PROGRAMS}: install Debian's postgresql"))?;
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for version in versions {
        let version = version?;
        let programs = version.path().join("bin");
        let number = version.file_name().to_string_lossy().parse();
        if let (Ok(number), true) = (number, programs.join("initdb").exists()) {
            found.push((number, programs));
        }
    }
    let newest = found.into_iter().max().context("no PostgreSQL: install Debian's postgresql")?;
    Ok(newest.1)
}

/// As whom root runs it: its user and group.
fn other_user() -> Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self").context("look who we are")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&"postgres"))
        .context("no user postgres: install Debian's postgresql")?;
    match fields.as_slice() {
        [_, _, user, group, ..] => Ok(Some((user.parse()?, group.parse()?))),
        _ => bail!("/etc/passwd has a damaged line for postgres"),
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    // What stays running must not hold a pipe of ours.
    let mut output = tempfile::tempfile()?;
    command.stdin(std::process::Stdio::null());
    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    output.rewind()?;
    output.read_to_string(&mut said)?;
    bail!("{command:?}: {}", said.trim())
}
