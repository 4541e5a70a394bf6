//! Commits: `(a{sv}aya(say)sstayay)`.
//!
//! Metadata, parent (0 or 32 bytes), related (always empty in practice), subject, body, timestamp
//! (big-endian seconds), root dirtree, root dirmeta.

use sha2::{Digest, Sha256};

use crate::gvariant::{Member, build_array, build_tuple, decode_str, encode_str};
use crate::gvariant::{split_array, split_tuple};
use crate::header::u64_be;
use crate::{Checksum, Error, MAX_METADATA_SIZE, Metadata};

const WHAT: &str = "commit";

/// A commit object.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Named values, such as `version` and `ostree.ref-binding`.
    pub metadata: Metadata,
    /// The commit before this one.
    pub parent: Option<Checksum>,
    /// Related objects by name. Nothing writes them; they are kept.
    pub related: Vec<(String, Checksum)>,
    /// One line for people; may be empty.
    pub subject: String,
    /// More lines for people; may be empty.
    pub body: String,
    /// Seconds since 1970, UTC.
    pub timestamp: u64,
    /// The names in the root directory.
    pub root_dirtree: Checksum,
    /// The metadata of the root directory.
    pub root_dirmeta: Checksum,
}

impl Commit {
    /// Metadata key: the version of what is in the tree (`s`).
    pub const VERSION: &'static str = "version";
    /// Metadata key: the refs that may name this commit (`as`, sorted).
    pub const REF_BINDING: &'static str = "ostree.ref-binding";
    /// Metadata key: the collection this commit belongs to (`s`).
    pub const COLLECTION_BINDING: &'static str = "ostree.collection-binding";
    /// Metadata key: the tree has a kernel and can be booted (`b`).
    pub const BOOTABLE: &'static str = "ostree.bootable";
    /// Metadata key: the release of that kernel (`s`).
    pub const LINUX: &'static str = "ostree.linux";

    const MEMBERS: [Member; 8] = [
        Metadata::MEMBER,
        Member::BYTES,
        Member::BYTES,
        Member::BYTES,
        Member::BYTES,
        Member::U64,
        Member::BYTES,
        Member::BYTES,
    ];

    /// The serialised object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_around(&self.metadata.encode())
    }

    /// The serialised object, with this serialisation of its metadata.
    fn encode_around(&self, metadata: &[u8]) -> Vec<u8> {
        let parent = self.parent.as_ref().map_or(&[][..], |parent| parent.as_bytes());
        let related = build_array(
            1,
            self.related.iter().map(|(name, checksum)| {
                let name = encode_str(name);
                build_tuple(&[(Member::BYTES, &name), (Member::BYTES, checksum.as_bytes())])
            }),
        );
        let children: [&[u8]; 8] = [
            metadata,
            parent,
            &related,
            &encode_str(&self.subject),
            &encode_str(&self.body),
            &self.timestamp.to_be_bytes(),
            self.root_dirtree.as_bytes(),
            self.root_dirmeta.as_bytes(),
        ];
        let mut members = [(Member::BYTES, &[][..]); 8];
        for (slot, pair) in members.iter_mut().zip(Self::MEMBERS.into_iter().zip(children)) {
            *slot = pair;
        }
        build_tuple(&members)
    }

    /// The name of the object.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.encode())
    }

    /// Reads an object.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        let [metadata, parent, related, subject, body, timestamp, dirtree, dirmeta] =
            split_tuple(WHAT, data, Self::MEMBERS)?;
        let parent = match parent {
            [] => None,
            bytes => Some(Checksum::from_slice(bytes).map_err(|error| {
                Error::malformed(WHAT, format!("Invalid commit parent: {error}"))
            })?),
        };
        let related = split_array(WHAT, related, 1)?
            .into_iter()
            .map(|element| {
                let [name, checksum] = split_tuple(WHAT, element, [Member::BYTES; 2])?;
                Ok((decode_str(WHAT, name)?.to_owned(), Checksum::from_slice(checksum)?))
            })
            .collect::<Result<_, Error>>()?;
        let metadata_bytes = metadata;
        let metadata = Metadata::decode(metadata_bytes)?;
        if metadata.iter().any(|(key, _)| key.is_empty()) {
            return Err(Error::malformed(WHAT, "a metadata key is empty"));
        }
        let commit = Self {
            metadata,
            parent,
            related,
            subject: decode_str(WHAT, subject)?.to_owned(),
            body: decode_str(WHAT, body)?.to_owned(),
            timestamp: u64_be(timestamp)?,
            root_dirtree: Checksum::from_slice(dirtree)?,
            root_dirmeta: Checksum::from_slice(dirmeta)?,
        };
        // Metadata that was decoded was in normal form.
        if commit.encode_around(metadata_bytes) == data {
            Ok(commit)
        } else {
            Err(Error::NotNormalForm { what: WHAT })
        }
    }

    /// What identifies the tree, whatever the message and time: see [`content_checksum`].
    #[must_use]
    pub fn content_checksum(&self) -> Checksum {
        content_checksum(&self.root_dirtree, &self.root_dirmeta)
    }

    /// The version of what is in the tree.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.metadata.get_str(Self::VERSION)
    }

    /// The refs this commit says may name it, or `None` when it says nothing.
    #[must_use]
    pub fn ref_bindings(&self) -> Option<Vec<&str>> {
        self.metadata.get_strings(Self::REF_BINDING)
    }
}

/// SHA-256 of the two root checksums' bytes: equal for commits of equal trees.
#[must_use]
pub fn content_checksum(root_dirtree: &Checksum, root_dirmeta: &Checksum) -> Checksum {
    let mut hash = Sha256::new();
    hash.update(root_dirtree.as_bytes());
    hash.update(root_dirmeta.as_bytes());
    Checksum::finish(hash)
}
