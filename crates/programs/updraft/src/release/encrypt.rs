//! `updraft release encrypt`: an image that only one ECU can open.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{EncryptedImage, PublicKey};

use crate::keys::read_public_key;

/// Encrypt an image for one ECU, with the public key that it registered.
///
/// The image itself is signed and published as always; the ciphertext goes beside it among the
/// targets. What is printed belongs into the Director's targets, beside the ECU's `hardwareId`:
///
///     "ecuIdentifiers": {"SERIAL": {"hardwareId": "ID", "encryptedTarget": …,
///                                   "encryptedSymmetricKey": …}}
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Encrypt {
    /// The image.
    image: PathBuf,
    /// The ECU's public key: JSON as it is registered, PEM, or an Ed25519 key in hex.
    #[arg(long, value_name = "FILE")]
    ecu_key: PathBuf,
    /// Where to write the ciphertext.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The name under which devices find the ciphertext among the targets; without it, that of the
    /// output.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Encrypt {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let of_output = || self.output.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(of_output);
        let name = name.ok_or_else(|| {
            Failure::new(Kind::Invalid, format!("`{}` is no file", self.output.display()))
        })?;
        let ecu = read_public_key(&self.ecu_key)?;
        let told = encrypt_file(&ecu, &name, &self.image, &self.output)?;
        let members: Map<String, Value> =
            told.to_members().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        terminal.json(&members)
    }
}

/// Encrypts a file to another one, which has its name only when it is whole.
pub(crate) fn encrypt_file(
    ecu: &PublicKey,
    name: &str,
    image: &Path,
    output: &Path,
) -> Result<EncryptedImage> {
    let failed = || format!("failed to read `{}`", image.display());
    let mut plain = BufReader::new(File::open(image).with_context(failed)?);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = Dir::create_all(folder.unwrap_or(Path::new(".")), 0o755)?;
    let mut file = TempFile::new_in(&folder)?;
    let told = updraft_publish::encrypt_image(ecu, name, &mut plain, file.file_mut())?;
    file.set_mode(0o644)?;
    file.sync()?;
    let file_name = output.file_name().unwrap_or_default();
    // Commit point: the name appears with the whole ciphertext.
    file.persist_replace(&folder, file_name)?;
    folder.sync()?;
    Ok(told)
}
