//! What can go wrong with a request.

use std::io;

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that did not succeed. URLs are shown without user name and password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be made from its options.
    #[error("use {what} for HTTP")]
    Options {
        /// Which option.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No complete answer came.
    #[error("reach {url}")]
    Transport {
        /// The address asked for.
        url: String,
        /// What the connection said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server answered with an error status.
    #[error("get {url}: the server answered HTTP {status}{}", detail.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Status {
        /// The address asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server's problem document said, if it sent one.
        detail: Option<String>,
    },
    /// The connection ended before the body did.
    #[error("read all of {url}: {received} bytes arrived, then the connection broke")]
    Interrupted {
        /// The address asked for.
        url: String,
        /// Bytes of the body that had arrived.
        received: u64,
        /// What the connection said.
        #[source]
        source: io::Error,
    },
    /// The transfer stayed below the low-speed limit.
    #[error("read {url}: less than {bytes_per_second} bytes a second for {seconds} s")]
    TooSlow {
        /// The address asked for.
        url: String,
        /// The limit.
        bytes_per_second: u64,
        /// For how long.
        seconds: u64,
    },
    /// The body is larger than what the caller allows.
    #[error("read {url}: it exceeded maximum size of {limit} bytes")]
    TooLarge {
        /// The address asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// What arrived is not what was expected.
    #[error("accept {url}: its {what} is {actual}, expected {expected}")]
    Mismatch {
        /// The address asked for.
        url: String,
        /// Which property differs.
        what: &'static str,
        /// The wanted value.
        expected: String,
        /// The value that came.
        actual: String,
    },
    /// The answer is not the document that was asked for.
    #[error("understand the answer of {url}")]
    Malformed {
        /// The address asked for.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A local file could not be read or written.
    #[error("store what came from {url}")]
    Local {
        /// The address asked for.
        url: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The work was stopped on request.
    #[error("finish the transfer")]
    Cancelled(#[from] updraft_task::Cancelled),
}

impl Error {
    /// The HTTP status, when the server answered with an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server says that there is no such thing: 403, 404 or 410, as libostree
    /// reads them.
    pub fn is_absent(&self) -> bool {
        self.status().is_some_and(is_absent)
    }
}

/// Object stores answer 403 for what they do not have when listing is forbidden.
pub(crate) fn is_absent(status: u16) -> bool {
    matches!(status, 403 | 404 | 410)
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Options { .. } | Self::Malformed { .. } => Kind::Invalid,
            Self::Transport { source, .. } => transport_kind(source),
            Self::Status { status, .. } => status_kind(*status),
            Self::Interrupted { .. } | Self::TooSlow { .. } => Kind::Unavailable,
            Self::TooLarge { .. } | Self::Mismatch { .. } => Kind::Rejected,
            Self::Local { source, .. } => Classify::kind(source),
            Self::Cancelled(_) => Kind::Cancelled,
        }
    }
}

fn status_kind(status: u16) -> Kind {
    match status {
        404 | 410 => Kind::NotFound,
        401 | 403 => Kind::Rejected,
        409 | 412 => Kind::Conflict,
        408 | 425 | 429 | 500 | 502..=504 => Kind::Unavailable,
        405 | 501 | 505 => Kind::Unsupported,
        413 | 507 => Kind::Exhausted,
        _ => Kind::Invalid,
    }
}

fn transport_kind(error: &ureq::Error) -> Kind {
    match error {
        ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::Protocol(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::TooManyRedirects => Kind::Invalid,
        ureq::Error::Tls(_) => Kind::Rejected,
        ureq::Error::Rustls(error) => tls_kind(error),
        ureq::Error::Io(error) => io_kind(error),
        _ => Kind::Unavailable,
    }
}

pub(crate) fn io_kind(error: &io::Error) -> Kind {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .map_or(Kind::Unavailable, tls_kind)
}

/// A certificate that does not convince will not do so the next time.
fn tls_kind(error: &rustls::Error) -> Kind {
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::AlertReceived(_)
        | rustls::Error::NoCertificatesPresented => Kind::Rejected,
        rustls::Error::InvalidMessage(_) => Kind::Invalid,
        _ => Kind::Unavailable,
    }
}

/// `url` without user name and password, and without a query that has the signature of a link into
/// an object store: whoever has that may do what was signed.
pub(crate) fn shown(url: &str) -> String {
    let url = match url.split_once('?') {
        Some((address, query)) if query.contains("X-Amz-Signature=") => address,
        _ => url,
    };
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(shown("https://me:secret@host/path@x"), "https://host/path@x");
        assert_eq!(shown("https://host/a@b"), "https://host/a@b");
        assert_eq!(shown("nonsense"), "nonsense");
        assert_eq!(shown("https://s/b/k?X-Amz-Date=1&X-Amz-Signature=ab"), "https://s/b/k");
        assert_eq!(shown("https://s/b?n=1"), "https://s/b?n=1");
    }
}
