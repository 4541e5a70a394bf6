//! `updraft lockbox`: a medium from which vehicles without a network update.
//!
//! ```text
//! FOLDER/
//!   images/NAME                  contents of targets that are files
//!   images/ostree/               an OSTree repository in archive mode with the commits
//!   metadata/image-repo/         N.root.json, snapshot.json, targets.json, ROLE.json
//!   metadata/director/           N.root.json, offline-snapshot.json, NAME.json
//! ```
//! The metadata comes last, so that a medium that has it has everything.

use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use sha2::Digest as _;
use updraft_error::Kind;
use updraft_http::Client;
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::check::fetch_all;
use super::credentials::Credentials;

/// Largest metadata that is read, in bytes.
const MAX_METADATA: u64 = 64 << 20;
/// The most roots.
const MAX_ROOTS: u64 = 10_000;

/// Make media from which vehicles without a network update.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write all that a list of offline updates needs into a new folder.
    Create(Create),
}

/// Write all that a list of offline updates needs into a new folder.
#[derive(Debug, Args)]
struct Create {
    /// The name of the list, as it was given to the Director.
    name: String,
    /// The credentials of an operator: an archive with tufrepo.url.
    #[arg(long, short = 'j', value_name = "FILE", default_value = "credentials.zip")]
    credentials: PathBuf,
    /// The folder, which must not be there.
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// PEM certificates of the authorities to trust, in place of others.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

/// Where everything is.
struct Source<'a> {
    client: Client,
    director: String,
    image: String,
    credentials: &'a Credentials,
}

/// Files by the names that they get.
type Files = Vec<(String, Vec<u8>)>;

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let Command::Create(create) = &self.command;
        create.run(terminal)
    }
}

impl Create {
    fn run(&self, terminal: &Terminal) -> Result {
        let credentials = Credentials::read(&self.credentials)?;
        let base = credentials.repository_server()?;
        let source = Source {
            client: credentials.client(self.cacert.as_deref(), "updraft-lockbox")?,
            director: format!("{base}/api/v1/director/admin/repo"),
            image: format!("{base}/api/v1/user_repo"),
            credentials: &credentials,
        };
        if plain(&self.name).is_none_or(|path| path.components().count() > 1) {
            return Err(Failure::new(Kind::Invalid, "that is no name of a list"));
        }
        let (director, list) = source.director_files(&self.name)?;
        let (image, signed) = source.image_files()?;
        std::fs::create_dir(&self.output)
            .with_context(|| format!("failed to make the folder `{}`", self.output.display()))?;
        let images = self.output.join("images");
        std::fs::create_dir(&images)?;
        let targets = list["signed"]["targets"].as_object();
        for (name, target) in targets.into_iter().flatten() {
            let known = signed.iter().find_map(|file| file["signed"]["targets"].get(name));
            source
                .fetch_target(terminal, &images, name, target, known)
                .with_context(|| format!("failed to fetch the target {name}"))?;
            terminal.say(format!("fetched {name}"));
        }
        write_all(&self.output.join("metadata/image-repo"), &image)?;
        write_all(&self.output.join("metadata/director"), &director)?;
        terminal.say(format!("wrote {}", self.output.display()));
        Ok(())
    }
}

