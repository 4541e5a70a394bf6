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

use crate::signers::{self, TokenOptions};

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
#[command(next_help_heading = "Signing")]
pub(super) struct SigningOptions {
    /// Sign by this private key: a file (PEM, or PKCS#8 in DER, without a passphrase), or one in a token
    /// (`pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE`); RSA with 2048 or 4096
    /// bits, or EC P-256; repeat for more keys, one of which devices need to trust.
    #[arg(long, value_name = "FILE|URI")]
    key: Vec<String>,
    #[command(flatten)]
    token: TokenOptions,
    /// Sign for this public key or certificate (PEM), whose private half is elsewhere: with --signer or
    /// --signature; repeat for more.
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,
    /// The program that signs for the public key: it reads a hash of 32 bytes and writes the signature;
    /// repeat, one for each --public-key in turn.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "signature")]
    signer: Vec<PathBuf>,
    /// A signature of a hash that `updraft payload hash` told, by one of the public keys; repeat for all.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    signature: Vec<PathBuf>,
}

impl SigningOptions {
    pub(super) fn read(&self) -> Result<Vec<PrehashSigner>> {
        let mut signers = Vec::new();
        for named in &self.key {
            signers.push(signers::private_key(named, &self.token)?);
        }
        if self.signature.is_empty() && self.signer.len() != self.public_key.len() {
            let (keys, programs) = (self.public_key.len(), self.signer.len());
            let message = format!("{keys} public keys are given, and {programs} programs to sign");
            let failure = Failure::new(Kind::Invalid, message);
            return Err(failure.hint("give each --public-key its --signer, or --signature files"));
        }
        for (index, path) in self.public_key.iter().enumerate() {
            let public = signers::public_key(path)?;
            signers.push(match self.signer.get(index) {
                Some(program) => signers::by_program(program, public)?,
                None => signers::by_signatures(public, &self.signature)?,
            });
        }
        signers.iter().try_for_each(|signer| check(signer.longest()))?;
        Ok(signers)
    }
}

/// Sees to it that Android takes signatures of this length.
pub(super) fn check(longest: usize) -> Result {
    if ANDROID_LENGTHS.contains(&longest) {
        return Ok(());
    }
    let message = "a key is neither RSA with 2048 or 4096 bits nor EC P-256, which devices take";
    Err(Failure::new(Kind::Unsupported, message))
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
