//! Unified kernel images: a deployment's kernel, initramfs and command line as one EFI program,
//! with systemd's stub, `EFI/Linux/ostree-N[+LEFT[-DONE]].efi`.
//!
//! ```ini
//! [updraft]
//! bootloader=uki
//! uki-stub=usr/lib/systemd/boot/efi/linuxx64.efi.stub
//! ```
//! The stub is that of the deployment, or of the running system where the deployment has none.
//!
//! Where a key is configured the image is signed by it, see [`signer`].
//!
//! A commit may bring an image of its own, `usr/lib/modules/*/*.efi`, which is signed perhaps. Its
//! command line could not name the deployment; so it must have none, and gets the deployment's
//! from an entry of the boot loader, as the stub allows it then also under Secure Boot.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use updraft_bootenv::{
    BootEntry, MAX_ENTRY_BYTES, MAX_PE_HEADERS, MAX_STUB, PeImage, PeSigning, UnifiedLayout,
    UnifiedPart,
};
use updraft_error::Kind;
use updraft_fs::Dir;

use crate::boot_tree::{BootFile, BootTree};
use crate::entries::{name_and_version, options, os_release};
use crate::esp::{make_durable, remove, rename_to_new};
use crate::{Deployment, Error, Locked, Result};

mod signer;

pub(crate) use signer::ImageSigner;

#[cfg(target_arch = "aarch64")]
const STUB: &str = "usr/lib/systemd/boot/efi/linuxaa64.efi.stub";
#[cfg(not(target_arch = "aarch64"))]
const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// Where the image tells which overlays its initramfs has.
const INITRDS: &str = "UPDRAFT_INITRDS";
/// Keys of os-release that are ours, or that a boot loader would sort by.
const LEFT_OUT: [&str; 5] = ["PRETTY_NAME", "ID", "IMAGE_ID", "IMAGE_VERSION", INITRDS];
/// Digits of a commit that people see.
const SHORT: usize = 10;

/// An image that is to be written.
pub(crate) struct Assembly {
    layout: UnifiedLayout,
    parts: Vec<Part>,
    stub: PathBuf,
}

/// A part of it.
struct Part {
    name: &'static str,
    size: u64,
    memory: u64,
    content: Vec<Content>,
}

enum Content {
    Text(Vec<u8>),
    File(std::fs::File),
}

impl Assembly {
    /// How large the image is.
    pub(crate) fn size(&self) -> u64 {
        self.layout.size
    }

    /// Writes it under a name that is not in use, signed where there is a key; it is whole and
    /// durable before it has that name.
    pub(crate) fn write(
        self,
        folder: &Dir,
        name: &str,
        signer: Option<&ImageSigner>,
    ) -> Result<()> {
        let temporary = format!("{name}.new");
        remove(folder, Path::new(&temporary))?;
        let file = folder.create_file(&temporary, 0o644)?;
        let failed = |source| Error::Copy { path: folder.path().join(&temporary), source };
        let signing = match signer {
            Some(_) => Some(
                PeSigning::plan(&self.layout.head, self.layout.size)
                    .map_err(|source| Error::Entry { path: self.stub.clone(), source })?,
            ),
            None => None,
        };
        let mut file = Hashed { file, hash: Sha256::new() };
        for part in signing.iter().flat_map(|plan| plan.hashed(&self.layout.head)) {
            file.hash.update(part);
        }
        // What is hashed of the head is not all of it.
        file.file.write_all(&self.layout.head).map_err(failed)?;
        for (part, padding) in self.parts.into_iter().zip(self.layout.padding) {
            let mut written = 0_u64;
            for content in part.content {
                let size = match content {
                    Content::Text(text) => file.write_all(&text).map(|()| text.len() as u64),
                    Content::File(mut from) => std::io::copy(&mut from, &mut file),
                };
                written = written.saturating_add(size.map_err(failed)?);
            }
            if written != part.size {
                let message = format!("the content of {} changed while it was copied", part.name);
                return Err(Error::other(Kind::Conflict, message));
            }
            std::io::copy(&mut std::io::repeat(0).take(padding), &mut file).map_err(failed)?;
        }
        let Hashed { mut file, hash } = file;
        if let (Some(signer), Some(plan)) = (signer, signing) {
            let table = PeSigning::table(&signer.sign(&hash.finalize().into())?);
            file.write_all(&table).map_err(failed)?;
            let (at, entry) = plan.directory(&table);
            file.seek(SeekFrom::Start(at)).map_err(failed)?;
            file.write_all(&entry).map_err(failed)?;
        }
        make_durable(folder, &temporary, &file)?;
        drop(file);
        Ok(rename_to_new(folder, &temporary, name)?)
    }
}

