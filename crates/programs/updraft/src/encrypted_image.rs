//! `updraft encrypted-image …`: images that only the ECU that gets them can open.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Map;
use sha2::{Digest as _, Sha256};
use updraft_api::{
    Component, Device, DeviceState, DeviceSummary, EncryptedImage, NewEncryptedImage, Page,
    Release, ReleaseTarget, paths,
};
use updraft_error::Kind;
use updraft_http::{Body, Method};
use updraft_ostree::Checksum;
use updraft_terminal::{Failure, Result, ResultExt as _, Table, Terminal};
use updraft_tuf::PublicKey;

use crate::release::encrypt_file;
use crate::server::Server;
use crate::text;

/// Encrypt images of a release for the components that will get them.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    /// List the images that are encrypted for a device's components.
    Ls {
        /// The device's id.
        device: String,
    },
    /// Let a component have an image plain again.
    Rm {
        /// The device's id.
        device: String,
        /// The component's serial.
        component: String,
        /// The target's name.
        target: String,
    },
}

/// Encrypt an image of a release for every component of these devices that it fits, and upload the
/// ciphertexts.
///
/// Each has a key of its own, encrypted to the key that the component registered. From then on the
/// Director gives the ciphertext to a component that is told to run the image. The image itself need
/// not be uploaded: a component without a ciphertext does not get it then.
#[derive(Debug, Args)]
struct Add {
    /// The image, as it was signed.
    image: PathBuf,
    /// The release that has it.
    #[arg(long, value_name = "NAME")]
    release: String,
    /// Only for members of this group; repeat for more. Without --group and --device: every device.
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    group: Vec<String>,
    /// Only for this device; repeat for more.
    #[arg(long, value_name = "ID")]
    device: Vec<String>,
    /// Only for the component with this serial; repeat for more.
    #[arg(long, value_name = "SERIAL")]
    component: Vec<String>,
    /// Encrypt anew where it is encrypted already.
    #[arg(long)]
    again: bool,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Add(add) => add.run(&server, terminal),
            Command::Ls { device } => {
                let images = encrypted(&server, device)?;
                terminal.show(&images, |images| terminal.table(&table(images)))
            }
            Command::Rm { device, component, target } => {
                server.change(Method::Delete, &paths::encrypted_image(device, component, target))
            }
        }
    }
}

/// What was done for one component.
#[derive(Debug, Serialize)]
struct Done {
    device: String,
    component: String,
    target: String,
    /// `encrypted`, or `kept` when it was so already.
    outcome: &'static str,
}

impl Add {
    fn run(&self, server: &Server, terminal: &Terminal) -> Result {
        let sha256 = sha256(&self.image)?;
        let release: Release = server.get(&paths::release(&self.release))?;
        let target = release.targets.iter().find(|target| target.sha256 == sha256);
        let target = target.ok_or_else(|| {
            let (image, release) = (self.image.display(), &self.release);
            let message = format!("`{image}` is no target of release `{release}`");
            Failure::new(Kind::NotFound, message).hint("encrypt the very file that was signed")
        })?;
        let mut done = Vec::new();
        for id in self.devices(server)? {
            self.device(server, &id, target, &mut done)
                .with_context(|| format!("failed to encrypt `{}` for {id}", target.filepath))?;
        }
        if done.is_empty() {
            let message = format!("`{}` fits no component of these devices", target.filepath);
            return Err(Failure::new(Kind::NotFound, message));
        }
        terminal.show(&done, |done| {
            for Done { device, component, target, outcome } in done {
                terminal.line(format!("{outcome} {target} for {component} of {device}"))?;
            }
            Ok(())
        })
    }

