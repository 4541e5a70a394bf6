//! Why a tree cannot be written as an image.

use std::io;

use updraft_error::{Classify, Kind};

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The format has no place for something in the tree.
    #[error("store {path:?} in a composefs image: {reason}")]
    Unsupported {
        /// The entry, from the root of the tree.
        path: String,
        /// What does not fit.
        reason: &'static str,
    },
    /// The image as a whole grew beyond what the format can address.
    #[error("write a composefs image: the tree is too large")]
    TooLarge,
    /// The bytes could not be written.
    #[error("write a composefs image")]
    Io(#[from] io::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unsupported { .. } | Self::TooLarge => Kind::Unsupported,
            Self::Io(_) => Kind::Unavailable,
        }
    }
}
