//! Our own client and manifest verification.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp as Time;
use updraft_crypto::{KeyAlgorithm, SigningKey, Verifier};
use updraft_tuf::manifest::{EcuVersionReport, InstalledImage, RegisteredEcu, VehicleManifest};
use updraft_tuf::{Dialect, Options, RoleFiles, RoleName, Step, TufUpdater};

use crate::cpu::Cpu;
use crate::repository::WANTED;

/// From the first root to the target, with all trusted files written to `store`.
pub(crate) fn update(metadata: &Path, store: &Path, now: Time) -> Result<Duration> {
    let begin = Cpu::now();
    let root = fs::read(metadata.join("1.root.json"))?;
    let trusted: RoleFiles = [(RoleName::Root, root)].into_iter().collect();
    let options = Options::new(Dialect::Tuf);
    let mut updater = TufUpdater::new(trusted, &[WANTED.to_owned()], now, &options, Verifier);
    loop {
        match updater.next()? {
            Step::Fetch { file_name, .. } => match fs::read(metadata.join(file_name)) {
                Ok(bytes) => updater.received(&bytes)?,
                Err(_) => updater.absent()?,
            },
            Step::Persist { role, bytes, .. } => fs::write(store.join(role.file_name()), bytes)?,
            Step::Delete { role, .. } => fs::remove_file(store.join(role.file_name()))?,
            Step::Done(outcome) if outcome.wanted[WANTED].is_some() => return Ok(begin.elapsed()),
            Step::Done(_) => bail!("our client did not find the target"),
        }
    }
}

/// The processor time that `count` verifications of a manifest with `ecus` ECUs take, as the server does them.
pub(crate) fn manifests(count: u32, ecus: u32) -> Result<Duration> {
    let mut registered = std::collections::BTreeMap::new();
    let mut manifest = VehicleManifest::new("ecu0");
    let mut primary = None;
    for number in 0..ecus {
        let key = SigningKey::generate(KeyAlgorithm::Ed25519)?;
        let serial = format!("ecu{number}");
        let report = EcuVersionReport::new(&serial, InstalledImage::unknown(), 2);
        manifest.ecu_version_manifests.insert(serial.clone(), report.sign(&key)?);
        let ecu = RegisteredEcu { key: key.public().clone(), last_counter: Some(1) };
        registered.insert(serial, ecu);
        primary.get_or_insert(key);
    }
    let Some(primary) = primary else { bail!("a vehicle has one ECU at least") };
    let bytes = manifest.sign(&primary)?;
    let begin = Cpu::now();
    for _ in 0..count {
        VehicleManifest::verify(&bytes, &registered, &Verifier)?;
    }
    Ok(begin.elapsed())
}