/// A file, and the hash of what is written to it.
struct Hashed {
    file: std::fs::File,
    hash: Sha256,
}

impl std::io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Locked<'_> {
    /// The image of a deployment, whose files are opened but not read yet.
    pub(crate) fn assemble_image(
        &self,
        esp: &Dir,
        root: &Dir,
        tree: &BootTree,
        deployment: &Deployment,
    ) -> Result<Assembly> {
        let cmdline = options(deployment, tree, 0).to_string();
        let single = tree.device_tree.as_ref().filter(|_| !tree.has_device_tree_folder);
        let mut initrds: Vec<Content> = Vec::new();
        if let Some(file) = &tree.initramfs {
            initrds.push(Content::File(tree.folder.open_file(&file.source)?));
        }
        for overlay in &deployment.overlay_initrds {
            initrds.push(Content::File(esp.open_file(overlay.trim_start_matches('/'))?));
        }
        let text = |name, text: String| (name, vec![Content::Text(text.into_bytes())], 0);
        let mut contents = vec![
            text(".osrel", description(deployment, root)),
            text(".cmdline", cmdline),
            text(".uname", tree.release().to_owned()),
        ];
        if let Some(file) = single {
            let file = tree.folder.open_file(&file.source)?;
            contents.push((".dtb", vec![Content::File(file)], 0));
        }
        if !initrds.is_empty() {
            contents.push((".initrd", initrds, 0));
        }
        let mut kernel = tree.folder.open_file(&tree.kernel.source)?;
        let memory = memory_of(&mut kernel)
            .map_err(|source| Error::Copy { path: tree.folder.path().to_path_buf(), source })?;
        contents.push((".linux", vec![Content::File(kernel)], memory));
        let parts = contents
            .into_iter()
            .map(|(name, content, memory)| {
                Ok(Part { name, size: size_of(&content)?, memory, content })
            })
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|source| Error::Copy { path: tree.folder.path().to_path_buf(), source })?;
        let plan: Vec<UnifiedPart> = parts
            .iter()
            .map(|part| UnifiedPart { name: part.name, size: part.size, memory: part.memory })
            .collect();
        let (path, stub) = self.stub(root)?;
        let layout = UnifiedLayout::plan(&stub, &plan)
            .map_err(|source| Error::Entry { path: path.clone(), source })?;
        Ok(Assembly { layout, parts, stub: path })
    }

    /// The stub, and where it was found.
    fn stub(&self, root: &Dir) -> Result<(std::path::PathBuf, Vec<u8>)> {
        let configured = self.sysroot.repo.config().key_file().get("updraft", "uki-stub");
        let path = configured.unwrap_or_else(|| STUB.to_owned());
        let path = path.trim_start_matches('/');
        let running = Dir::open(&self.sysroot.options.running_root)?;
        for place in [root, &running] {
            if let Some(stub) = place.try_read(path, MAX_STUB as u64)? {
                return Ok((place.path().join(path), stub));
            }
        }
        let message = format!(
            "the stub of unified kernel images, /{path}, is neither in the deployment nor in the \
             running system; it is in the Debian package systemd-boot-efi"
        );
        Err(Error::other(Kind::NotFound, message))
    }
}

/// Sees to it that an image which a commit brings can be used as it is.
pub(crate) fn check_shipped(tree: &BootTree, file: &BootFile, of: &Deployment) -> Result<()> {
    let name = || format!("{} of {}", tree.folder.path().join(&file.source).display(), of.id);
    let mut program = tree.folder.open_file(&file.source)?;
    let image = headers(&mut program)
        .map_err(|source| Error::Copy { path: tree.folder.path().join(&file.source), source })?;
    let image = image.filter(|image| image.section(".linux").is_some());
    let refused = |why: &str| {
        let message = format!("{} {why}", name());
        Error::other(Kind::Unsupported, message)
    };
    match image {
        None => Err(refused("is no unified kernel image")),
        Some(image) if image.section(".cmdline").is_some() => Err(refused(
            "has a command line of its own, which cannot name a deployment; build it without one",
        )),
        Some(_) if !of.overlay_initrds.is_empty() => {
            Err(refused("takes no further initramfs images"))
        }
        Some(_) => Ok(()),
    }
}

