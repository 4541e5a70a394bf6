//! The content of targets, which may be larger than memory: hashed on its way to the disk, and named
//! only when it is what the metadata says.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256, Sha512};
use updraft_error::Kind;
use updraft_fs::{Dir, TempFile};
use updraft_http::{Client, Error, StreamOptions};
use updraft_task::Context;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::TufTarget;

const BUFFER: usize = 64 << 10;

/// Whether the file is the target already; it is read for that only when its length is right.
pub(super) fn is_here(place: &Path, target: &TufTarget) -> Result<bool> {
    let failed = || format!("failed to read `{}`", place.display());
    let metadata = match std::fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(failed),
    };
    if !metadata.is_file() || metadata.len() != target.length {
        return Ok(false);
    }
    let mut file = File::open(place).with_context(failed)?;
    let mut content = Content::default();
    let mut buffer = vec![0; BUFFER];
    while content.length <= target.length {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(content.is(target)),
            Ok(read) => content.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(failed),
        }
    }
    Ok(false)
}

/// Makes the file `name` in `folder` of what is at `url`, which must be exactly the target.
pub(super) fn fetch(
    client: &Client,
    url: &str,
    (folder, name): (&Path, &str),
    target: &TufTarget,
) -> Result {
    let path = &target.path;
    let refused = || {
        let message = format!("target `{path}`: its hash or length is not the listed one");
        Failure::new(Kind::Rejected, message)
    };
    let typed = |error| match error {
        Error::TooLarge { .. } => refused(),
        other => other.into(),
    };
    let ctx = Context::silent();
    let options = StreamOptions::limit(target.length);
    let Some(mut stream) = client.stream(&ctx, url, options).map_err(typed)? else {
        let message = format!("the server does not have target `{path}`");
        return Err(Failure::new(Kind::NotFound, message));
    };
    let folder = Dir::create_all(folder, 0o755)?;
    let mut file = TempFile::new_in(&folder)?;
    let mut content = Content::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = stream.read_typed(&mut buffer).map_err(typed)?;
        if read == 0 {
            break;
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        content.update(bytes);
        let failed = || format!("failed to write to `{}`", folder.path().display());
        file.file_mut().write_all(bytes).with_context(failed)?;
    }
    if !content.is(target) {
        return Err(refused());
    }
    file.set_mode(0o644)?;
    file.sync()?;
    // Commit point: the name appears with the whole, verified content.
    file.persist_replace(&folder, name)?;
    Ok(folder.sync()?)
}

/// What was seen of a content.
#[derive(Default)]
struct Content {
    length: u64,
    sha256: Sha256,
    sha512: Sha512,
}

impl Content {
    fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.sha256.update(bytes);
        self.sha512.update(bytes);
    }

    /// Whether it has the target's length and every hash that is listed and known.
    fn is(self, target: &TufTarget) -> bool {
        let sha256 = hex(&self.sha256.finalize());
        let sha512 = hex(&self.sha512.finalize());
        self.length == target.length
            && target.hashes.is_verifiable()
            && target.hashes.sha256().is_none_or(|listed| listed == sha256)
            && target.hashes.get("sha512").is_none_or(|listed| listed == sha512)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
