//! uptane-generator: both repositories in a folder, for tests and for devices without a server.
//!
//! ```text
//! FOLDER/keys/director/ROLE/private.key, public.key, key_type
//! FOLDER/keys/image/ROLE/…                          delegated roles, too
//! FOLDER/repo/director/N.root.json, root.json, targets.json, snapshot.json, timestamp.json
//! FOLDER/repo/director/staging/targets.json         what `signtargets` signs
//! FOLDER/repo/director/manifest                     empty, for web servers that take PUT
//! FOLDER/repo/repo/…                                the Image repository
//! FOLDER/repo/repo/delegations/ROLE.json
//! FOLDER/repo/repo/targets/NAME                     contents
//! FOLDER/campaigns.json
//! ```
//! A web server over `FOLDER/repo` is what a device can be pointed at. The keys lie beside it without
//! protection: nothing that matters is to be signed with them.

mod director;
mod image;
mod repository;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_publish::algorithm_of_key_type;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::Envelope;

use image::NewImage;
use repository::{Repository, Which};

use super::sign::DIALECT;

/// Make and change a Director and an Image repository in a folder, keys included, as
/// uptane-generator does.
///
/// Commands: `generate` makes both; `image` adds a target to the Image repository;
/// `adddelegation` and `revokedelegation` say who else lists targets; `addtarget` stages a target
/// for an ECU, `emptytargets` stages none, `oldtargets` stages those that are signed, and
/// `signtargets` signs what is staged; `sign` signs JSON from stdin; `refresh` makes the next version
/// of a role; `rotate` gives a repository another root key; `addcampaigns` writes a campaign.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The command, the folder and the image, when they are not given as options.
    #[arg(value_name = "WORD", num_args = 0..=3)]
    words: Vec<String>,
    /// What to do.
    #[arg(long)]
    command: Option<String>,
    /// The folder.
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// The image, for `image`.
    #[arg(long, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// The target's name; without it, that of the image.
    #[arg(long, value_name = "NAME")]
    targetname: Option<String>,
    /// The hardware id.
    #[arg(long, value_name = "ID")]
    hwid: Option<String>,
    /// `OSTREE` or `BINARY`, for `image` without a file.
    #[arg(long, value_name = "FORMAT")]
    targetformat: Option<String>,
    /// A file with the target's `custom` in JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "targetformat")]
    targetcustom: Option<PathBuf>,
    /// The target's SHA-256, for `image` without a file.
    #[arg(long, value_name = "HASH")]
    targetsha256: Option<String>,
    /// The target's SHA-512, for `image` without a file.
    #[arg(long, value_name = "HASH")]
    targetsha512: Option<String>,
    /// The target's length, for `image` without a file.
    #[arg(long, value_name = "BYTES")]
    targetlength: Option<u64>,
    /// The version that the target's `custom` has.
    #[arg(long, value_name = "N")]
    customversion: Option<i64>,
    /// Where to fetch the target.
    #[arg(long)]
    url: Option<String>,
    /// The ECU, for `addtarget`.
    #[arg(long)]
    serial: Option<String>,
    /// The ECU's public key, for `addtarget`: the ECU gets the image encrypted, as `NAME.SERIAL.enc`.
    #[arg(long, value_name = "FILE")]
    ecukey: Option<PathBuf>,
    /// When what is made expires, such as 2030-01-01T00:00:00Z; without it, in three years.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The correlation id that the Director's targets get.
    #[arg(long, value_name = "ID")]
    correlationid: Option<String>,
    /// What sort of keys: RSA2048, RSA3072, RSA4096, ED25519.
    #[arg(long, value_name = "TYPE", default_value = "RSA2048")]
    keytype: String,
    /// `director` or `image`.
    #[arg(long, value_name = "REPOSITORY")]
    repotype: Option<String>,
    /// The role whose key signs, or that gets its next version.
    #[arg(long, value_name = "ROLE")]
    keyname: Option<String>,
    /// The delegated role.
    #[arg(long, value_name = "ROLE")]
    dname: Option<String>,
    /// The pattern of names that the delegated role may list.
    #[arg(long, value_name = "PATTERN")]
    dpattern: Option<String>,
    /// The role that delegates.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    dparent: String,
    /// No role is asked after the delegated one.
    #[arg(long)]
    dterm: bool,
}

