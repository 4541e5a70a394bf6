//! `updraft lockbox create`: from the server onto a medium.
//!
//! Content comes first and metadata last, under its name by one rename: a medium that was pulled
//! out too early is none.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use updraft_api::{Release, TargetFormat, paths};
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_http::{DownloadOptions, Expected, Method};
use updraft_ostree::{Checksum, RefName, Refspec, RepoMode};
use updraft_repo::pull::{PullOptions, Source, pull};
use updraft_repo::{InitOptions, Repo};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::{parse, sha256, targets};
use crate::server::Server;
use crate::{signing, text};

const DIRECTOR: &str = "/api/v1/admin/repo";
const IMAGE: &str = "/api/v1/user_repo";
/// More versions of a root than anybody makes.
const MAX_ROOTS: u64 = 1024;
/// More delegated roles than anybody makes.
const MAX_ROLES: usize = 1024;

/// Write a list of offline updates, with all that devices need for it, into a folder.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The list's name: 1 to 64 of A-Z a-z 0-9 . _ -
    name: String,
    /// The medium's folder; it is made when it is not there.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Let the server sign the list anew, with the targets of this release. Media with the list
    /// before it are not accepted any more by devices that have seen a newer medium.
    #[arg(long, value_name = "RELEASE")]
    release: Option<String>,
    /// For how many days the list is valid.
    #[arg(long, value_name = "DAYS", requires = "release")]
    expires_days: Option<u16>,
}

/// `updraft lockbox create --json`.
#[derive(Debug, Serialize)]
struct Created {
    name: String,
    version: u64,
    /// When the first of the medium's files expires.
    expires: String,
    targets: Vec<String>,
}

impl Create {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        if let Some(release) = &self.release {
            self.sign(&server, release)?;
        }
        let metadata = Metadata::fetch(&server, &self.name)?;
        let output = Dir::create_all(&self.output, 0o755)?;
        for (name, target) in targets(&metadata.list) {
            terminal.say(format!("fetching {name}"));
            self.content(&server, terminal, &output, &metadata, name, target)
                .with_context(|| format!("failed to fetch {name}"))?;
        }
        metadata.write(&output)?;
        let version = metadata.list.pointer("/signed/version");
        let created = Created {
            name: self.name.clone(),
            version: version.and_then(Value::as_u64).unwrap_or_default(),
            expires: metadata.expires(),
            targets: targets(&metadata.list).map(|(name, _)| name.clone()).collect(),
        };
        terminal.show(&created, |created| {
            let (name, version) = (&created.name, created.version);
            terminal.line(format!("{name} version {version}, valid until {}", created.expires))
        })
    }

    fn sign(&self, server: &Server, release: &str) -> Result {
        let release: Release = server.get(&paths::release(release))?;
        let mut values = Map::new();
        for target in &release.targets {
            let format = match target.format {
                TargetFormat::Ostree => "OSTREE",
                TargetFormat::Binary => "BINARY",
            };
            let custom = json!({ "hardwareIds": target.hardware_ids, "targetFormat": format });
            let value = json!({
                "length": target.length, "hashes": { "sha256": target.sha256 }, "custom": custom,
            });
            values.insert(target.filepath.clone(), value);
        }
        let expires: Option<Timestamp> = self.expires_days.map(signing::in_days).transpose()?;
        let body = json!({ "values": values, "expiresAt": expires.map(|it| it.to_string()) });
        let path = format!("{DIRECTOR}/offline-updates/{}", paths::encode(&self.name));
        let _: Value = server.send(Method::Post, &path, &body)?;
        Ok(())
    }

    fn content(
        &self,
        server: &Server,
        terminal: &Terminal,
        output: &Dir,
        metadata: &Metadata,
        name: &str,
        target: &Value,
    ) -> Result {
        let sha256 = sha256(name, target)?;
        if metadata.is_commit(name, target) {
            output.ensure_dir("images", 0o755)?;
            let path = self.output.join("images/ostree");
            let repo = Repo::init(path, RepoMode::Archive, &InitOptions::default())?;
            let commit: Checksum = sha256.parse()?;
            let source =
                Source::Http { client: server.client().clone(), url: server.url(paths::TREEHUB) };
            let options = PullOptions { commits: vec![commit], ..PullOptions::default() };
            pull(&terminal.context, &repo, &source, &options)?;
            // Without a name a cleaning tool would take it away.
            let reference = RefName::new(format!("lockbox/{}", text::short(sha256)))?;
            repo.set_ref(&Refspec::local(reference), Some(&commit))?;
            return Ok(());
        }
        let images = output.ensure_dir("images", 0o755)?;
        let part = format!("{sha256}.part");
        let mut file = images.open_or_create(&part, 0o644)?;
        let length = target.get("length").and_then(Value::as_u64);
        let expected = Expected { length, sha256: digest(sha256) };
        let url = server.url(&format!("{IMAGE}/targets/{}", paths::encode(name)));
        let options = DownloadOptions::default();
        server.client().download(&terminal.context, &url, &mut file, expected, options)?;
        file.sync_all()?;
        images.rename(&part, &images, sha256)?;
        images.sync()?;
        Ok(())
    }
}

