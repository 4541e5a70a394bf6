//! Who signs payloads and packages: keys in files and tokens, programs, and people elsewhere who were
//! given a hash and gave back its signature.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_crypto::Error;
use updraft_crypto::plain::{PrehashSigner, SpkiKey};
use updraft_error::Kind;
use updraft_process::Command;
use updraft_task::Context;
use updraft_terminal::{Result, ResultExt as _};

use crate::keys::token_helper;

/// Longest file with a key, certificate or signature that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// How a key in a token begins.
const TOKEN: &str = "pkcs11:";
/// Longest signature that a program may print, in bytes.
const MAX_SIGNATURE: usize = 4096;
/// Somebody may have to press a key.
const PATIENCE: Duration = Duration::from_mins(10);

/// The program that loads the module of a token.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenOptions {
    /// The program that loads the module of a token (pkcs11: keys); without it, the one beside this
    /// program, or in PATH.
    #[arg(long, value_name = "PROGRAM", default_value = "updraftd-keys", help_heading = "Signing")]
    key_helper: PathBuf,
}

/// A private key: in a file, or a token (RFC 7512).
pub(crate) fn private_key(named: &str, token: &TokenOptions) -> Result<PrehashSigner> {
    if named.starts_with(TOKEN) {
        // The URI may hold a PIN, and is in no message.
        let helper = updraft_publish::key_helper(&token_helper(&token.key_helper));
        let key = helper.key(named).context("failed to find the key in the token").hint(
            "a wrong PIN is not tried twice; see the token with `pkcs11-tool --list-objects`",
        )?;
        return PrehashSigner::of_token(key).context("failed to sign by the key in the token");
    }
    let path = Path::new(named);
    let bytes = read(path)?;
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => PrehashSigner::from_pem(text),
        _ => PrehashSigner::from_der(&bytes),
    };
    key.with_context(|| format!("failed to read key {named}"))
}

/// A program that signs for this public key: a hash of 32 bytes is its input, and the signature its
/// output.
pub(crate) fn by_program(program: &Path, public: SpkiKey) -> Result<PrehashSigner> {
    let program = program.to_owned();
    let sign = move |hash: &[u8; 32]| {
        let command = Command::new(&program).input(hash.to_vec()).timeout(PATIENCE);
        let command = command.output_limit(MAX_SIGNATURE);
        let done = command.run(&Context::silent()).map_err(|error| Error::Token {
            operation: format!("sign by {}", program.display()),
            problem: error.to_string(),
            kind: Kind::Unavailable,
        })?;
        Ok(done.stdout.bytes)
    };
    PrehashSigner::elsewhere(public, sign).context("failed to sign by a program")
}

/// Signatures of this public key that were made before: whichever is that of the hash.
pub(crate) fn by_signatures(public: SpkiKey, signatures: &[PathBuf]) -> Result<PrehashSigner> {
    let all = signatures.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let own = public.clone();
    let sign = move |hash: &[u8; 32]| {
        let found = all.iter().find(|signature| own.verify_sha256(hash, signature));
        found.cloned().ok_or_else(|| Error::Token {
            operation: "use the signatures that were given".to_owned(),
            problem: format!("none is that of the hash {}", hex::encode(hash)),
            kind: Kind::Rejected,
        })
    };
    PrehashSigner::elsewhere(public, sign).context("failed to use the signatures")
}

/// A public key, or that of a certificate.
pub(crate) fn public_key(path: &Path) -> Result<SpkiKey> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    SpkiKey::from_pem(&text).with_context(|| format!("failed to read key {}", path.display()))
}

/// A small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(bytes)
}
