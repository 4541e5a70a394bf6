//! What a store says when it does not do what it was asked.

use updraft_error::{Classify as _, Kind};
use updraft_http::Response;

use super::Bucket;
use crate::error::{Error, chain};

/// The longest answer, other than content, that is read.
pub(super) const MAX_ANSWER: u64 = 64 << 10;
/// Characters of a store's message that are shown.
const SHOWN: usize = 300;

/// What is wrong with a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketTrouble {
    /// It does not answer, or says that it cannot now.
    Unavailable,
    /// It is full.
    Full,
    /// It does not know the access key, or does not let it do that.
    Denied,
    /// It is not there.
    NoBucket,
    /// Something else.
    Other,
}

/// What is wrong with a bucket, for the log and for whoever sits at the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct BucketError {
    /// The bucket's address.
    pub place: String,
    /// What it says, or why it says nothing.
    pub reason: String,
}

impl BucketTrouble {
    /// What sort of thing it is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Unavailable => Kind::Unavailable,
            Self::Full => Kind::Exhausted,
            Self::Denied => Kind::Rejected,
            Self::NoBucket => Kind::NotFound,
            Self::Other => Kind::Unsupported,
        }
    }

    /// By the status and the code of an answer ("Error responses" in the reference of Amazon S3).
    fn of(status: u16, code: &str, message: &str) -> Self {
        const FULL: [&str; 4] =
            ["QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull", "StorageFull"];
        // Garage denies access where a quota is reached, and says so in words only.
        let is_quota = message.to_ascii_lowercase().contains("quota");
        match status {
            _ if status == 507 || FULL.contains(&code) || is_quota => Self::Full,
            _ if code == "NoSuchBucket" => Self::NoBucket,
            401 | 403 => Self::Denied,
            408 | 429 | 500 | 502..=504 => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

impl Bucket {
    pub(super) fn trouble(
        &self,
        action: &'static str,
        trouble: BucketTrouble,
        reason: impl Into<String>,
    ) -> Error {
        let source = BucketError { place: self.signer.place(), reason: reason.into() };
        Error::Bucket { action, trouble, source }
    }

    /// No answer, or after all repetitions still one that may pass.
    pub(super) fn failed(&self, action: &'static str, error: &updraft_http::Error) -> Error {
        let trouble = match error.kind() {
            Kind::Unavailable | Kind::Cancelled => BucketTrouble::Unavailable,
            _ => BucketTrouble::Other,
        };
        self.trouble(action, trouble, chain(error))
    }

    /// An answer that is not the one that was wanted.
    pub(super) fn refused(&self, action: &'static str, response: Response) -> Error {
        let status = response.status;
        let text = response.bytes(MAX_ANSWER).unwrap_or_default();
        let (code, message) = code_of(&String::from_utf8_lossy(&text));
        self.judged(action, status, code.as_deref(), message.as_deref())
    }

    pub(super) fn judged(
        &self,
        action: &'static str,
        status: u16,
        code: Option<&str>,
        message: Option<&str>,
    ) -> Error {
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        let trouble = BucketTrouble::of(status, code, message);
        let reason = match (code, message) {
            ("", "") => format!("it answers HTTP {status}"),
            (code, "") => format!("it answers HTTP {status} ({code})"),
            (code, message) => format!("it answers HTTP {status} ({code}: {message})"),
        };
        self.trouble(action, trouble, reason)
    }
}

/// Code and message of an error document.
pub(super) fn code_of(text: &str) -> (Option<String>, Option<String>) {
    let shown = |name| {
        let inner = element(text, name)?.chars().filter(|c| !c.is_control());
        Some(inner.take(SHOWN).collect())
    };
    (shown("Code"), shown("Message"))
}

/// The text of the first element of this name. The documents of S3 are flat, and what is read of them
/// is plain words.
pub(super) fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |status, document: &str, expected| {
            let (code, message) = code_of(document);
            let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
            assert_eq!(BucketTrouble::of(status, &code, &message), expected, "{document}");
        };
        check(403, "<Error><Code>AccessDenied</Code></Error>", BucketTrouble::Denied);
        check(
            403,
            "<Error><Code>AccessDenied</Code><Message>Forbidden: Object size quota is reached\
             </Message></Error>",
            BucketTrouble::Full,
        );
        check(507, "", BucketTrouble::Full);
        check(404, "<Error><Code>NoSuchBucket</Code></Error>", BucketTrouble::NoBucket);
        check(404, "<Error><Code>NoSuchKey</Code></Error>", BucketTrouble::Other);
        check(503, "<Error><Code>SlowDown</Code></Error>", BucketTrouble::Unavailable);
        check(
            400,
            "<Error><Code>AuthorizationHeaderMalformed</Code></Error>",
            BucketTrouble::Other,
        );
    }
}
