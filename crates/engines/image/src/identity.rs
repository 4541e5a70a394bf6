//! Names that have to be unique, made from a seed so that they are always the same.

use sha2::{Digest, Sha256};
use updraft_bootenv::Guid;

/// Makes the UUIDs of one image.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    seed: String,
}

impl Identity {
    pub(crate) fn new(seed: &str) -> Self {
        Self { seed: seed.to_owned() }
    }

    fn hash(&self, name: &str) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(b"updraft image\0");
        hash.update(self.seed.as_bytes());
        hash.update(b"\0");
        hash.update(name.as_bytes());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        bytes
    }

    /// A UUID for what is called `name`, of version 8: its other bits follow from the seed
    /// (RFC 9562, section 5.8).
    pub(crate) fn guid(&self, name: &str) -> Guid {
        let mut bytes = self.hash(name);
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
        *version = (*version & 0x0f) | 0x80;
        *variant = (*variant & 0x3f) | 0x80;
        Guid(bytes)
    }

    /// A FAT volume id.
    pub(crate) fn volume_id(&self, name: &str) -> u32 {
        let [a, b, c, d, ..] = self.hash(name);
        u32::from_be_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn the_seed_alone_decides() {
        let guid = |seed, name| Identity::new(seed).guid(name).to_string();
        assert_eq!(guid("a", "root"), guid("a", "root"));
        assert_ne!(guid("a", "root"), guid("a", "boot"));
        assert_ne!(guid("a", "root"), guid("b", "root"));
        let text = guid("a", "root");
        assert_eq!(text.as_bytes().get(14), Some(&b'8'), "{text}");
        assert!(matches!(text.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')), "{text}");
    }
}
