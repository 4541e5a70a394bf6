//! A unified kernel image that the commit brings: `usr/lib/modules/*/*.efi`.

use updraft_fs::{Dir, FileKind};

use super::BootFile;
use crate::Result;

const SUFFIX: &str = ".efi";

/// The image in a folder of modules, the first by name.
pub(super) fn find(folder: &Dir) -> Result<Option<BootFile>> {
    for entry in folder.sorted_entries()? {
        if let Some(name) = entry.name.to_str()
            && entry.kind == FileKind::Regular
            && name.ends_with(SUFFIX)
        {
            return Ok(Some(BootFile::new(name, name.to_owned())));
        }
    }
    Ok(None)
}

/// Whether there is no other kernel: `vmlinuz` is missing, or a link to the image, which is how
/// trees are built that libostree shall take.
pub(super) fn is_alone(folder: &Dir, image: &BootFile) -> Result<bool> {
    Ok(match folder.try_metadata("vmlinuz")?.map(|found| found.kind) {
        None => true,
        Some(FileKind::Symlink) => folder.read_link("vmlinuz")? == image.source,
        Some(_) => false,
    })
}
