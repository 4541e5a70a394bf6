//! What commands about payloads have in common: where the payload is, and whose word counts.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_crypto::plain::{PrehashSigner, SpkiKey};
use updraft_error::Kind;
use updraft_payload::Properties;
use updraft_slots::{FileSource, Forward, Source, Trust};
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Longest file with a key or properties that is read, in bytes.
const MAX_TEXT: u64 = 64 << 10;
/// The longest signatures of keys that Android takes, in bytes: P-256, RSA-2048 and RSA-4096.
const ANDROID_LENGTHS: [usize; 3] = [72, 256, 512];

/// Whose word about the payload counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustOptions {
    /// Metadata and payload have to be signed by this public key or the key of this certificate (PEM;
    /// RSA or EC); repeat for more keys, one of which is enough.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Sizes and hashes have to be those of this payload_properties.txt, of which you know that it
    /// is the right one.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
}

impl TrustOptions {
    pub(super) fn read(&self) -> Result<Trust> {
        let mut keys = Vec::new();
        for path in &self.key {
            let key = SpkiKey::from_pem(&text(path)?);
            keys.push(key.with_context(|| format!("failed to read key {}", path.display()))?);
        }
        let properties = self.properties.as_deref();
        let properties = properties.map(|path| {
            Ok::<_, updraft_terminal::Failure>({
                let read = Properties::parse(&text(path)?);
                read.with_context(|| format!("failed to read {}", path.display()))?
            })
        });
        Ok(Trust { keys, properties: properties.transpose()? })
    }
}

/// Whose signatures a payload gets.
#[derive(Debug, Args)]
pub(super) struct SigningOptions {
    /// Sign by this private key (PEM without a passphrase; RSA with 2048 or 4096 bits, or EC P-256);
    /// repeat for more keys, one of which devices need to trust.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

impl SigningOptions {
    pub(super) fn read(&self) -> Result<Vec<PrehashSigner>> {
        let read = |path: &PathBuf| {
            let key = PrehashSigner::from_pem(&text(path)?)
                .with_context(|| format!("failed to read key {}", path.display()))?;
            if ANDROID_LENGTHS.contains(&key.longest()) {
                return Ok(key);
            }
            let path = path.display();
            let message = format!("key {path} is neither RSA with 2048 or 4096 bits nor EC P-256");
            Err(Failure::new(Kind::Unsupported, message))
        };
        self.key.iter().map(read).collect()
    }
}

/// A partition's name and a path.
pub(super) fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected the partition's name, `=`, and a path".to_owned()),
    }
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_string(&mut text));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(text)
}

/// Opens a payload or a package; `-` is standard input, which has to be a payload.
pub(super) fn open(path: &Path) -> Result<Box<dyn Source>> {
    if path == Path::new("-") {
        return Ok(Box::new(Forward::new(std::io::stdin())));
    }
    Ok(Box::new(FileSource::open(path)?))
}
