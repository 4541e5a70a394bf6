//! Signatures of the unified kernel images that are put together on a device.
//!
//! ```ini
//! [updraft]
//! uki-sign-key=/etc/updraft/secure-boot.key            an RSA key, PEM, readable by root alone
//! uki-sign-certificate=/etc/updraft/secure-boot.crt    its certificate, PEM
//! ```
//! Both are files of the running system. Without them, images are not signed; where the firmware
//! demands signatures (Secure Boot) no image is put together then: nothing would boot it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use updraft_bootenv::MAX_PE_SIGNATURES;
use updraft_crypto::ProgramSigner;
use updraft_error::Kind;
use updraft_fs::Dir;

use super::headers;
use crate::{Error, Result, Sysroot};

const KEY: &str = "uki-sign-key";
const CERTIFICATE: &str = "uki-sign-certificate";
/// The largest file with a key or certificate that is read.
const MAX_FILE: u64 = 64 << 10;
/// What others than the owner may do with a file.
const OTHERS: u32 = 0o077;
/// The firmware's variables, each with four bytes of attributes before its value: whether it
/// demands signatures (UEFI specification 2.10, section 3.3), and whether shim was told not to.
const SECURE_BOOT: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const WITHOUT_VALIDATION: &str = "MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23";
const MAX_VARIABLE: u64 = 64;
const VALUE_AT: usize = 4;

/// What signs images.
#[derive(Debug)]
pub(crate) struct ImageSigner(ProgramSigner);

impl ImageSigner {
    /// The signature of an image with this hash.
    pub(super) fn sign(&self, hash: &[u8; 32]) -> Result<Vec<u8>> {
        let failed = |error| Error::other(Kind::Unavailable, format!("sign an image: {error}"));
        self.0.sign(hash).map_err(failed)
    }

    /// What a signature adds to an image at most, in bytes.
    pub(crate) fn longest(&self) -> u64 {
        self.0.longest() as u64
    }

    /// Whether an image has a signature with this certificate.
    pub(crate) fn has_signed(&self, folder: &Dir, name: &str) -> Result<bool> {
        let failed = |source| Error::Copy { path: folder.path().join(name), source };
        let mut file = folder.open_file(name)?;
        let image = headers(&mut file).map_err(failed)?;
        let Some((at, length)) = image.and_then(|image| image.signature) else { return Ok(false) };
        let mut table = Vec::new();
        file.seek(SeekFrom::Start(u64::from(at))).map_err(failed)?;
        let length = u64::from(length).min(MAX_PE_SIGNATURES as u64);
        file.take(length).read_to_end(&mut table).map_err(failed)?;
        let certificate = self.0.certificate();
        Ok(table.windows(certificate.len()).any(|window| window == certificate))
    }
}

impl Sysroot {
    /// What is configured to sign images.
    pub(crate) fn image_signer(&self) -> Result<Option<ImageSigner>> {
        let config = self.repo.config();
        let paths = [KEY, CERTIFICATE].map(|key| config.key_file().get("updraft", key));
        let (key, certificate) = match paths {
            [None, None] => return Ok(None),
            [Some(key), Some(certificate)] => (key, certificate),
            _ => {
                let message = format!(
                    "[updraft] {KEY} and {CERTIFICATE} of the repository's configuration belong \
                     together, and one of them is missing"
                );
                return Err(Error::other(Kind::Invalid, message));
            }
        };
        let root = Dir::open(&self.options.running_root)?;
        let mode = root.try_metadata(below_root(&key))?.map_or(0, |found| found.mode);
        if mode & OTHERS != 0 {
            let message = format!(
                "{key}, which signs unified kernel images, is open to others than its owner; \
                 run: chmod 600 {key}"
            );
            return Err(Error::other(Kind::Rejected, message));
        }
        let read = |setting: &str, path: &str| -> Result<String> {
            let missing = || {
                let message = format!("{path}, which [updraft] {setting} names, is not there");
                Error::other(Kind::NotFound, message)
            };
            let bytes = root.try_read(below_root(path), MAX_FILE)?.ok_or_else(missing)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let signer = ProgramSigner::from_pem(&read(KEY, &key)?, &read(CERTIFICATE, &certificate)?);
        let failed = |error| {
            let message = format!("use {key} and {certificate} to sign images: {error}");
            Error::other(Kind::Invalid, message)
        };
        Ok(Some(ImageSigner(signer.map_err(failed)?)))
    }

    /// Refuses to put an image together that the firmware of this machine would not start.
    pub(crate) fn check_unsigned_image(&self) -> Result<()> {
        let is_running = self.path == self.options.running_root || self.running()?.is_some();
        if !is_running || !self.demands_signatures()? {
            return Ok(());
        }
        let message = format!(
            "this machine starts signed programs only (Secure Boot), and a unified kernel image \
             that is put together here has no signature; name a key by {KEY} and {CERTIFICATE} \
             in the section [updraft] of the repository's configuration, or put a signed image \
             into the commit, or set bootloader=systemd-boot"
        );
        Err(Error::other(Kind::Unsupported, message))
    }

    fn demands_signatures(&self) -> Result<bool> {
        let Ok(variables) = Dir::open(&self.options.firmware_variables) else { return Ok(false) };
        let is_on = |name: &str| -> Result<bool> {
            let bytes = variables.try_read(name, MAX_VARIABLE)?.unwrap_or_default();
            Ok(bytes.get(VALUE_AT) == Some(&1))
        };
        Ok(is_on(SECURE_BOOT)? && !is_on(WITHOUT_VALIDATION)?)
    }
}

fn below_root(path: &str) -> &Path {
    Path::new(path.trim_start_matches('/'))
}
