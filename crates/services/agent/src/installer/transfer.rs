//! What a failed transfer of an image is to people: not every refusal is about the image.

use std::error::Error;

use updraft_error::{Classify, Kind};
use updraft_http::Error as HttpError;
use updraft_update::StepError;

/// The way out when the other end is not the one that it has to be.
const NOT_TRUSTED: &str = "nothing was installed; check this device's clock, and where the image \
                           comes from: that server's certificate is not signed by the CA that this \
                           device trusts, or the server does not trust this device";
/// The way out when the server does not hand it out.
const NOT_ADMITTED: &str = "nothing was installed; the server that has the image does not give it \
                            to this device: check what the device may fetch there";

/// The error of a transfer as a step's, with its way out where the connection is at fault.
pub(crate) fn failed<E>(error: E) -> StepError
where
    E: Classify + Error + Send + Sync + 'static,
{
    let way_out = way_out(&error);
    StepError::new(error).with_way_out(way_out)
}

fn way_out(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<HttpError>() {
            Some(http @ HttpError::Transport { .. }) if http.kind() == Kind::Rejected => {
                return Some(NOT_TRUSTED);
            }
            Some(HttpError::Status { status: 401 | 403, .. }) => return Some(NOT_ADMITTED),
            _ => next = error.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("pull")]
    struct Pull(#[source] HttpError);

    impl Classify for Pull {
        fn kind(&self) -> Kind {
            self.0.kind()
        }
    }

    #[test]
    fn only_the_connection_has_a_way_out_of_its_own() {
        let status = |status| HttpError::Status { url: String::new(), status, detail: None };
        assert_eq!(failed(Pull(status(403))).way_out(), Some(NOT_ADMITTED));
        assert_eq!(failed(status(500)).way_out(), None);
        let other = HttpError::Mismatch {
            url: String::new(),
            what: "SHA-256",
            expected: String::new(),
            actual: String::new(),
        };
        assert_eq!(failed(other).way_out(), None);
    }
}
