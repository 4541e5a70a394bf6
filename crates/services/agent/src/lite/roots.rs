//! The first trusted root. In this order:
//!
//! 1. one that is trusted already;
//! 2. `import.base_path/repo/root.json`;
//! 3. `/usr/lib/sota/tuf/{ci,prod}/N.root.json`, which came with the system image: the chain from
//!    1 upwards. A device without a certificate does not know whether it is a production device
//!    and takes only the first two, which are the same for both;
//! 4. none: `1.root.json` of the server or bundle is trusted on first use.

use updraft_crypto::Verifier;
use updraft_crypto::tls::certificate_info;
use updraft_task::Context;
use updraft_tuf::{FirstRoot, Options, Reason, Repository, RoleFiles, RoleName, Step, TufUpdater};

use super::LiteSettings;
use super::metadata::{dialect_of, in_folder};
use crate::gateway::File;
use crate::provision::import;
use crate::session::Session;
use crate::{Error, Result};

/// Roots that are the same for production and development.
const COMMON_ROOTS: u64 = 2;
/// How production devices are marked in their certificates.
const PRODUCTION: &str = "production";

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceType {
    /// For development: `ci`.
    Development,
    /// For production: `prod`.
    Production,
    /// It has no certificate that would say so.
    Unknown,
}

impl DeviceType {
    /// The type that the device's certificate names.
    pub(super) fn of(session: &Session) -> Result<Self> {
        let certificate = session.store.identity()?.and_then(|identity| identity.certificate_pem);
        let Some(pem) = certificate else { return Ok(Self::Unknown) };
        let info = certificate_info(pem.as_bytes())
            .map_err(Error::below("read the device's certificate"))?;
        Ok(match info.business_category.as_deref() {
            Some(PRODUCTION) => Self::Production,
            _ => Self::Development,
        })
    }

    /// As bundles name it; `None` fits both.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Development => Some("ci"),
            Self::Production => Some("prod"),
            Self::Unknown => None,
        }
    }
}

/// Takes over roots that came with the device, unless one is trusted already.
pub(super) fn import(ctx: &Context, lite: &LiteSettings, session: &Session) -> Result<()> {
    import::first_roots(&lite.agent, &session.store)?;
    if session.store.trusted_metadata()?.image.get(&RoleName::Root).is_some() {
        return Ok(());
    }
    let device = DeviceType::of(session)?;
    let folder = lite.roots.join(device.name().unwrap_or("ci"));
    let newest = if device == DeviceType::Unknown { COMMON_ROOTS } else { u64::MAX };
    let mut options = Options::new(updraft_tuf::Dialect::Uptane);
    options.first_root = FirstRoot::TrustOnFirstUse;
    let limit = options.limits.root_length;
    match in_folder(&folder, &RoleName::Root, "1.root.json", limit)? {
        File::Bytes(root) => options.dialect = dialect_of(&root),
        File::Absent => {
            tracing::info!(
                folder = %folder.display(),
                "no root came with this device: the repository's first is trusted on first use"
            );
            return Ok(());
        }
        File::TooLarge => {}
    }
    let mut updater = TufUpdater::new(RoleFiles::new(), &[], session.now(), &options, Verifier);
    loop {
        ctx.check()?;
        match updater.next() {
            Ok(Step::Fetch { role: RoleName::Root, file_name, .. }) => {
                let version = file_name.split('.').next().and_then(|text| text.parse::<u64>().ok());
                let file = match version {
                    Some(version) if version > newest => File::Absent,
                    _ => in_folder(&folder, &RoleName::Root, &file_name, limit)?,
                };
                match file {
                    File::Bytes(bytes) => updater.received(&bytes)?,
                    // The last one may have expired since the image was made: newer ones come
                    // from the server.
                    File::Absent => match updater.absent() {
                        Err(refusal) if matches!(refusal.reason, Reason::Expired { .. }) => {
                            return Ok(());
                        }
                        other => other?,
                    },
                    File::TooLarge => {
                        let path = folder.join(file_name);
                        let source = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
                        return Err(Error::Read { path, source });
                    }
                }
            }
            Ok(Step::Persist { role, bytes, .. }) => {
                session.store.persist_metadata(Repository::Image, &role, &bytes)?;
            }
            // The roots are done.
            Ok(Step::Fetch { .. } | Step::Delete { .. } | Step::Done(_)) => return Ok(()),
            Err(refusal) => return Err(refusal.into()),
        }
    }
}
