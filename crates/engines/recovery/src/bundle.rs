//! Bundles for plain Linux: partitions by transfer lists, without a script, and with a SHA-256 of each.

use sha2::{Digest as _, Sha256};
use updraft_error::Kind;
use updraft_fs::{Dir, PageBuffer};
use updraft_payload::bundle::{BUNDLE_NAME, Bundle, BundlePartition, MAX_BUNDLE};
use updraft_payload::transfer_list::MAX_TRANSFER_LIST;
use updraft_task::Context;

use crate::updater::{Parts, Work, block_image};
use crate::{Attempt, BlockDevice, Error, Package, Result, System, Updater, VerifiedPackage};

const BUFFER: usize = 1 << 20;

/// The bundle of a package. `None`: it has none.
pub(crate) fn bundle_of(package: &Package) -> Result<Option<Bundle>> {
    let bytes = package.read(BUNDLE_NAME, MAX_BUNDLE)?;
    Ok(bytes.map(|bytes| Bundle::parse(&bytes)).transpose()?)
}

/// Installs a bundle: all partitions are looked at before the first one is written.
pub(crate) fn install(
    context: &Context,
    package: &VerifiedPackage,
    bundle: &Bundle,
    system: &System,
    (state, attempt): (&Dir, Attempt),
) -> Result<()> {
    let own = system.properties.get("compatible").map_or("", String::as_str);
    if own != bundle.compatible {
        let message = format!("it is for devices of the sort {:?}, not {own:?}", bundle.compatible);
        return Err(Error::Script { message, code: None, source: None });
    }
    let mut works = Vec::new();
    for partition in &bundle.partitions {
        let device = system.device(&partition.device)?;
        let size = device.size().map_err(Error::file("measure", &partition.device))?;
        if size < partition.size {
            return Err(Error::entry(&partition.device, Kind::Conflict, "the device is smaller"));
        }
        let parts = parts(package, partition)?;
        if attempt == Attempt::First {
            block_image(context, package, &*device, &parts, state, Work::Verify, &|| Ok(()))?;
        }
        works.push((partition, device, parts));
    }
    Updater::begin(state)?;
    for (partition, device, parts) in &works {
        let work = Work::Update(attempt);
        block_image(context, package, &**device, parts, state, work, &|| Ok(()))?;
        check(context, partition, &**device)?;
    }
    Updater::finish(state)
}

fn parts(package: &Package, partition: &BundlePartition) -> Result<Parts> {
    let list = package.read(&partition.transfer_list, MAX_TRANSFER_LIST)?;
    let missing = || Error::entry(&partition.transfer_list, Kind::Invalid, "there is none");
    Ok(Parts {
        device: partition.device.clone(),
        list: list.ok_or_else(missing)?,
        new_data: partition.new_data.clone(),
        patches: partition.patches.clone(),
        answers: Vec::new(),
    })
}

/// The partition has to be what the bundle says, byte for byte.
fn check(context: &Context, partition: &BundlePartition, device: &dyn BlockDevice) -> Result<()> {
    let mut hash = Sha256::new();
    let mut buffer = PageBuffer::new(BUFFER);
    let mut at = 0;
    while at < partition.size {
        context.check()?;
        let most = usize::try_from(partition.size - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        device.read_exact_at(piece, at).map_err(Error::file("read", &partition.device))?;
        hash.update(&*piece);
        at += most as u64;
    }
    if hex::encode(hash.finalize()) == partition.sha256.to_ascii_lowercase() {
        return Ok(());
    }
    let problem = "after the update its content is not what the bundle says";
    Err(Error::entry(&partition.device, Kind::Rejected, problem))
}
