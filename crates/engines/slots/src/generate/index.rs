//! [`OldBlocks`]: where the old image has a block with some content.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use sha2::{Digest as _, Sha256};
use updraft_delta::ReadAt as _;
use updraft_task::Context;

use super::BLOCK;

/// Half of a SHA-256: enough to tell blocks apart that nobody made to collide, and a collision that
/// somebody made would be found when the payload is applied.
pub(super) type Digest = [u8; 16];

pub(super) fn digest(block: &[u8]) -> Digest {
    let mut half = [0; 16];
    half.copy_from_slice(Sha256::digest(block).get(..16).unwrap_or(&[0; 16]));
    half
}

/// The blocks of an old image.
#[derive(Debug)]
pub(super) struct OldBlocks {
    digests: Vec<Digest>,
    /// Where each content is first.
    first: HashMap<Digest, u64>,
}

impl OldBlocks {
    pub(super) fn read(context: &Context, old: &File) -> io::Result<Self> {
        let blocks = old.size()? / BLOCK;
        let mut index = Self { digests: Vec::new(), first: HashMap::new() };
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
        for at in 0..blocks {
            context.check().map_err(io::Error::other)?;
            old.read_exact_at(&mut block, at * BLOCK)?;
            let digest = digest(&block);
            index.digests.push(digest);
            index.first.entry(digest).or_insert(at);
        }
        Ok(index)
    }

    /// Where a block with this content is: at one of the places that are preferred, or else first.
    pub(super) fn find(&self, digest: &Digest, preferred: [u64; 2]) -> Option<u64> {
        let is_at =
            |at: &u64| usize::try_from(*at).is_ok_and(|at| self.digests.get(at) == Some(digest));
        preferred.into_iter().find(is_at).or_else(|| self.first.get(digest).copied())
    }
}