/// What an image offers, as an entry would say it. `None`: it is no whole image.
pub(crate) fn read(folder: &Dir, name: &str) -> Result<Option<BootEntry>> {
    let failed = |source| Error::Copy { path: folder.path().join(name), source };
    let mut file = folder.open_file(name)?;
    let Some(image) = headers(&mut file).map_err(failed)? else {
        tracing::warn!(name, "this is no unified kernel image");
        return Ok(None);
    };
    let mut section = |name: &str| -> std::io::Result<Option<String>> {
        let Some(section) = image.section(name) else { return Ok(None) };
        let size = u64::from(section.content_size()).min(MAX_ENTRY_BYTES as u64);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(u64::from(section.offset)))?;
        (&mut file).take(size).read_to_end(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()))
    };
    let about = section(".osrel").map_err(failed)?.unwrap_or_default();
    let cmdline = section(".cmdline").map_err(failed)?.unwrap_or_default();
    let mut entry = BootEntry::new();
    let bad = |source| Error::Entry { path: folder.path().join(name), source };
    let version = name.trim_start_matches("ostree-").split(['+', '.']).next().unwrap_or_default();
    entry.set("title", &value(&about, "PRETTY_NAME").unwrap_or_default()).map_err(bad)?;
    entry.set("version", version).map_err(bad)?;
    entry.set("options", cmdline.trim()).map_err(bad)?;
    entry.set("linux", &format!("/EFI/Linux/{name}")).map_err(bad)?;
    for path in value(&about, INITRDS).unwrap_or_default().split_whitespace() {
        entry.add_overlay_initrd(path).map_err(bad)?;
    }
    Ok(Some(entry))
}

/// The tree's os-release with a name that tells deployments apart, and nothing to sort by.
fn description(deployment: &Deployment, root: &Dir) -> String {
    let commit = deployment.id.checksum.to_string();
    let title = format!(
        "{} (ostree:{}:{}.{})",
        name_and_version(deployment, root),
        deployment.id.stateroot,
        commit.get(..SHORT).unwrap_or(&commit),
        deployment.id.deploy_serial
    );
    // Boot loaders do not undo all of the shell's quoting.
    let title = title.replace(['"', '\\', '$', '`'], "");
    let mut text = format!("PRETTY_NAME=\"{title}\"\n");
    for line in os_release(root).unwrap_or_default().lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        if !LEFT_OUT.contains(&key) {
            text.push_str(line);
            text.push('\n');
        }
    }
    if !deployment.overlay_initrds.is_empty() {
        let paths = deployment.overlay_initrds.join(" ");
        text.extend([INITRDS, "=\"", &paths, "\"\n"]);
    }
    text
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim().trim_matches('"').to_owned())
}

/// The headers of an EFI program; `None` for what is none.
pub(crate) fn headers(file: &mut std::fs::File) -> std::io::Result<Option<PeImage>> {
    let mut bytes = Vec::new();
    file.take(MAX_PE_HEADERS as u64).read_to_end(&mut bytes)?;
    Ok(PeImage::parse(&bytes).ok())
}

/// What a kernel needs in memory, where it says so: it is an EFI program itself.
fn memory_of(kernel: &mut std::fs::File) -> std::io::Result<u64> {
    let image = headers(kernel)?;
    kernel.rewind()?;
    Ok(image.map_or(0, |image| u64::from(image.size_of_image)))
}

fn size_of(content: &[Content]) -> std::io::Result<u64> {
    let mut sum = 0_u64;
    for one in content {
        sum = sum.saturating_add(match one {
            Content::Text(text) => text.len() as u64,
            Content::File(file) => file.metadata()?.len(),
        });
    }
    Ok(sum)
}
