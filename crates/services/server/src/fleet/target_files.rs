//! The content of targets that are files, as the signed targets describe it.

use sha2::{Digest as _, Sha256};

use super::Fleet;
use crate::contents::{Incoming, Key};
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
        let key = Key::target(sha256);
        if self.contents.find(&key)?.is_some() {
            return Ok(false);
        }
        let mut incoming = self.contents.receive(Some(&key))?;
        let (found, length) = copy_hashed(content, &mut incoming, listed.length)?;
        if length != listed.length || found != sha256 {
            return Err(wrong("its length or SHA-256 is not what the signed targets say"));
        }
        incoming.keep(&key)?;
        Ok(true)
    }

    /// Stores the ciphertext of an image, whatever it is, under its SHA-256.
    pub fn store_ciphertext(&self, sha256: &str, content: &mut dyn std::io::Read) -> Result<bool> {
        if !crate::names::is_sha256(sha256) {
            return Err(Error::invalid("the ciphertext", "its name is not a SHA-256 in lower hex"));
        }
        let key = Key::target(sha256);
        if self.contents.find(&key)?.is_some() {
            return Ok(false);
        }
        let mut incoming = self.contents.receive(Some(&key))?;
        let (found, _) = copy_hashed(content, &mut incoming, self.config.limits.upload_bytes)?;
        if found != sha256 {
            return Err(wrong("it is another file by its SHA-256"));
        }
        incoming.keep(&key)?;
        Ok(true)
    }

    /// Stores content before any targets list it; gives its SHA-256 and length.
    pub fn store_new_content(&self, content: &mut dyn std::io::Read) -> Result<(String, u64)> {
        let mut incoming = self.contents.receive(None)?;
        let limit = self.config.limits.upload_bytes;
        let (sha256, length) = copy_hashed(content, &mut incoming, limit)?;
        incoming.keep(&Key::target(&sha256))?;
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

fn wrong(reason: &str) -> Error {
    Error::Rejected { code: "wrong_hash", what: WHAT, reason: reason.to_owned() }
}

/// Copies up to `limit` bytes; gives their SHA-256 and how many they were.
fn copy_hashed(
    content: &mut dyn std::io::Read,
    into: &mut Incoming<'_>,
    limit: u64,
) -> Result<(String, u64)> {
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
        into.write(piece)?;
    }
    Ok((hex::encode(hash.finalize()), total))
}