    fn devices(&self, server: &Server) -> Result<Vec<String>> {
        if !self.device.is_empty() {
            return Ok(self.device.clone());
        }
        let all: Vec<DeviceSummary> = server.list(paths::DEVICES)?;
        let of_group = |device: &DeviceSummary| {
            self.group.is_empty() || self.group.iter().any(|name| device.groups.contains(name))
        };
        let fitting = all.into_iter().filter(|one| one.state != DeviceState::Revoked);
        Ok(fitting.filter(of_group).map(|device| device.id).collect())
    }

    fn device(
        &self,
        server: &Server,
        id: &str,
        target: &ReleaseTarget,
        done: &mut Vec<Done>,
    ) -> Result {
        let device: Device = server.get(&paths::device(id))?;
        let known = encrypted(server, id)?;
        for component in &device.components {
            let is_meant = self.component.is_empty() || self.component.contains(&component.serial);
            if !is_meant || !target.hardware_ids.contains(&component.hardware_id) {
                continue;
            }
            let is_known = !self.again
                && known.iter().any(|one| {
                    one.component == component.serial
                        && one.target == target.filepath
                        && one.sha256 == target.sha256
                });
            if !is_known {
                self.component(server, id, component, target)?;
            }
            done.push(Done {
                device: id.to_owned(),
                component: component.serial.clone(),
                target: target.filepath.clone(),
                outcome: if is_known { "kept" } else { "encrypted" },
            });
        }
        Ok(())
    }

    fn component(
        &self,
        server: &Server,
        device: &str,
        component: &Component,
        target: &ReleaseTarget,
    ) -> Result {
        let serial = &component.serial;
        let key = component.public_key.as_ref().map(PublicKey::from_json).transpose()?.flatten();
        let key = key.ok_or_else(|| {
            Failure::new(Kind::Unsupported, format!("the key of {serial} is not known here"))
        })?;
        let folder = tempfile::tempdir().context("failed to make a folder for the ciphertext")?;
        let file = folder.path().join("ciphertext");
        let mut told = encrypt_file(&key, "ciphertext", &self.image, &file)?;
        let sha256 = told.hashes.sha256().unwrap_or_default().to_owned();
        // A name of its own for each: nobody gets another one in the middle of a download.
        told.filename = format!("{sha256}.enc");
        let open = move || Ok(Box::new(File::open(&file)?) as Box<dyn Read + Send>);
        let body = Body::Reader { length: told.length, open: std::sync::Arc::new(open) };
        server.put_body(&paths::ciphertext(&sha256), body)?;
        let new = to_wire(&told)?;
        let path = paths::encrypted_image(device, serial, &target.filepath);
        let _: EncryptedImage = server.send(Method::Put, &path, &new)?;
        Ok(())
    }
}

fn encrypted(server: &Server, device: &str) -> Result<Vec<EncryptedImage>> {
    let page: Page<EncryptedImage> = server.get(&paths::encrypted_images(device))?;
    Ok(page.items)
}

/// What the server is told of a ciphertext.
fn to_wire(told: &updraft_tuf::EncryptedImage) -> Result<NewEncryptedImage> {
    let members: Map<_, _> =
        told.to_members().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    serde_json::from_value(members.into()).map_err(|_| {
        Failure::new(Kind::Bug, "the image was encrypted in a way that the server does not know")
    })
}

fn table(images: &[EncryptedImage]) -> Table {
    let mut table = Table::new(["component", "target", "sha256", "key encryption", "encrypted"]);
    for image in images {
        table.row([
            image.component.clone(),
            image.target.clone(),
            text::short(&image.sha256),
            image.key_encryption.clone(),
            text::time(image.created_at),
        ]);
    }
    table
}

fn sha256(path: &Path) -> Result<String> {
    let failed = || format!("failed to read `{}`", path.display());
    let mut file = File::open(path).with_context(failed)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut piece).with_context(failed)?;
        match piece.get(..read) {
            None | Some([]) => {
                return Ok(Checksum::from_bytes(hash.finalize().into()).to_string());
            }
            Some(read) => hash.update(read),
        }
    }
}