impl Generate {
    /// Whether nothing was asked for, which prints help.
    pub(super) fn is_empty(&self) -> bool {
        self.command.is_none() && self.words.is_empty()
    }

    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let (command, folder, filename) = self.subjects()?;
        let open = |which| Repository::open(&folder, which, self.expires.as_deref());
        let (director, image) = (|| open(Which::Director), || open(Which::Image));
        let done = match command.as_str() {
            "generate" => {
                let algorithm = self.algorithm()?;
                director()?.generate(algorithm, self.correlationid.as_deref())?;
                image()?.generate(algorithm, None)?;
                format!("made two repositories in {}", folder.display())
            }
            "image" => {
                let new = self.image(filename)?;
                image()?.add_image(&new)?;
                format!("{} is in the Image repository", new.name)
            }
            "addtarget" => {
                let name = needed(self.targetname.as_ref(), "--targetname")?;
                let hardware = needed(self.hwid.as_ref(), "--hwid")?;
                let serial = needed(self.serial.as_ref(), "--serial")?;
                let image = image()?;
                let mut ecu = json!({ "hardwareId": hardware });
                if let Some(path) = &self.ecukey {
                    let key = crate::keys::read_public_key(path)?;
                    for (member, value) in image.encrypt(name, serial, &key)?.to_members() {
                        ecu[member] = value;
                    }
                }
                let target = image.target(name)?;
                director()?.stage_target(name, target, (serial, ecu), self.url.as_deref())?;
                format!("{name} is staged for the ECU {serial}")
            }
            "emptytargets" => {
                director()?.stage_nothing(self.correlationid.as_deref())?;
                "no target is staged any more".to_owned()
            }
            "oldtargets" => {
                director()?.stage_current()?;
                "what is signed is staged".to_owned()
            }
            "signtargets" => {
                director()?.sign_staged()?;
                "signed what was staged".to_owned()
            }
            "adddelegation" => {
                let name = needed(self.dname.as_ref(), "--dname")?;
                let pattern = needed(self.dpattern.as_ref(), "--dpattern")?;
                let parent = &self.dparent;
                image()?.delegate(name, parent, pattern, self.dterm, self.algorithm()?)?;
                format!("{parent} delegates {pattern} to {name}")
            }
            "revokedelegation" => {
                let name = needed(self.dname.as_ref(), "--dname")?;
                let image = image()?;
                // Each step leaves what a client can follow, and all can be repeated: what the
                // Director names is listed by somebody at any moment.
                director()?.drop_targets(&image.listed_by(name)?)?;
                image.revoke(name)?;
                image.forget(name)?;
                format!("nothing is delegated to {name} any more")
            }
            "sign" => return self.sign(&open(self.which()?)?, terminal),
            "refresh" => {
                let role = needed(self.keyname.as_ref(), "--keyname")?;
                let version = open(self.which()?)?.refresh(role)?;
                format!("{role} is at version {version}")
            }
            "rotate" => {
                let role = needed(self.keyname.as_ref(), "--keyname")?;
                open(self.which()?)?.rotate(role, self.algorithm()?)?;
                format!("{role} has another key")
            }
            "addcampaigns" => {
                repository::write(&folder.join("campaigns.json"), &campaigns())?;
                "wrote a campaign".to_owned()
            }
            other => {
                let message = format!("there is no command `{}`", other.escape_default());
                return Err(Failure::new(Kind::Invalid, message).hint("see --help"));
            }
        };
        terminal.line(done)
    }

    /// The command, the folder and the image, from options and words.
    fn subjects(&self) -> Result<(String, PathBuf, Option<PathBuf>)> {
        let mut words = self.words.iter();
        let command = self.command.as_ref().or_else(|| words.next());
        let command = needed(command, "--command")?.clone();
        let path = self.path.clone().or_else(|| words.next().map(PathBuf::from));
        let path = needed(path.as_ref(), "--path")?.clone();
        let filename = self.filename.clone().or_else(|| words.next().map(PathBuf::from));
        match words.next() {
            None => Ok((command, path, filename)),
            Some(word) => {
                let message = format!("`{}` is one word too many", word.escape_default());
                Err(Failure::new(Kind::Invalid, message))
            }
        }
    }

    fn algorithm(&self) -> Result<KeyAlgorithm> {
        let name = self.keytype.to_ascii_lowercase();
        // What aktualizr reads in a root: anything else makes it refuse the whole file.
        let name = name.strip_prefix("rsa").map_or(name.clone(), |bits| format!("rsa-{bits}"));
        let found = algorithm_of_key_type(&name).filter(|found| *found != KeyAlgorithm::EcdsaP256);
        found.ok_or_else(|| {
            let message = format!("no device reads keys of the type `{}`", self.keytype);
            Failure::new(Kind::Invalid, message).hint("RSA2048, RSA3072, RSA4096 or ED25519")
        })
    }

    fn which(&self) -> Result<Which> {
        match needed(self.repotype.as_ref(), "--repotype")?.as_str() {
            "director" => Ok(Which::Director),
            "image" => Ok(Which::Image),
            _ => Err(Failure::new(Kind::Invalid, "--repotype is `director` or `image`")),
        }
    }

    fn image(&self, filename: Option<PathBuf>) -> Result<NewImage> {
        let hardware = needed(self.hwid.as_ref(), "--hwid")?.clone();
        let of_file = || filename.as_ref().map(|path| path.display().to_string());
        let name = self.targetname.clone().or_else(of_file);
        let name = needed(name.as_ref(), "--targetname or --filename")?.clone();
        let custom = match (&self.targetcustom, &self.targetformat) {
            (Some(path), _) => super::sign::read_json(path)?,
            (None, Some(format)) => json!({ "targetFormat": format }),
            (None, None) => json!({}),
        };
        let hash = match (&self.targetsha256, &self.targetsha512) {
            (Some(hash), _) => Some(("sha256", hash.to_ascii_lowercase())),
            (None, Some(hash)) => Some(("sha512", hash.to_ascii_lowercase())),
            (None, None) => None,
        };
        Ok(NewImage {
            name,
            hardware,
            file: filename,
            hash,
            length: self.targetlength,
            custom,
            version: self.customversion,
            url: self.url.clone(),
            role: self.dname.clone(),
        })
    }

    /// Signs JSON from stdin: a payload, or a signed file that gets one more signature.
    fn sign(&self, repository: &Repository, terminal: &Terminal) -> Result {
        use std::io::Read as _;
        let role = needed(self.keyname.as_ref(), "--keyname")?;
        let mut text = Vec::new();
        std::io::stdin().lock().take(repository::MAX_FILE).read_to_end(&mut text)?;
        let value: Value = serde_json::from_slice(&text)
            .map_err(|error| Failure::of(Kind::Invalid, error))
            .context("failed to read JSON from stdin")?;
        let mut envelope = if value.get("signed").is_some() && value.get("signatures").is_some() {
            Envelope::from_value(DIALECT, value)?
        } else {
            Envelope { signatures: Vec::new(), signed: value }
        };
        envelope
            .add_signature(DIALECT, &repository.key(role)?)
            .map_err(|error| Failure::of(Kind::Invalid, error))?;
        terminal.bytes(&envelope.to_bytes(DIALECT)?)
    }
}

fn needed<'a, T>(value: Option<&'a T>, name: &str) -> Result<&'a T> {
    value.ok_or_else(|| Failure::new(Kind::Invalid, format!("this command needs {name}")))
}

fn campaigns() -> Value {
    json!({ "campaigns": [{
        "id": "5e2fb2e8-1c3a-4b8e-9d6e-0a4f8c1d7b90",
        "name": "example",
        "size": 1024,
        "autoAccept": true,
        "metadata": [
            { "type": "DESCRIPTION", "value": "An example of a campaign." },
            { "type": "ESTIMATED_INSTALLATION_DURATION", "value": "10" },
            { "type": "ESTIMATED_PREPARATION_DURATION", "value": "20" },
        ],
    }] })
}
