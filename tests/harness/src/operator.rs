//! The operator: `updraft` with a token.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use updraft_http::{Client, ClientOptions, Method, Request};

use crate::{Answer, Programs, Server};

/// Somebody with a token and a folder of keys.
#[derive(Debug, Clone)]
pub struct Operator {
    programs: Programs,
    url: String,
    token: String,
    ca: PathBuf,
    keys: PathBuf,
}

impl Operator {
    /// An operator of `server`, whose keys are in the folder `keys`.
    ///
    /// # Errors
    /// When no token can be made.
    pub fn new(programs: &Programs, server: &Server, keys: &Path) -> Result<Self> {
        Ok(Self {
            programs: programs.clone(),
            url: server.url(),
            token: server.token("operator")?,
            ca: server.ca(),
            keys: keys.to_path_buf(),
        })
    }

    /// The same operator at another server of the same installation.
    #[must_use]
    pub fn at(&self, server: &Server) -> Self {
        Self { url: server.url(), ca: server.ca(), ..self.clone() }
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token by which the server knows the operator.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The authority that vouches for the server.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    pub(crate) fn keys(&self) -> &Path {
        &self.keys
    }

    /// Runs `updraft` with these arguments, and returns however it ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Answer> {
        Answer::of(self.command().args(arguments))
    }

    /// Runs `updraft` with these arguments; it has to succeed.
    ///
    /// # Errors
    /// With what it said, when it did not.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Answer> {
        Answer::good(self.command().args(arguments))
    }

    /// Runs `updraft … --json` and reads what it prints.
    ///
    /// # Errors
    /// With what it said, when it did not succeed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.run(&[arguments, &["--json"]].concat())?.json()
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.programs.command("updraft");
        command.env("UPDRAFT_SERVER", &self.url).env("UPDRAFT_TOKEN", &self.token);
        command.env("UPDRAFT_CA", &self.ca).env("UPDRAFT_KEYS", &self.keys);
        command
    }

    /// Makes keys, the first root and empty targets.
    ///
    /// # Errors
    /// With what the program said.
    pub fn init_keys(&self) -> Result<()> {
        self.run(&["keys", "init"])?;
        Ok(())
    }

    /// Pushes a ref, signs it as a target, and registers the release.
    ///
    /// # Errors
    /// With what the program said.
    pub fn release(&self, name: &str, repo: &Path, hardware: &str, rev: &str) -> Result<()> {
        let repo = repo.to_str().context("a path in Unicode")?;
        let target = format!("{hardware}={rev}");
        self.run(&["release", "create", name, "--repo", repo, "--target", &target])?;
        Ok(())
    }

    /// Uploads the content of a target that is a file.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn put_file(&self, name: &str, content: &[u8]) -> Result<()> {
        self.put(&format!("/api/v1/image-repository/files/{name}"), content)
    }

    /// Puts something to an interface that `updraft` has no command for.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        let url = format!("{}{path}", self.url);
        let request = Request::new(Method::Put, url).body(content.to_vec());
        self.client()?.send(request)?.error_for_status()?;
        Ok(())
    }

    /// Posts JSON to an interface that `updraft` has no command for; the answer.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.url);
        let answer = self.client()?.send_json(Method::Post, &url, body)?;
        Ok(answer.error_for_status()?.json(1 << 20)?)
    }

    fn client(&self) -> Result<Client> {
        Ok(Client::new(&ClientOptions {
            ca_pem: Some(std::fs::read(&self.ca)?),
            bearer_token: Some(self.token.clone()),
            ..ClientOptions::default()
        })?)
    }

    /// What the server knows of a device.
    ///
    /// # Errors
    /// With what the program said.
    pub fn device(&self, id: &str) -> Result<Value> {
        self.json(&["device", "show", id])
    }

    /// A rollout as it stands.
    ///
    /// # Errors
    /// With what the program said.
    pub fn rollout(&self, name: &str) -> Result<Value> {
        self.json(&["rollout", "show", name])
    }
}
