//! [`Ecu`]: what a secondary does, whoever asks for it.

mod image;
mod install;

use std::path::PathBuf;

use jiff::Timestamp;
use updraft_crypto::{KeyAlgorithm, SigningKey, sha256_hex};
use updraft_fs::{Dir, LockFile, LockMode, atomic_write};
use updraft_ipuptane::{EcuInfo, KeyKind};
use updraft_task::Context;
use updraft_tuf::manifest::{EcuVersionReport, InstalledImage};
use updraft_tuf::{
    Dialect, DirectorFiles, FirstRoot, Hashes, KeyType, Repository, RoleName, TargetFormat,
    TrustedMetadata, UptaneTarget, Verified,
};

use crate::metadata::MetadataFiles;
use crate::payload::Payload;
use crate::state::{ImageRecord, State};
use crate::verify::{self, Change, Run, Verdict};
use crate::{Error, Result, Verification};

pub use install::Installation;

const KEY: &str = "ecu.key";
const LOCK: &str = "secondary.lock";
const IMAGES: &str = "images";
const MAX_KEY: u64 = 64 << 10;
/// How much is kept of what looked like an attack, in characters.
const MAX_ATTACK: usize = 1024;

/// Who an ECU is, and how careful.
#[derive(Debug, Clone)]
pub struct EcuOptions {
    /// The folder of its state; it is made with mode 0700.
    pub folder: PathBuf,
    /// Its serial. Empty: the id of its key.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// How much it verifies.
    pub verification: Verification,
    /// Which files of the Director it demands.
    pub director: DirectorFiles,
    /// What it thinks of the first root.
    pub first_root: FirstRoot,
    /// The algorithm of a key that is made.
    pub key_algorithm: KeyAlgorithm,
    /// A private key that it uses where there is none yet: PKCS#8 PEM, or as aktualizr keeps it.
    pub key_pem: Option<String>,
    /// A folder with first roots, `repo/root.json` and `director/root.json`.
    pub import: Option<PathBuf>,
    /// What another program kept for this ECU; it is taken over once, while there is no key yet.
    pub adopted: Option<Adopted>,
}

/// The state that another program kept for an ECU.
#[derive(Clone)]
pub struct Adopted {
    /// The private key, in any form that aktualizr writes.
    pub key: String,
    /// Trusted roots, each with a chain that was verified.
    pub roots: Vec<(Repository, Vec<u8>)>,
    /// What runs.
    pub installed: Option<ImageRecord>,
}

impl std::fmt::Debug for Adopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adopted").field("installed", &self.installed).finish_non_exhaustive()
    }
}

/// A secondary ECU.
pub struct Ecu {
    folder: Dir,
    images: Dir,
    identity: updraft_tuf::Ecu,
    options: EcuOptions,
    key: SigningKey,
    metadata: MetadataFiles,
    state: State,
    payload: Box<dyn Payload>,
    /// What the metadata of this moment assigns; a receiving that has begun.
    assigned: Option<Verified<UptaneTarget>>,
    incoming: Option<image::Incoming>,
    /// Held while this lives.
    _lock: LockFile,
}

