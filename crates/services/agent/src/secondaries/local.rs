//! A secondary on the primary: an ECU of its own in this process, whose image is a file or what
//! an action handler makes of it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use updraft_crypto::KeyAlgorithm;
use updraft_error::Classify as _;
use updraft_secondary::payload::{FilePayload, HandlerPayload, Payload};
use updraft_secondary::{Ecu, EcuOptions, Error, Installation, Result};
use updraft_task::Context;
use updraft_tuf::{DirectorFiles, FirstRoot, Repository, TrustedMetadata};

use super::seam::{FromMedium, Known, Secondary};
use crate::clock::Clock;
use crate::config::LocalSecondary as Configured;

/// How long an action handler may take.
const HANDLER: Duration = Duration::from_mins(30);
const PIECE: usize = 64 << 10;

/// An ECU in this process.
pub(crate) struct LocalSecondary {
    ecu: Ecu,
    clock: Arc<dyn Clock>,
}

impl LocalSecondary {
    pub(crate) fn open(
        configured: &Configured,
        director: DirectorFiles,
        key_algorithm: KeyAlgorithm,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let folder = configured.full_client_dir.clone();
        let options = EcuOptions {
            serial: configured.ecu_serial.clone(),
            hardware_id: configured.ecu_hardware_id.clone(),
            verification: configured.verification(),
            director,
            first_root: FirstRoot::TrustOnFirstUse,
            key_algorithm,
            key_pem: key(&folder, &configured.ecu_private_key)?,
            import: None,
            adopted: None,
            folder: folder.clone(),
        };
        let paths = (configured.firmware_path.clone(), configured.target_name_path.clone());
        let ecu = Ecu::open(options, |identity| -> Box<dyn Payload> {
            match &configured.action_handler_path {
                Some(handler) => Box::new(HandlerPayload::new(
                    handler.clone(),
                    folder,
                    paths,
                    identity.clone(),
                    HANDLER,
                )),
                None => Box::new(FilePayload::new(paths.0, Some(paths.1))),
            }
        })?;
        Ok(Self { ecu, clock })
    }
}

impl Secondary for LocalSecondary {
    fn info(&mut self, _ctx: &Context) -> Result<Known> {
        let identity = self.ecu.identity();
        Ok(Known {
            serial: identity.serial.clone(),
            hardware_id: identity.hardware_id.clone(),
            key: self.ecu.public_key().clone(),
        })
    }

    fn takes_from_medium(&mut self, _ctx: &Context) -> Result<FromMedium> {
        Ok(FromMedium::Files)
    }

    fn manifest(&mut self, ctx: &Context) -> Result<Vec<u8>> {
        // A restart of the vehicle is one of this ECU; its handler says when it is not done yet.
        if self.ecu.awaits_restart() {
            self.ecu.complete(ctx)?;
        }
        self.ecu.manifest(ctx)
    }

    fn root_version(&mut self, _ctx: &Context, repository: Repository) -> Result<Option<u64>> {
        Ok(Some(self.ecu.root_version(repository)))
    }

    fn put_root(&mut self, _ctx: &Context, repository: Repository, bytes: &[u8]) -> Result<()> {
        self.ecu.put_root(repository, bytes, self.clock.now())
    }

    fn put_metadata(&mut self, _ctx: &Context, metadata: &TrustedMetadata) -> Result<()> {
        self.ecu.put_metadata(metadata, self.clock.now())
    }

    fn send_image(&mut self, ctx: &Context, image: &mut File, length: u64) -> Result<()> {
        let mut buffer = vec![0; PIECE];
        let mut left = length;
        while left > 0 {
            ctx.check()?;
            let read = image.read(&mut buffer).map_err(unreadable)?;
            if read == 0 {
                return Err(unreadable(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.ecu.receive(buffer.get(..read).unwrap_or_default(), self.clock.now())?;
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }

    fn install(&mut self, ctx: &Context, filepath: &str) -> Result<Installation> {
        self.ecu.install(ctx, filepath.as_bytes(), self.clock.now())
    }

    fn revert(&mut self, ctx: &Context) -> Result<()> {
        self.ecu.revert(ctx).map(|_| ())
    }

    fn confirm(&mut self, _ctx: &Context) -> Result<()> {
        self.ecu.confirm()
    }
}

/// One that cannot be opened: it answers nothing, and does not keep the others from working.
pub(crate) struct BrokenSecondary {
    problem: String,
    kind: updraft_error::Kind,
}

impl BrokenSecondary {
    pub(crate) fn new(error: &Error) -> Self {
        Self { problem: error.chain(), kind: error.kind() }
    }

    fn broken<T>(&self) -> Result<T> {
        let (problem, kind) = (self.problem.clone(), self.kind);
        Err(Error::Payload { action: "open the secondary", problem, kind })
    }
}

impl Secondary for BrokenSecondary {
    fn info(&mut self, _ctx: &Context) -> Result<Known> {
        self.broken()
    }

    fn manifest(&mut self, _ctx: &Context) -> Result<Vec<u8>> {
        self.broken()
    }

    fn root_version(&mut self, _ctx: &Context, _repository: Repository) -> Result<Option<u64>> {
        self.broken()
    }

    fn put_root(&mut self, _ctx: &Context, _repository: Repository, _bytes: &[u8]) -> Result<()> {
        self.broken()
    }

    fn put_metadata(&mut self, _ctx: &Context, _metadata: &TrustedMetadata) -> Result<()> {
        self.broken()
    }

    fn send_image(&mut self, _ctx: &Context, _image: &mut File, _length: u64) -> Result<()> {
        self.broken()
    }

    fn install(&mut self, _ctx: &Context, _filepath: &str) -> Result<Installation> {
        self.broken()
    }

    fn revert(&mut self, _ctx: &Context) -> Result<()> {
        self.broken()
    }

    fn confirm(&mut self, _ctx: &Context) -> Result<()> {
        self.broken()
    }
}

/// The key that came with the ECU, if there is one.
fn key(folder: &Path, name: &Path) -> Result<Option<String>> {
    if name.as_os_str().is_empty() {
        return Ok(None);
    }
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Fs(updraft_fs::Error::new("read", path, error))),
    }
}

fn unreadable(source: std::io::Error) -> Error {
    Error::Fs(updraft_fs::Error::new("read", "the image", source))
}
