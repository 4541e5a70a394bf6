//! `updraft ota zip`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Kind;
use updraft_payload::{DeviceState, OtaMetadata};
use updraft_recovery_engine::{PackageOptions, make_payload_package};
use updraft_slots::{FileSource, Head, Trust};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::input::SigningOptions;

/// Make an OTA package of a payload.
///
/// The payload and all else is stored, not compressed, and the metadata tells where in the package it
/// is, so that devices read it from a web server without storing the package. The same input makes the
/// same package; only signatures by EC keys differ each time.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft ota zip payload.bin ota.zip --device board --post-build 'maker/board:2.1' \\
      --key release.pk8 --certificate release.x509.pem
  updraft ota zip delta.bin ota.zip --device board --pre-build 'maker/board:2.0' \\
      --post-build 'maker/board:2.1' --care-map care_map.pb --property SWITCH_SLOT_ON_REBOOT=0")]
pub(super) struct Zip {
    /// The payload.
    payload: PathBuf,
    /// The package to write.
    output: PathBuf,
    /// A device that it is for; repeat for more names.
    #[arg(long, value_name = "NAME", required = true)]
    device: Vec<String>,
    /// The build that devices need to have, as a delta wants it; repeat for one of several.
    #[arg(long, value_name = "FINGERPRINT")]
    pre_build: Vec<String>,
    /// The incremental part of its version.
    #[arg(long, value_name = "TEXT")]
    pre_build_incremental: Option<String>,
    /// The build that devices have afterwards.
    #[arg(long, value_name = "FINGERPRINT")]
    post_build: Option<String>,
    /// The incremental part of its version.
    #[arg(long, value_name = "TEXT")]
    post_build_incremental: Option<String>,
    /// The level of its interface for apps.
    #[arg(long, value_name = "LEVEL")]
    post_sdk_level: Option<String>,
    /// Its security patch level; that of the payload if not given.
    #[arg(long, value_name = "DATE")]
    security_patch_level: Option<String>,
    /// When it was built, in seconds since 1970; what the payload says if not given.
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// The data of the user is removed.
    #[arg(long)]
    wipe: bool,
    /// The build may be older than the one that devices have.
    #[arg(long)]
    downgrade: bool,
    /// A line for payload_properties.txt after those about the payload, as POWERWASH=1; repeat for more.
    #[arg(long, value_name = "NAME=VALUE")]
    property: Vec<String>,
    /// The blocks that devices read at their first start (care_map.pb).
    #[arg(long, value_name = "FILE")]
    care_map: Option<PathBuf>,
    #[command(flatten)]
    signing: SigningOptions,
}

impl Zip {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let failed = || format!("failed to make {}", self.output.display());
        let options = PackageOptions {
            metadata: self.metadata(&self.payload)?,
            properties: self.property.iter().map(|line| named(line)).collect::<Result<_>>()?,
            care_map: self.care_map.clone(),
        };
        let signer = self.signing.read_with_certificate()?;
        if signer.is_none() {
            terminal
                .say("the package is not signed: recovery takes it after `updraft ota sign` only");
        }
        let signer = signer.as_ref().map(|(signer, certificate)| (signer, &certificate[..]));
        let (payload, output) = (&self.payload, &self.output);
        make_payload_package(&terminal.context, payload, &options, signer, output)
            .with_context(failed)
    }

    fn metadata(&self, payload: &Path) -> Result<OtaMetadata> {
        let mut source = FileSource::open(payload)?;
        let head = Head::read(&mut source, &Trust::default())
            .with_context(|| format!("failed to read {}", payload.display()))?;
        let about = &head.manifest.about;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let level = self.security_patch_level.clone();
        Ok(OtaMetadata {
            wipe: self.wipe,
            downgrade: self.downgrade,
            precondition: Some(DeviceState {
                device: self.device.clone(),
                build: self.pre_build.clone(),
                build_incremental: text(&self.pre_build_incremental),
                ..DeviceState::default()
            }),
            postcondition: Some(DeviceState {
                device: self.device.clone(),
                build: self.post_build.iter().cloned().collect(),
                build_incremental: text(&self.post_build_incremental),
                timestamp: self.timestamp.or(about.max_timestamp).unwrap_or(0),
                sdk_level: text(&self.post_sdk_level),
                security_patch_level: text(&level.or(about.security_patch_level.clone())),
            }),
            property_files: BTreeMap::new(),
            ..OtaMetadata::default()
        })
    }
}

fn named(line: &str) -> Result<(String, String)> {
    let bad = || Failure::new(Kind::Invalid, format!("property {line:?} is not NAME=VALUE"));
    let (name, value) = line.split_once('=').ok_or_else(bad)?;
    if name.is_empty() || line.contains(['\n', '\r']) {
        return Err(bad());
    }
    Ok((name.to_owned(), value.to_owned()))
}