impl std::fmt::Debug for Ecu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ecu").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Ecu {
    /// Opens the ECU's state, or makes it; `payload` gives what installs images, now that it is
    /// known who the ECU is.
    pub fn open(
        options: EcuOptions,
        payload: impl FnOnce(&updraft_tuf::Ecu) -> Box<dyn Payload>,
    ) -> Result<Self> {
        Self::open_with(options, |identity| Ok(payload(identity)))
    }

    /// [`Ecu::open`] where what installs images may fail to open.
    pub fn open_with(
        options: EcuOptions,
        payload: impl FnOnce(&updraft_tuf::Ecu) -> Result<Box<dyn Payload>>,
    ) -> Result<Self> {
        let folder = Dir::create_all(&options.folder, 0o700)?;
        let busy = || Error::Payload {
            action: "open the ECU's state",
            problem: format!("{} is in use", options.folder.display()),
            kind: updraft_error::Kind::Conflict,
        };
        let lock = LockFile::try_acquire(&folder, LOCK, LockMode::Exclusive)?.ok_or_else(busy)?;
        let mut metadata = MetadataFiles::open(&folder)?;
        let mut state = State::load(&folder)?;
        let mut options = options;
        if !folder.exists(KEY)?
            && let Some(adopted) = options.adopted.take()
        {
            for (repository, root) in adopted.roots {
                metadata.apply(Change::Persist(repository, RoleName::Root, root))?;
            }
            state.installed = state.installed.or(adopted.installed);
            state.store(&folder)?;
            options.key_pem = Some(adopted.key);
        }
        // Commit point of taking a state over: with the key it is done, and not begun again.
        let key = load_key(&folder, &options)?;
        let serial = match options.serial.as_str() {
            "" => key.key_id(Dialect::Uptane).to_string(),
            chosen => chosen.to_owned(),
        };
        let identity = updraft_tuf::Ecu { serial, hardware_id: options.hardware_id.clone() };
        if let Some(base) = &options.import {
            metadata.import_roots(base)?;
        }
        let images = folder.ensure_dir(IMAGES, 0o700)?;
        let payload = payload(&identity)?;
        let ecu = Self {
            folder,
            images,
            identity,
            options,
            key,
            metadata,
            state,
            payload,
            assigned: None,
            incoming: None,
            _lock: lock,
        };
        ecu.drop_old_images()?;
        Ok(ecu)
    }

    /// Its serial and hardware id.
    #[must_use]
    pub fn identity(&self) -> &updraft_tuf::Ecu {
        &self.identity
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &updraft_tuf::PublicKey {
        self.key.public()
    }

    /// What runs, as far as this program put it there.
    #[must_use]
    pub fn installed(&self) -> Option<&ImageRecord> {
        self.state.installed.as_ref()
    }

    /// Who it is, as the protocol says it.
    #[must_use]
    pub fn info(&self) -> EcuInfo {
        let public = self.key.public();
        let key_kind = match (public.key_type(), public.as_bytes().len()) {
            (KeyType::Ed25519, _) => KeyKind::Ed25519,
            // SubjectPublicKeyInfo of these sizes of RSA, with the usual exponent.
            (KeyType::Rsa, 294) => KeyKind::Rsa2048,
            (KeyType::Rsa, 550) => KeyKind::Rsa4096,
            _ => KeyKind::UNKNOWN,
        };
        EcuInfo {
            serial: self.identity.serial.clone(),
            hardware_id: self.identity.hardware_id.clone(),
            key_kind,
            key: public.public_text().into_bytes(),
        }
    }

    /// The signed report of what runs; each has a counter that was never used before.
    pub fn manifest(&mut self, ctx: &Context) -> Result<Vec<u8>> {
        let image = self.running(ctx)?;
        let counter = self.state.counter.saturating_add(1);
        self.change(|state| state.counter = counter)?;
        let mut report = EcuVersionReport::new(&self.identity.serial, image, counter);
        report.attacks_detected.clone_from(&self.state.attacks);
        let envelope = report.sign(&self.key)?;
        envelope
            .to_bytes(Dialect::Uptane)
            .map_err(|_| Error::Damaged { what: "the report's canonical form" })
    }

    /// What runs now. The payload's word counts: somebody may have changed it by hand.
    fn running(&mut self, ctx: &Context) -> Result<InstalledImage> {
        let recorded = self.state.installed.clone();
        let Some(seen) = self.payload.observe(ctx)? else {
            return Ok(recorded.map_or_else(InstalledImage::unknown, |image| reported(&image)));
        };
        // The power may have gone between the change of the image and that of the state.
        if let Some(installing) = self.state.installing.clone()
            && installing.sha256 == seen.sha256
            && recorded.as_ref().is_none_or(|recorded| recorded.sha256 != seen.sha256)
        {
            self.installed_now(installing)?;
        }
        match &self.state.installed {
            Some(image) if image.sha256 == seen.sha256 => Ok(reported(image)),
            _ if seen.sha256 == sha256_hex(b"") => Ok(InstalledImage::unknown()),
            _ => Ok(InstalledImage {
                filepath: seen.name.unwrap_or_else(|| "unknown".to_owned()),
                length: seen.length,
                hashes: Hashes::from_sha256(&seen.sha256),
            }),
        }
    }

    /// The version of the root that is trusted; 0: none.
    #[must_use]
    pub fn root_version(&self, repository: Repository) -> u64 {
        let root = self.metadata.trusted().files(repository).get(&RoleName::Root);
        root.and_then(verify::root_version).unwrap_or(0)
    }

    /// Takes the root that follows the trusted one.
    pub fn put_root(&mut self, repository: Repository, bytes: &[u8], now: Timestamp) -> Result<()> {
        let judged = self.with_run(None, false, now, |run, persist| {
            verify::next_root(run, repository, bytes, persist)
        });
        self.note(judged)
    }

    /// Takes metadata: verifies it, and remembers what it assigns to this ECU.
    pub fn put_metadata(&mut self, offered: &TrustedMetadata, now: Timestamp) -> Result<()> {
        self.assigned = None;
        self.incoming = None;
        let medium = offered.director.get(&RoleName::OfflineUpdates).is_some();
        let judged = self.with_run(Some(offered), medium, now, |run, persist| run.verify(persist));
        let verdict = self.note(judged)?;
        if self.state.medium != medium {
            self.change(|state| state.medium = medium)?;
        }
        self.assign(verdict);
        Ok(())
    }

    /// What is assigned, verified again at this time.
    fn assigned(&mut self, now: Timestamp) -> Result<Verified<UptaneTarget>> {
        let medium = self.state.medium;
        let verdict = self.with_run(None, medium, now, |run, persist| run.verify(persist))?;
        self.assign(verdict);
        let assigned = self.assigned.clone().ok_or(Error::NothingAssigned)?;
        if assigned.encrypted.is_some() && assigned.format == TargetFormat::Ostree {
            let problem = "it is a commit, and only files can be encrypted";
            return Err(Error::Unsupported { filepath: assigned.filepath.clone(), problem });
        }
        if assigned.format == self.payload.format() {
            return Ok(assigned);
        }
        let problem = match assigned.format {
            TargetFormat::Ostree => "this ECU installs files, and it is a commit",
            TargetFormat::Binary => "this ECU installs commits, and it is a file",
        };
        Err(Error::Unsupported { filepath: assigned.filepath.clone(), problem })
    }

    fn assign(&mut self, verdict: Verdict) {
        self.assigned = match verdict {
            Verdict::Assigned(target) => Some(*target),
            Verdict::Nothing | Verdict::Installed => None,
        };
    }

    /// Runs verification on what is stored; every file that becomes trusted is stored at once.
    fn with_run<T>(
        &mut self,
        offered: Option<&TrustedMetadata>,
        medium: bool,
        now: Timestamp,
        work: impl FnOnce(&Run<'_>, &mut dyn FnMut(Change) -> Result<()>) -> Result<T>,
    ) -> Result<T> {
        let stored = self.metadata.trusted().clone();
        let run = Run {
            verification: self.options.verification,
            director: self.options.director,
            first_root: self.options.first_root,
            ecu: &self.identity,
            installed: self.state.installed.as_ref(),
            stored: &stored,
            offered,
            now,
            medium,
        };
        let metadata = &mut self.metadata;
        work(&run, &mut |change| metadata.apply(change))
    }

    /// Remembers what was refused, for the next report.
    fn note<T>(&mut self, judged: Result<T>) -> Result<T> {
        let attacks = match &judged {
            Err(error @ (Error::Refused(_) | Error::WrongContent { .. })) => {
                tracing::warn!(error = error as &dyn std::error::Error, "refused");
                error.chain().chars().take(MAX_ATTACK).collect()
            }
            Err(_) => return judged,
            Ok(_) => String::new(),
        };
        if attacks != self.state.attacks {
            self.change(|state| state.attacks = attacks)?;
        }
        judged
    }

    /// Changes the state, durably or not at all.
    fn change(&mut self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.state.clone();
        change(&mut state);
        state.store(&self.folder)?;
        self.state = state;
        Ok(())
    }
}

fn reported(image: &ImageRecord) -> InstalledImage {
    InstalledImage {
        filepath: image.filepath.clone(),
        length: image.length,
        hashes: image.hashes(),
    }
}

/// The ECU's key, which is made and stored when there is none.
fn load_key(folder: &Dir, options: &EcuOptions) -> Result<SigningKey> {
    if let Some(bytes) = folder.try_read(KEY, MAX_KEY)? {
        let text = String::from_utf8(bytes).map_err(|_| Error::Damaged { what: KEY })?;
        return Ok(SigningKey::from_pkcs8_pem(&text)?);
    }
    let key = match &options.key_pem {
        Some(text) => SigningKey::from_text(text)?,
        None => SigningKey::generate(options.key_algorithm)?,
    };
    atomic_write(folder, KEY, key.to_pkcs8_pem()?.as_bytes(), 0o600)?;
    Ok(key)
}