impl Source<'_> {
    fn get(&self, url: &str) -> Result<Vec<u8>> {
        Ok(self.client.get(url)?.bytes(MAX_METADATA)?)
    }

    /// All roots of a repository.
    fn roots(&self, base: &str) -> Result<Files> {
        let newest = json(&self.get(&format!("{base}/root.json"))?)?;
        let newest = newest["signed"]["version"].as_u64().unwrap_or_default();
        if newest > MAX_ROOTS {
            return Err(Failure::new(Kind::Exhausted, "it has more than 10000 roots"));
        }
        let mut files = Vec::new();
        for version in 1..=newest {
            let name = format!("{version}.root.json");
            let bytes = self.get(&format!("{base}/{name}"))?;
            files.push((name, bytes));
        }
        Ok(files)
    }

    /// What the Director signed, and the list.
    fn director_files(&self, name: &str) -> Result<(Files, Value)> {
        let url = format!("{}/offline-updates/{name}.json", self.director);
        let list = self.get(&url).with_context(|| format!("failed to fetch the list {name}"))?;
        let shot = self.get(&format!("{}/offline-snapshot.json", self.director))?;
        let mut files = self.roots(&self.director)?;
        let content = json(&list)?;
        files.push(("offline-snapshot.json".to_owned(), shot));
        files.push((format!("{name}.json"), list));
        Ok((files, content))
    }

    /// What the Image repository signed; and its targets, delegated ones included.
    fn image_files(&self) -> Result<(Files, Vec<Value>)> {
        let mut files = self.roots(&self.image)?;
        let shot = self.get(&format!("{}/snapshot.json", self.image))?;
        let listed = json(&shot)?["signed"]["meta"].clone();
        files.push(("snapshot.json".to_owned(), shot));
        let mut signed = Vec::new();
        for name in listed.as_object().into_iter().flat_map(|meta| meta.keys()) {
            if name == "root.json" {
                continue;
            }
            if plain(name).is_none_or(|path| path.components().count() > 1) {
                return Err(Failure::new(Kind::Invalid, "the snapshot names a file elsewhere"));
            }
            let folder = if name == "targets.json" { "" } else { "delegations/" };
            let bytes = self.get(&format!("{}/{folder}{name}", self.image))?;
            signed.push(json(&bytes)?);
            files.push((name.clone(), bytes));
        }
        Ok((files, signed))
    }

    /// Fetches the content of a target; `known` is what the Image repository says about it.
    fn fetch_target(
        &self,
        terminal: &Terminal,
        images: &Path,
        name: &str,
        target: &Value,
        known: Option<&Value>,
    ) -> Result {
        let known = known.ok_or_else(|| {
            let message = "the Image repository does not list it: no vehicle would take it";
            Failure::new(Kind::NotFound, message)
        })?;
        let sha256 = target["hashes"]["sha256"].as_str().unwrap_or_default();
        if known["hashes"]["sha256"] != sha256 || known["length"] != target["length"] {
            let message = "the Image repository lists another content: no vehicle would take it";
            return Err(Failure::new(Kind::Rejected, message));
        }
        let sha256: Checksum = sha256.parse()?;
        if known["custom"]["targetFormat"] == "OSTREE" {
            let folder = images.join("ostree");
            let repo = if folder.exists() {
                Repo::open(&folder)?
            } else {
                Repo::init(&folder, RepoMode::Archive, &InitOptions::default())?
            };
            let treehub = self.credentials.ostree_server()?;
            return fetch_all(terminal, &repo, &self.client, &treehub, &sha256);
        }
        let path = plain(name)
            .ok_or_else(|| Failure::new(Kind::Invalid, "its name leads out of the folder"))?;
        let length = target["length"].as_u64().unwrap_or_default();
        let url = format!("{}/targets/{}", self.image, updraft_api::paths::encode(name));
        self.fetch_file(&url, &images.join(path), &sha256, length)
    }

    fn fetch_file(&self, url: &str, to: &Path, sha256: &Checksum, length: u64) -> Result {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut body = self.client.get(url)?.body.take(length.saturating_add(1));
        let mut file = std::fs::File::create_new(to)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut received = 0;
        loop {
            let count = body.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            file.write_all(bytes)?;
            received += bytes.len() as u64;
        }
        file.sync_all()?;
        let actual = Checksum::from_bytes(hasher.finalize().into());
        if received == length && actual == *sha256 {
            return Ok(());
        }
        Err(Failure::new(Kind::Rejected, "the server gave another content than was signed"))
    }
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| Failure::of(Kind::Invalid, error))
}

/// A path that stays below the folder that it is joined to.
fn plain(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && !name.is_empty()).then_some(path)
}

fn write_all(folder: &Path, files: &Files) -> Result {
    std::fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        updraft_fs::atomic_write_path(folder.join(name), bytes, 0o644)?;
    }
    Ok(())
}
