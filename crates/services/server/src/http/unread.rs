//! Bodies that nobody reads to their end.
//!
//! Many callers send their whole body before they look at the answer. If the connection (or the
//! HTTP/2 stream) were closed as soon as a request is refused, they would see a broken pipe (or a
//! reset) and never learn why. So what a handler leaves unread is read and thrown away, within
//! limits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// The most that is read of a body nobody wants, in bytes.
const MAX_UNREAD: usize = 16 << 20;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body whose rest is read and thrown away when it is dropped.
pub(crate) struct ReadOut(Option<Incoming>);

impl ReadOut {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for ReadOut {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for ReadOut {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // Outside of a runtime the connection is gone as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(PATIENCE, async move {
            let mut unread = 0_usize;
            while let Some(Ok(frame)) = body.frame().await {
                unread = unread.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if unread > MAX_UNREAD {
                    return;
                }
            }
        }));
    }
}
