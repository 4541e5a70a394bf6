//! [`sign`]: signs packages as a whole.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use updraft_crypto::package::PackageSigner;
use updraft_fs::PageBuffer;
use updraft_payload::{PACKAGE_END, package_comment};
use updraft_task::Context;

use crate::package::hash;
use crate::{Error, Result};

const BUFFER: usize = 1 << 20;
/// How often a signature is made anew when it happens to hold the mark of a directory's end.
const TRIES: usize = 8;

/// Signs a package. Its comment, and so a signature that it has, is replaced; all else stays where it
/// is, so that ranges that others know of remain right.
///
/// # Errors
/// When it is no zip file, or cannot be written.
pub fn sign(context: &Context, input: &Path, signer: &PackageSigner, output: &Path) -> Result<()> {
    let (file, signed) = open(input)?;
    let digests = hash(context, &file, signed, false, input)?;
    let comment = comment(signer, &digests.sha256)?;
    let length = u16::try_from(comment.len()).unwrap_or(u16::MAX).to_le_bytes();
    replace(output, |out| {
        let mut buffer = PageBuffer::new(BUFFER);
        let mut at = 0;
        while at < signed {
            context.check()?;
            let most = usize::try_from(signed - at).unwrap_or(BUFFER).min(BUFFER);
            let piece = buffer.get_mut(..most).unwrap_or_default();
            file.read_exact_at(piece, at).map_err(Error::file("read", input))?;
            out.write_all(piece).map_err(Error::file("write", output))?;
            at += most as u64;
        }
        out.write_all(&[&length[..], &comment].concat()).map_err(Error::file("write", output))
    })
}

/// The SHA-256 that is to be signed of a package.
///
/// # Errors
/// When it is no zip file.
pub fn hash_to_sign(context: &Context, package: &Path) -> Result<[u8; 32]> {
    let (file, signed) = open(package)?;
    Ok(hash(context, &file, signed, false, package)?.sha256)
}

/// A package, and how many of its bytes are signed: all but its comment.
fn open(package: &Path) -> Result<(File, u64)> {
    let file = File::open(package).map_err(Error::file("open", package))?;
    let size = file.metadata().map_err(Error::file("look at", package))?.len();
    let signed = size - comment_length(&file, size, package)? - 2;
    Ok((file, signed))
}

/// The comment with the signature of what has this SHA-256.
pub(crate) fn comment(signer: &PackageSigner, sha256: &[u8; 32]) -> Result<Vec<u8>> {
    let mut made = package_comment(&signer.sign(sha256)?);
    // Signatures of EC keys differ each time.
    for _ in 1..TRIES {
        if made.is_ok() {
            break;
        }
        made = package_comment(&signer.sign(sha256)?);
    }
    Ok(made?)
}

/// How long the comment of a zip file is.
fn comment_length(file: &File, size: u64, path: &Path) -> Result<u64> {
    let length = PACKAGE_END.min(size);
    let mut tail = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut tail, size - length).map_err(Error::file("read", path))?;
    Ok(updraft_payload::comment_length(&tail)?)
}

/// A file that appears whole under its name.
pub(crate) fn replace(output: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // As any other file that somebody makes, not hidden from others as temporary ones are.
    let mode = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .permissions(mode)
        .tempfile_in(folder)
        .map_err(Error::file("make a temporary file in", folder))?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all().map_err(Error::file("write", output))?;
    // Commit point: the package has its name.
    file.persist(output).map_err(|error| Error::file("write", output)(error.error))?;
    Ok(())
}