/// The files of both repositories.
struct Metadata {
    /// Path below `metadata`, and content.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The list of offline updates.
    list: Value,
    /// The snapshot that names it.
    snapshot: Value,
    /// The Image repository's targets, delegated ones included.
    targets: Vec<Value>,
}

impl Metadata {
    fn fetch(server: &Server, name: &str) -> Result<Self> {
        let mut files = Vec::new();
        let (director, image) = (Path::new("director"), Path::new("image-repo"));
        let list_name = format!("{}.json", paths::encode(name));
        let list = required(server, &format!("{DIRECTOR}/offline-updates/{list_name}"))?;
        let snapshot = required(server, &format!("{DIRECTOR}/offline-snapshot.json"))?;
        let value = parse(&list, "the list of offline updates")?;
        let current = parse(&snapshot, "the offline snapshot")?;
        files.push((director.join(list_name), list));
        files.push((director.join("offline-snapshot.json"), snapshot));
        roots(server, DIRECTOR, director, &mut files)?;
        roots(server, IMAGE, image, &mut files)?;
        let mut all = Vec::new();
        for file in ["snapshot.json", "targets.json"] {
            let bytes = required(server, &format!("{IMAGE}/{file}"))?;
            all.push(parse(&bytes, file)?);
            files.push((image.join(file), bytes));
        }
        let roles: Vec<String> = all
            .first()
            .and_then(|snapshot| snapshot.pointer("/signed/meta")?.as_object())
            .into_iter()
            .flat_map(|meta| meta.keys().cloned())
            .filter(|file| !matches!(file.as_str(), "root.json" | "targets.json"))
            .collect();
        for role in roles.iter().take(MAX_ROLES) {
            let role = paths::encode(role.strip_suffix(".json").unwrap_or(role));
            let file = format!("delegations/{role}.json");
            let bytes = required(server, &format!("{IMAGE}/{file}"))?;
            all.push(parse(&bytes, &file)?);
            files.push((image.join(file), bytes));
        }
        Ok(Self { files, list: value, snapshot: current, targets: all })
    }

    /// The first end of all files that are signed again from time to time. All are written the
    /// same way, so that their order is that of texts.
    fn expires(&self) -> String {
        let expires = |file: &Value| Some(file.pointer("/signed/expires")?.as_str()?.to_owned());
        let files = self.targets.iter().chain([&self.list, &self.snapshot]);
        files.filter_map(expires).min().unwrap_or_default()
    }

    /// Whether a target is an OSTree commit, by what either repository says.
    fn is_commit(&self, name: &str, target: &Value) -> bool {
        let listed = self.targets.iter().flat_map(targets).find(|(path, _)| *path == name);
        let format = |target: &Value| {
            target.pointer("/custom/targetFormat").and_then(Value::as_str).map(str::to_owned)
        };
        match format(target).or_else(|| format(listed?.1)) {
            Some(format) => format.eq_ignore_ascii_case("OSTREE"),
            None => target.get("length").and_then(Value::as_u64) == Some(0),
        }
    }

    fn write(&self, output: &Dir) -> Result {
        const NEW: &str = "metadata.new";
        let remove = |name: &str| match std::fs::remove_dir_all(output.path().join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove(NEW)?;
        for (path, bytes) in &self.files {
            let path = Path::new(NEW).join(path);
            let folder = output.ensure_dir_all(path.parent().unwrap_or(&path), 0o755)?;
            atomic_write(&folder, path.file_name().unwrap_or_default(), bytes, 0o644)?;
        }
        remove("metadata")?;
        // Commit point of a medium: without this folder it is none.
        output.rename(NEW, output, "metadata")?;
        output.sync()?;
        Ok(())
    }
}

/// All versions of a root: a device follows them one by one.
fn roots(
    server: &Server,
    repository: &str,
    folder: &Path,
    files: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result {
    for version in 1..=MAX_ROOTS {
        let name = format!("{version}.root.json");
        match server.get_bytes(&format!("{repository}/{name}"))? {
            Some(bytes) => files.push((folder.join(name), bytes)),
            None => return Ok(()),
        }
    }
    Err(Failure::new(Kind::Exhausted, format!("there are more than {MAX_ROOTS} roots")))
}

fn required(server: &Server, path: &str) -> Result<Vec<u8>> {
    server.get_bytes(path)?.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("the server has no {path}"))
            .hint("`updraft lockbox create NAME --release RELEASE` lets the server sign the list")
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    text.parse::<Checksum>().ok().map(|checksum| *checksum.as_bytes())
}
