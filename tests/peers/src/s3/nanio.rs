//! nanio: a store of a few thousand lines of Python, whose buckets are folders.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::{Key, output};

const PACKAGE: &str = "nanio==0.1.7";

pub(super) fn start(folder: &Path, port: u16) -> Result<(Child, Key)> {
    let key = Key { id: "updraft-tests".to_owned(), secret: "not+a/secret".to_owned() };
    let log = File::create(folder.join("log"))?;
    let mut command = Command::new(python()?);
    command.args(["-m", "nanio", "serve", "--host", "127.0.0.1", "--no-access-log"]);
    command.args(["--port", &port.to_string(), "--data-dir"]).arg(folder.join("data"));
    command.env("NANIO_ACCESS_KEY", &key.id).env("NANIO_SECRET_KEY", &key.secret);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok((command.spawn().context("start nanio")?, key))
}

pub(super) fn make_bucket(folder: &Path, name: &str) -> Result<()> {
    Ok(std::fs::create_dir_all(folder.join("data").join(name))?)
}

pub(super) fn names(folder: &Path, bucket: &str) -> Result<Vec<String>> {
    let bucket = folder.join("data").join(bucket);
    let mut folders = vec![bucket.clone()];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.strip_prefix(&bucket)?.to_string_lossy().into_owned();
            // What it keeps for itself.
            if name.starts_with(".nanio") || name.contains("/.nanio") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The interpreter of an environment with nanio, which is made for the first test.
fn python() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).context("the test lies in a target folder")?;
    let folder = target.join("tmp").join(PACKAGE.replace("==", "-"));
    let (python, ready) = (folder.join("bin/python3"), folder.join("ready"));
    std::fs::create_dir_all(&folder)?;
    // Other tests may be about to make it.
    let turn = File::create(folder.with_extension("lock"))?;
    turn.lock()?;
    if !ready.exists() {
        output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
        output(Command::new(&python).args(install))?;
        std::fs::write(&ready, b"")?;
    }
    Ok(python)
}
