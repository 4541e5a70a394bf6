//! Why there is no page.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use updraft_error::{Classify, Kind};

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one of this device alone.
    #[error("serve the page on {0}: only loopback addresses, such as 127.0.0.1:8484, are allowed")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The token is there for others to read.
    #[error(
        "use {path}: others may read it; remove it, and another is made", path = path.display()
    )]
    TokenExposed {
        /// The file.
        path: PathBuf,
    },
    /// The token is none.
    #[error("use {path}: it is no token; remove it, and another is made", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The token cannot be read or written.
    #[error(transparent)]
    Fs(#[from] updraft_fs::Error),
    /// There is no randomness for a token.
    #[error(transparent)]
    Crypto(#[from] updraft_crypto::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotLoopback(_) | Self::Token { .. } => Kind::Invalid,
            Self::TokenExposed { .. } => Kind::Rejected,
            Self::Listen { source, .. } => Classify::kind(source),
            Self::Fs(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
        }
    }
}
