//! What of a deployment is put on a file system without links, and what of it is there already.

use updraft_fs::Dir;
use updraft_ostree::Checksum;

use super::offers::{self, Kind, Offer, same_image};
use crate::boot_tree::{self, BootFile, BootTree};
use crate::cleanup::kernel_folder;
use crate::entries::{Place, entry};
use crate::unified_image::{ImageSigner, check_shipped};
use crate::{Deployment, Error, Locked, Result};

impl Locked<'_> {
    pub(super) fn boot(&self, deployment: &Deployment) -> Result<Boot> {
        let root = self.sysroot.root.open_dir(deployment.id.path())?;
        let tree = BootTree::find(&root, &self.sysroot.options)?;
        let images = self.sysroot.configured_boot_loader().as_deref() == Some("uki");
        let unified = tree.unified.clone().filter(|_| images || tree.kernel_is_unified);
        let (form, kernels) = match unified {
            Some(file) => {
                check_shipped(&tree, &file, deployment)?;
                let hash: Checksum = boot_tree::hash_of(&tree.folder, &file)?;
                (Form::Shipped(file), format!("{}-{hash}", deployment.id.stateroot))
            }
            None if images => (Form::Assembled, kernel_folder(deployment)),
            None => (Form::Kernel, kernel_folder(deployment)),
        };
        Ok(Boot { root, tree, form, kernels })
    }

    /// What signs the images that are to be put together. Nothing has been changed yet when there
    /// has to be one and is not; who only goes back to what is there needs none.
    pub(super) fn signer(
        &self,
        esp: &Dir,
        offers: &[Offer],
        list: &[Deployment],
        boots: &[Boot],
    ) -> Result<Option<ImageSigner>> {
        let kept = kept_images(esp, offers, list, boots, None)?;
        let mut images = boots.iter().zip(&kept).filter(|(boot, _)| boot.kind() == Kind::Image);
        let needs_new = images.any(|(_, kept)| kept.is_none());
        match self.sysroot.image_signer() {
            Ok(None) if needs_new => self.sysroot.check_unsigned_image().map(|()| None),
            Err(error) if !needs_new => {
                tracing::warn!(error = error.chain(), "images stay signed as they are");
                Ok(None)
            }
            found => found,
        }
    }
}

/// What a deployment needs there.
pub(super) struct Boot {
    pub(super) root: Dir,
    pub(super) tree: BootTree,
    form: Form,
    /// Its folder of kernels, which is named by a hash of them.
    pub(super) kernels: String,
}

/// What the boot loader starts.
enum Form {
    /// A kernel and its initramfs.
    Kernel,
    /// A unified kernel image that the commit brings.
    Shipped(BootFile),
    /// A unified kernel image that is put together here.
    Assembled,
}

impl Boot {
    pub(super) fn kind(&self) -> Kind {
        match self.form {
            Form::Kernel | Form::Shipped(_) => Kind::Entry,
            Form::Assembled => Kind::Image,
        }
    }

    /// What is copied into the folder of kernels.
    pub(super) fn files(&self) -> Vec<&BootFile> {
        match &self.form {
            Form::Kernel => self.tree.files().collect(),
            Form::Shipped(file) => vec![file],
            Form::Assembled => Vec::new(),
        }
    }

    /// The text of the entry.
    pub(super) fn entry(
        &self,
        one: &Deployment,
        number: u32,
        several: bool,
        at: &Dir,
    ) -> Result<Vec<u8>> {
        // The place in the list changes, the number does not: it is what people see.
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        // Nothing is appended: an entry stays as it is when another becomes the default.
        let place = Place { version: 0, index, number, several, prefix: "", appended: &[] };
        let mut entry = entry(one, &self.root, &self.tree, &self.kernels, &place)
            .map_err(|source| Error::Entry { path: at.path().to_path_buf(), source })?;
        if let Form::Shipped(file) = &self.form {
            for key in ["linux", "initrd", "devicetree", "fdtdir"] {
                entry.remove(key);
            }
            entry
                .set("efi", &format!("/ostree/{}/{}", self.kernels, file.name))
                .map_err(|source| Error::Entry { path: at.path().to_path_buf(), source })?;
        }
        Ok(entry.encode())
    }
}

/// For each of the list, the image that is there already, and signed where it is to be.
pub(super) fn kept_images<'a>(
    esp: &Dir,
    offers: &'a [Offer],
    list: &[Deployment],
    boots: &[Boot],
    signer: Option<&ImageSigner>,
) -> Result<Vec<Option<&'a Offer>>> {
    let mut kept = Vec::with_capacity(list.len());
    for (deployment, boot) in list.iter().zip(boots) {
        let mut found = None;
        for offer in offers.iter().filter(|one| {
            let are_images = one.kind == Kind::Image && boot.kind() == Kind::Image;
            are_images && same_image(&one.deployment, deployment)
        }) {
            let is_right = match signer {
                Some(signer) => signer.has_signed(&offers::open(esp, offer.kind)?, &offer.name)?,
                None => true,
            };
            if is_right && found.is_none() {
                found = Some(offer);
            }
        }
        kept.push(found);
    }
    Ok(kept)
}
