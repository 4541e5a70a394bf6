//! The content of targets that are files, as the signed targets describe it.

use sha2::{Digest as _, Sha256};

use super::Fleet;
use crate::error::{Error, Result};

impl Fleet {
    /// Stores the content of a target file, after comparing it with what the signed targets say.
    pub fn store_target_file(&self, name: &str, content: &mut dyn std::io::Read) -> Result<bool> {
        crate::names::target_name(name)?;
        let image = self.image_targets()?;
        let listed = image
            .find_target(name)
            .map(|(_, target)| target)
            .ok_or_else(|| Error::not_found("signed target", name))?;
        let sha256 = listed
            .hashes
            .sha256()
            .ok_or_else(|| Error::invalid("the target", "it is listed without a SHA-256"))?;
        self.store_content(sha256, |file| copy_verified(content, file, listed.length, sha256))
    }

    /// Stores the ciphertext of an image, whatever it is, under its SHA-256.
    pub fn store_ciphertext(&self, sha256: &str, content: &mut dyn std::io::Read) -> Result<bool> {
        if !crate::names::is_sha256(sha256) {
            return Err(Error::invalid("the ciphertext", "its name is not a SHA-256 in lower hex"));
        }
        let limit = self.config.limits.upload_bytes;
        self.store_content(sha256, |file| {
            let (found, _) = copy_hashed(content, file, limit)?;
            if found == sha256 { Ok(()) } else { Err(wrong("it is another file by its SHA-256")) }
        })
    }

    /// Stores a file under its SHA-256, unless it is there.
    fn store_content(
        &self,
        sha256: &str,
        fill: impl FnOnce(&mut updraft_fs::TempFile) -> Result<()>,
    ) -> Result<bool> {
        let folder = updraft_fs::Dir::create_all(self.layout.targets(), 0o755)
            .map_err(Error::fs("open the folder of target files"))?;
        if folder.exists(sha256).map_err(Error::fs("look for a target file"))? {
            return Ok(false);
        }
        let mut file =
            updraft_fs::TempFile::new_in(&folder).map_err(Error::fs("make a target file"))?;
        fill(&mut file)?;
        file.set_mode(0o644).map_err(Error::fs("store a target file"))?;
        file.sync().map_err(Error::fs("store a target file"))?;
        // Commit point: the name appears with the whole content.
        file.persist_new(&folder, sha256).map_err(Error::fs("store a target file"))?;
        folder.sync().map_err(Error::fs("store a target file"))?;
        Ok(true)
    }

    /// Stores content before any targets list it; gives its SHA-256 and length.
    pub fn store_new_content(&self, content: &mut dyn std::io::Read) -> Result<(String, u64)> {
        let folder = updraft_fs::Dir::create_all(self.layout.targets(), 0o755)
            .map_err(Error::fs("open the folder of target files"))?;
        let mut file =
            updraft_fs::TempFile::new_in(&folder).map_err(Error::fs("make a target file"))?;
        let limit = self.config.limits.upload_bytes;
        let (sha256, length) = copy_hashed(content, &mut file, limit)?;
        file.set_mode(0o644).map_err(Error::fs("store a target file"))?;
        file.sync().map_err(Error::fs("store a target file"))?;
        // Commit point: the name appears with the whole content.
        file.persist_new(&folder, &sha256).map_err(Error::fs("store a target file"))?;
        folder.sync().map_err(Error::fs("store a target file"))?;
        Ok((sha256, length))
    }

    /// The SHA-256 under which a target file's content is stored, when the targets list it.
    pub fn target_file_hash(&self, name: &str) -> Option<String> {
        let image = self.image_repository()?;
        let (_, listed) = image.find_target(name)?;
        listed.hashes.sha256().map(str::to_owned)
    }
}

const WHAT: &str = "the target file";

fn copy_verified(
    content: &mut dyn std::io::Read,
    file: &mut updraft_fs::TempFile,
    length: u64,
    sha256: &str,
) -> Result<()> {
    let (found, total) = copy_hashed(content, file, length)?;
    if total == length && found == sha256 {
        return Ok(());
    }
    Err(wrong("its length or SHA-256 is not what the signed targets say"))
}

fn wrong(reason: &str) -> Error {
    Error::Rejected { code: "wrong_hash", what: WHAT, reason: reason.to_owned() }
}

/// Copies up to `limit` bytes; gives their SHA-256 and how many they were.
fn copy_hashed(
    content: &mut dyn std::io::Read,
    file: &mut updraft_fs::TempFile,
    limit: u64,
) -> Result<(String, u64)> {
    use std::io::Write as _;
    let received = |error: std::io::Error| Error::Receive { what: WHAT, reason: error.to_string() };
    let mut hash = Sha256::new();
    let mut total = 0_u64;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = content.read(&mut buffer).map_err(received)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        total = total.saturating_add(piece.len() as u64);
        if total > limit {
            return Err(Error::TooLarge { what: WHAT, limit });
        }
        hash.update(piece);
        file.file_mut().write_all(piece).map_err(|source| Error::Io {
            action: "write",
            path: WHAT.into(),
            source,
        })?;
    }
    Ok((hex::encode(hash.finalize()), total))
}
