//! `ostree summary`: the list of a repository's refs that clients fetch first.

use std::collections::BTreeMap;

use clap::Args;
use jiff::tz::TimeZone;
use updraft_error::Kind;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Metadata, Refspec, Summary};
use updraft_repo::Repo;
use updraft_repo::sign;
use updraft_repo::summary::{self as engine, SummaryOptions};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::repository::Location;
use super::signing::{SigningOptions, print_own_summary_gpg};
use super::{time, variant, variant_text};

/// Update and print the summary.
#[derive(Debug, Args)]
pub(crate) struct SummaryCommand {
    /// Write the summary anew.
    #[arg(long, short = 'u')]
    update: bool,
    /// Print the summary. (As by the peer, `-v` means this and not `--verbose` here.)
    #[arg(id = "verbose", long = "view", short = 'v')]
    view: bool,
    /// Print debug information.
    #[arg(long = "verbose")]
    debug: bool,
    /// Print the summary as GVariant text.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    keys: MetadataKeys,
    /// Add to the metadata of the new summary.
    #[arg(long, short = 'm', value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
    #[command(flatten)]
    signing: SigningOptions,
}

impl SummaryCommand {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        if self.debug {
            super::log_everything();
        }
        let repo = location.open()?;
        if self.update {
            let mut metadata = Metadata::new();
            for option in &self.add_metadata {
                let (key, value) = option.split_once('=').ok_or_else(|| {
                    let message = format!("Missing '=' in KEY=VALUE metadata '{option}'");
                    Failure::new(Kind::Invalid, message)
                })?;
                metadata.insert(
                    key,
                    variant_text::parse(value)
                        .with_context(|| format!("Error parsing variant ‘{value}’: "))?,
                );
            }
            let signers = self.signing.signers(&[])?;
            let collection_commit = Some(super::commit::default_time()?);
            let options = SummaryOptions { metadata, collection_commit };
            engine::update(&terminal.context, &repo, now(), &options)?;
            sign::sign_summary(&terminal.context, &repo, &signers)?;
            return Ok(());
        }
        if !self.view && !self.raw && !self.keys.are_asked() && !terminal.wants_json() {
            let message = "No option specified; use -u to update summary";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let dir = updraft_fs::Dir::open(repo.path())?;
        let bytes = dir.try_read("summary", updraft_ostree::MAX_METADATA_SIZE as u64)?;
        let bytes = bytes.ok_or_else(|| {
            let message = "openat(summary): No such file or directory";
            Failure::new(Kind::NotFound, message).hint("`summary --update` makes one")
        })?;
        print(&bytes, (self.raw, &self.keys), terminal)?;
        if self.raw || self.keys.are_asked() || terminal.wants_json() {
            return Ok(());
        }
        let signatures = dir.try_read("summary.sig", updraft_ostree::MAX_METADATA_SIZE as u64)?;
        let Some(signatures) = signatures else { return Ok(()) };
        let home = self.signing.gpg_homedir();
        print_own_summary_gpg(&repo, home, &bytes, &signatures, terminal)
    }
}

/// A repository whose summary follows its refs, as it was before a command.
pub(crate) struct Follower(Option<(Repo, BTreeMap<Refspec, Checksum>)>);

impl Follower {
    /// Notes the refs, where `core.auto-update-summary` asks for it.
    pub(crate) fn new(location: &Location) -> Self {
        let noted = location.open().ok().filter(|repo| repo.config().auto_update_summary);
        Self(noted.and_then(|repo| repo.refs().ok().map(|refs| (repo, refs))))
    }

