//! Content that goes out no faster than the rollout of the device allows which gets it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::callers::Peer;
use super::{Shared, run};
use crate::fleet::bandwidth::{Pace, Whose};

/// Where content lies for devices that show a certificate.
const WITH_CERTIFICATE: [&str; 4] =
    ["/repo/targets/", "/tuf/targets/", "/treehub/objects/", "/treehub/deltas/"];
/// And for those of Mender: followed by the action.
const OF_ACTION: &str = "/api/devices/v1/deployments/download/";

/// Who gets content by such a request; nothing where it is none.
pub(super) fn whose(method: &Method, uri: &Uri, peer: Option<&Peer>) -> Option<Whose> {
    if method != Method::GET {
        return None;
    }
    let path = uri.path();
    if WITH_CERTIFICATE.iter().any(|prefix| path.starts_with(prefix)) {
        let shown = peer?.0.as_ref()?;
        return shown.certificate.common_name.clone().map(Whose::Device);
    }
    if let Some(rest) = path.strip_prefix(OF_ACTION) {
        let (action, _) = rest.split_once('/')?;
        return action.parse().ok().map(Whose::Action);
    }
    let mut parts = path.trim_start_matches('/').split('/');
    let (_tenant, controller, version) = (parts.next()?, parts.next()?, parts.next()?);
    let (device, modules) = (parts.next()?, parts.next()?);
    let (_module, artifacts) = (parts.next()?, parts.next()?);
    let is_artifact = (controller, version, modules, artifacts)
        == ("controller", "v1", "softwaremodules", "artifacts");
    is_artifact.then(|| Whose::Device(decoded(device)))
}

fn decoded(part: &str) -> String {
    let plus = part.replace('+', "%2B");
    let mut pairs = form_urlencoded::parse(plus.as_bytes());
    pairs.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// Slows an answer down where the device's rollout has a limit. What cannot be found out slows nothing
/// down, since the device was let in and content was found.
pub(super) async fn paced(fleet: &Shared, whose: Option<Whose>, response: Response) -> Response {
    let is_content = matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    let Some(whose) = whose.filter(|_| is_content) else { return response };
    let now = Instant::now();
    match run(fleet, move |fleet| fleet.pace_of(&whose, now)).await {
        Ok(None) => response,
        Ok(Some(pace)) => {
            let mut response = response;
            // What the kernel sends by itself has no pace.
            response.extensions_mut().remove::<super::content::InFile>();
            response.map(|body| Body::new(Paced { body, pace, left: Bytes::new(), piece: None }))
        }
        Err(error) => {
            let reason = crate::error::chain(&error);
            tracing::warn!(reason, "a download is not slowed down");
            response
        }
    }
}

struct Paced {
    body: Body,
    pace: Arc<Pace>,
    /// What was read and has no turn yet.
    left: Bytes,
    /// What goes next, and when.
    piece: Option<(Bytes, Pin<Box<Sleep>>)>,
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some((piece, turn)) = &mut self.piece {
                ready!(turn.as_mut().poll(context));
                let piece = std::mem::take(piece);
                self.piece = None;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.left.is_empty() {
                match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.left = data,
                        Err(other) => return Poll::Ready(Some(Ok(other))),
                    },
                    ended => return Poll::Ready(ended),
                }
                continue;
            }
            let most = self.pace.piece().min(self.left.len());
            let turn = self.pace.reserve(most, Instant::now());
            let piece = self.left.split_to(most);
            self.piece = Some((piece, Box::pin(sleep_until(turn))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none() && self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let waiting = self.left.len() + self.piece.as_ref().map_or(0, |(piece, _)| piece.len());
        let waiting = waiting as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(waiting));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(waiting));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::{Whose, whose};
    use axum::http::{Method, Uri};

    #[test]
    fn downloads_are_told_from_all_else() {
        let of = |method: Method, path: &str| whose(&method, &Uri::try_from(path).unwrap(), None);
        let get = |path: &str| of(Method::GET, path);
        let device = |id: &str| Some(Whose::Device(id.to_owned()));
        let artifact = "/default/controller/v1/a%20b/softwaremodules/3/artifacts/f.bin";
        assert_eq!(get(artifact), device("a b"));
        assert_eq!(of(Method::HEAD, artifact), None);
        assert_eq!(get("/default/controller/v1/d1/deploymentBase/3"), None);
        assert_eq!(get("/rest/v1/softwaremodules/3/artifacts/4/download"), None);
        let mender = "/api/devices/v1/deployments/download/7/9?code=x";
        assert_eq!(get(mender), Some(Whose::Action(7)));
        // Without a certificate it is nobody's.
        assert_eq!(get("/repo/targets/f.bin"), None);
        assert_eq!(get("/"), None);
    }
}
