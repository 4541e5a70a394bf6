//! fs-verity digests, and composefs images: whole file systems without the files' bytes.
//!
//! A composefs image is an EROFS image that holds all directories, names, owners, modes, xattrs
//! and symbolic links of a tree. Each regular file is an empty shell that names, in overlayfs's
//! xattrs, the file in a store that has its bytes, and the fs-verity digest which that file must
//! have. Mounted as the lower layer of an overlay over the store it shows the tree; with the
//! digest of the image known, the kernel vouches for every byte.
//!
//! * [`VerityHasher`]: the digest that the kernel computes of a file (SHA-256, blocks of 4096
//!   bytes, no salt).
//! * [`MerkleTree`]: what the kernel keeps of a file that is sealed, for file systems that are made
//!   without it.
//! * [`Directory`]: the tree that an image is made of.
//! * [`write_image`]: the image, byte for byte as libcomposefs 1.0 writes version 0 of it. It must
//!   be the same bytes, because clients compare digests of images that they make themselves.
//!
//! Nothing here reads an image, and nothing reads a file.

mod error;

mod verity;

mod merkle;

mod tree;

mod image;

pub use error::Error;
pub use image::write_image;
pub use merkle::{MerkleTree, Seal, TreeBlock};
pub use tree::{Attributes, Directory, File, Node, Symlink};
pub use verity::{BLOCK_SIZE, VerityDigest, VerityHasher};