    /// Writes the summary anew when a ref changed.
    pub(crate) fn finish(self, terminal: &Terminal) -> Result {
        let Some((repo, before)) = self.0 else { return Ok(()) };
        if repo.refs()? != before {
            let options = SummaryOptions::default();
            engine::update(&terminal.context, &repo, now(), &options)?;
        }
        Ok(())
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// What is asked about the metadata of a summary.
#[derive(Debug, Args)]
pub(crate) struct MetadataKeys {
    /// List the keys of the metadata.
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print the value of this key of the metadata.
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
}

impl MetadataKeys {
    /// Whether anything is.
    pub(crate) fn are_asked(&self) -> bool {
        self.list_metadata_keys || self.print_metadata_key.is_some()
    }

    fn print(&self, summary: &Summary, terminal: &Terminal) -> Result {
        if let Some(key) = &self.print_metadata_key {
            let missing = || {
                let message = format!("No such metadata key '{key}'");
                Failure::new(Kind::NotFound, message)
            };
            let value = summary.metadata.get(key).ok_or_else(missing)?;
            let shown = serde_json::json!({ key.as_str(): value.to_string() });
            return terminal.show(&shown, |_| terminal.line(value));
        }
        let mut keys: Vec<&str> = summary.metadata.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        terminal.show(&keys, |keys| keys.iter().try_for_each(|key| terminal.line(key)))
    }
}

/// Prints a summary's bytes: as they are when `raw`, else for people, or what is asked of its
/// metadata.
pub(crate) fn print(
    bytes: &[u8],
    (raw, keys): (bool, &MetadataKeys),
    terminal: &Terminal,
) -> Result {
    let summary = Summary::decode(bytes)?;
    if keys.are_asked() {
        return keys.print(&summary, terminal);
    }
    if terminal.wants_json() {
        return terminal.json(&json(&summary));
    }
    if raw {
        return terminal.line(variant::byteswap(variant::summary(&summary)));
    }
    // The zone of the person at the terminal, as the peer does.
    let zone = TimeZone::system();
    let id = summary.metadata.get_str(Summary::COLLECTION_ID);
    let own = summary.refs.iter().map(|entry| (id.map(str::to_owned), entry));
    let map = summary.collection_map()?;
    let others =
        map.iter().flat_map(|(id, refs)| refs.iter().map(|entry| (Some(id.to_string()), entry)));
    for (collection, entry) in own.chain(others) {
        match collection {
            Some(id) => terminal.line(format!("* ({id}, {})", entry.name))?,
            None => terminal.line(format!("* {}", entry.name))?,
        }
        terminal.line(format!("    Latest Commit ({} bytes):", entry.commit_size))?;
        terminal.line(format!("      {}", entry.checksum))?;
        for (key, value) in entry.metadata.iter() {
            terminal.line(format!("    {}", described(key, value, &zone)))?;
        }
        terminal.line("")?;
    }
    for (key, value) in summary.metadata.iter() {
        terminal.line(described(key, value, &zone))?;
    }
    Ok(())
}

/// One line about a metadata value: known keys with a title, others as they are.
fn described(key: &str, value: &Value, zone: &TimeZone) -> String {
    let title = match key {
        Summary::COMMIT_VERSION => "Version",
        Summary::COMMIT_TIMESTAMP => "Timestamp",
        Summary::MODE => "Repository Mode",
        Summary::LAST_MODIFIED => "Last-Modified",
        Summary::EXPIRES => "Expires",
        Summary::TOMBSTONE_COMMITS => "Has Tombstone Commits",
        Summary::COLLECTION_ID => "Collection ID",
        Summary::COLLECTION_MAP => return format!("Collection Map ({key}): (printed above)"),
        Summary::STATIC_DELTAS => "Static Deltas",
        _ => return format!("{key}: {}", value.untyped()),
    };
    let text = match (value, Summary::from_big_endian(value)) {
        (_, Some(seconds)) => time::format_local(seconds, zone),
        (Value::Bool(true), _) => "Yes".to_owned(),
        (Value::Bool(false), _) => "No".to_owned(),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.untyped().to_string(),
    };
    format!("{title} ({key}): {text}")
}

fn json(summary: &Summary) -> serde_json::Value {
    let refs: Vec<_> = summary
        .refs
        .iter()
        .map(|entry| {
            let metadata = &entry.metadata;
            let time = metadata.get(Summary::COMMIT_TIMESTAMP);
            serde_json::json!({
                "ref": entry.name,
                "commit": entry.checksum.to_string(),
                "size": entry.commit_size,
                "timestamp": time.and_then(Summary::from_big_endian),
                "version": metadata.get_str(Summary::COMMIT_VERSION),
            })
        })
        .collect();
    serde_json::json!({ "refs": refs, "metadata": variant::metadata_json(&summary.metadata) })
}
