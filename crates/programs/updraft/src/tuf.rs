//! `updraft tuf`: a client of any TUF repository.
//!
//! The commands and their options are those that the conformance suite of TUF gives a client, so
//! that the suite can drive it. Trusted files lie in one folder under the names of their roles,
//! percent-encoded; each is stored, durably, as soon as it is trusted.

mod store;
mod target;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use updraft_crypto::Verifier;
use updraft_error::Kind;
use updraft_http::{Client, ClientOptions, Method, Request};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Dialect, Options, Step, TufOutcome, TufUpdater};

use store::{Store, encode};

/// Follow a TUF repository: update its metadata, download and verify targets.
///
/// Begin with a root that you trust, then refresh or download as often as you like:
///
///     updraft tuf --metadata-dir trusted init root.json
///     updraft tuf --metadata-dir trusted --metadata-url URL refresh
///     updraft tuf --metadata-dir trusted --metadata-url URL --target-name NAME \
///         --target-base-url URL --target-dir downloads download
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Folder of trusted metadata.
    #[arg(long, value_name = "FOLDER")]
    metadata_dir: PathBuf,
    /// Where the repository's metadata is.
    #[arg(long, value_name = "URL")]
    metadata_url: Option<String>,
    /// The target to download, as the repository calls it.
    #[arg(long, value_name = "PATH")]
    target_name: Option<String>,
    /// Where the repository's targets are.
    #[arg(long, value_name = "URL")]
    target_base_url: Option<String>,
    /// Folder for downloaded targets; `app/x.bin` becomes `app%2Fx.bin` there.
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trust this root from now on.
    Init {
        /// A root file that came by a way that you trust.
        root: PathBuf,
    },
    /// Update the metadata of the top-level roles.
    Refresh,
    /// Update the metadata, and download a target unless it is there already.
    Download,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let store = Store::open(&self.metadata_dir)?;
        match &self.command {
            Command::Init { root } => {
                let bytes = std::fs::read(root)
                    .with_context(|| format!("failed to read `{}`", root.display()))?;
                store.begin(&bytes)
            }
            Command::Refresh => self.update(&store, &[]).map(drop),
            Command::Download => self.download(&store, terminal),
        }
    }

    fn download(&self, store: &Store, terminal: &Terminal) -> Result {
        let name = needed(self.target_name.as_ref(), "--target-name")?;
        let folder = needed(self.target_dir.as_ref(), "--target-dir")?;
        let base = needed(self.target_base_url.as_ref(), "--target-base-url")?;
        let (client, outcome) = self.update(store, std::slice::from_ref(name))?;
        let Some(target) = outcome.wanted.get(name).and_then(Option::as_ref) else {
            let message = format!("the repository has no target `{name}`");
            return Err(Failure::new(Kind::NotFound, message));
        };
        let place = folder.join(encode(name));
        let kept = target::is_here(&place, target)?;
        if !kept {
            let path: Vec<String> = target.download_path.split('/').map(encode).collect();
            let url = format!("{}/{}", base.trim_end_matches('/'), path.join("/"));
            target::fetch(&client, &url, (folder, &encode(name)), target)?;
        }
        let shown = json!({ "path": place, "length": target.length, "downloaded": !kept });
        terminal.show(&shown, |_| terminal.line(place.display()))
    }

    fn update(&self, store: &Store, wanted: &[String]) -> Result<(Client, TufOutcome)> {
        let base = needed(self.metadata_url.as_ref(), "--metadata-url")?;
        let client = Client::new(&ClientOptions::default())?;
        // The start time of the run (TUF 5.1).
        let now = jiff::Timestamp::now();
        let options = Options::new(Dialect::Tuf);
        let mut updater = TufUpdater::new(store.files()?, wanted, now, &options, Verifier);
        loop {
            match updater.next()? {
                Step::Fetch { file_name, max_length, .. } => {
                    let url = format!("{}/{file_name}", base.trim_end_matches('/'));
                    match fetch(&client, &url, max_length)? {
                        Some(bytes) => updater.received(&bytes)?,
                        None => updater.absent()?,
                    }
                }
                Step::Persist { role, bytes, .. } => store.put(&role, &bytes)?,
                Step::Delete { role, .. } => store.remove(&role)?,
                Step::Done(outcome) => return Ok((client, outcome)),
            }
        }
    }
}

fn needed<'a, T>(value: Option<&'a T>, option: &str) -> Result<&'a T> {
    value.ok_or_else(|| Failure::new(Kind::Invalid, format!("{option} is missing")))
}

/// A metadata file; `None` when the server says that there is none, and for no other reason.
fn fetch(client: &Client, url: &str, max_length: u64) -> Result<Option<Vec<u8>>> {
    let answer = client.send(Request::new(Method::Get, url))?;
    if answer.status == 404 {
        return Ok(None);
    }
    match answer.error_for_status()?.bytes(max_length) {
        Ok(bytes) => Ok(Some(bytes)),
        // One byte too many is what the updater refuses by its name, whatever the bytes are.
        Err(updraft_http::Error::TooLarge { .. }) => {
            let length = usize::try_from(max_length).unwrap_or(usize::MAX - 1);
            Ok(Some(vec![0; length.saturating_add(1)]))
        }
        Err(error) => Err(error.into()),
    }
}
