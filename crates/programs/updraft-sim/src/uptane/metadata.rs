//! Metadata of Director and Image repository: verified in full, or only fetched.

use hyper::StatusCode;
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Ecu, EmptyTargets, FirstRoot, InstalledTarget, Options, Outcome, Repository, Step,
    UptaneTarget, UptaneUpdater, Verified,
};

use super::Registered;
use crate::link::{Ask, Link, Trouble};
use crate::tally::Kind;

/// What a whole poll fetches beside its manifest.
const FILES: [&str; 4] = ["root.json", "timestamp.json", "snapshot.json", "targets.json"];

/// Fetches the Director's files.
pub(super) async fn fetch(link: &mut Link) -> Result<(), Trouble> {
    for file in FILES {
        link.ask(Kind::Metadata, Ask::get(format!("/director/{file}"))).await?;
    }
    Ok(())
}

/// What the device is to install, if that is something else than what it has.
pub(super) async fn verify(
    device: &mut Registered,
    id: &str,
    hardware: &str,
) -> Result<Option<Verified<UptaneTarget>>, Trouble> {
    let ecu = Ecu { serial: device.serial.clone(), hardware_id: hardware.to_owned() };
    let installed = InstalledTarget {
        ecu_serial: device.serial.clone(),
        filepath: device.installed.filepath.clone(),
        hashes: device.installed.hashes.clone(),
        release_counter: None,
    };
    let options = Options {
        first_root: FirstRoot::TrustOnFirstUse,
        vehicle_id: Some(id.to_owned()),
        empty_targets: EmptyTargets::MayBeAnonymous,
        installed: vec![installed],
        ..Options::new(Dialect::Uptane)
    };
    let now = jiff::Timestamp::now();
    let trusted = device.trusted.clone();
    let mut updater = UptaneUpdater::new(trusted, &[ecu], now, &options, Verifier);
    loop {
        match updater.next().map_err(|refusal| Trouble::Answer(refusal.to_string()))? {
            Step::Fetch { repository, file_name, max_length, .. } => {
                let folder = match repository {
                    Repository::Director => "director",
                    Repository::Image => "repo",
                };
                let ask = Ask::get(format!("/{folder}/{file_name}"));
                let answer = device.link.ask(Kind::Metadata, ask).await?;
                let taken = match answer.status {
                    StatusCode::OK => {
                        let most = usize::try_from(max_length.saturating_add(1));
                        let most = most.unwrap_or(usize::MAX).min(answer.body.len());
                        updater.received(answer.body.get(..most).unwrap_or_default())
                    }
                    StatusCode::NOT_FOUND => updater.absent(),
                    other => return Err(Trouble::Answer(format!("HTTP {}", other.as_u16()))),
                };
                taken.map_err(|refusal| Trouble::Answer(refusal.to_string()))?;
            }
            Step::Persist { repository, role, bytes } => {
                device.trusted.files_mut(repository).insert(role, bytes);
            }
            Step::Delete { repository, role } => {
                device.trusted.files_mut(repository).remove(&role);
            }
            Step::Done(Outcome::UpToDate) => return Ok(None),
            Step::Done(Outcome::Update(targets)) => return Ok(targets.into_iter().next()),
        }
    }
}
