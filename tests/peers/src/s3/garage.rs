//! Garage: a distributed store, here with one node.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::{Key, free_port, output};

/// The region of its configuration.
pub(super) const REGION: &str = "garage";
const KEY: &str = "updraft-tests";

pub(super) fn start(program: &Path, folder: &Path, port: u16) -> Result<(Child, Key)> {
    let rpc = free_port()?;
    let (data, meta) = (folder.join("data"), folder.join("meta"));
    let secret = "5e".repeat(32);
    let configuration = format!(
        "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"sqlite\"\n\
         replication_factor = 1\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{secret}\"\n\n\
         [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{port}\"\n",
        meta.display(),
        data.display()
    );
    std::fs::write(folder.join("garage.toml"), configuration)?;
    // The command line finds the program there, too.
    std::os::unix::fs::symlink(std::path::absolute(program)?, folder.join("garage"))?;
    let log = File::create(folder.join("log"))?;
    let mut command = garage(folder);
    command.arg("server").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let key = Key { id: String::new(), secret: String::new() };
    Ok((command.spawn().context("start garage")?, key))
}

/// Gives the one node its part of the data, and makes a key.
pub(super) fn prepare(folder: &Path) -> Result<Key> {
    let node = output(garage(folder).args(["node", "id", "-q"]))?;
    let node = node.split('@').next().unwrap_or_default().trim().to_owned();
    output(garage(folder).args(["layout", "assign", "-z", "here", "-c", "1G", &node]))?;
    output(garage(folder).args(["layout", "apply", "--version", "1"]))?;
    let made = output(garage(folder).args(["key", "create", KEY]))?;
    let value = |name: &str| {
        let line = made.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(|value| value.trim().to_owned()).with_context(|| format!("{name} in {made}"))
    };
    Ok(Key { id: value("Key ID:")?, secret: value("Secret key:")? })
}

pub(super) fn make_bucket(folder: &Path, name: &str) -> Result<()> {
    output(garage(folder).args(["bucket", "create", name]))?;
    let allow = ["bucket", "allow", "--read", "--write", "--owner", name, "--key", KEY];
    output(garage(folder).args(allow)).map(drop)
}

fn garage(folder: &Path) -> Command {
    let program: PathBuf = folder.join("garage");
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("garage.toml"));
    command
}
