//! Small bodies read into memory, continued by `Range` where a connection broke.

use updraft_task::Context;

use crate::error::is_absent;
use crate::retry::Retry;
use crate::stream::validator;
use crate::{Client, Error, Method, Request, Response, Result};

/// What has come so far, and which version of the resource it is of.
#[derive(Default)]
struct Begun {
    bytes: Vec<u8>,
    validator: Option<String>,
}

impl Client {
    /// The body of `url`, at most `limit` bytes; `None` when the server says that there is none
    /// (403, 404, 410).
    pub fn get_bytes(&self, url: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.get_bytes_with(&Context::silent(), url, limit)
    }

    /// [`get_bytes`](Self::get_bytes) that can be cancelled, also while it waits.
    pub fn get_bytes_with(&self, ctx: &Context, url: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut begun = Begun::default();
        let mut retry = Retry::new(self.options());
        loop {
            ctx.check()?;
            let before = begun.bytes.len();
            match self.go_on(ctx, url, limit, &mut begun) {
                Ok(true) => return Ok(Some(begun.bytes)),
                Ok(false) => return Ok(None),
                Err(error) => {
                    if begun.bytes.len() > before {
                        retry.progressed();
                    }
                    retry.after(ctx, error)?;
                }
            }
        }
    }

    /// One attempt to get the rest; `false` when there is nothing of that name.
    fn go_on(&self, ctx: &Context, url: &str, limit: u64, begun: &mut Begun) -> Result<bool> {
        let mut request = Request::new(Method::Get, url);
        match &begun.validator {
            // Also when nothing came yet: a server that cuts whole bodies may give ranges.
            Some(validator) => {
                let range = format!("bytes={}-", begun.bytes.len());
                request = request.header("Range", range).header("If-Range", validator);
            }
            // Nobody can say whether the rest would be of the same version.
            None => begun.bytes.clear(),
        }
        let response = self.send_once(ctx, &request)?;
        if is_absent(response.status) {
            return Ok(false);
        }
        if response.status == 416 && begun.validator.take().is_some() {
            begun.bytes.clear();
            return self.go_on(ctx, url, limit, begun);
        }
        let mut response = response.error_for_status()?;
        if response.status != 206 || !continues(&response, begun.bytes.len()) {
            begun.bytes.clear();
            if response.status == 206 {
                begun.validator = None;
                return Err(Error::Mismatch {
                    url: crate::error::shown(url),
                    what: "Content-Range",
                    expected: "the rest that was asked for".to_owned(),
                    actual: "another part".to_owned(),
                });
            }
        }
        begun.validator = validator(&response.headers);
        response.body.read_into(&mut begun.bytes, limit)?;
        Ok(true)
    }
}

/// Whether a partial answer begins where the bytes so far end (RFC 9110, 14.4).
fn continues(response: &Response, length: usize) -> bool {
    let range = response.headers.get("content-range").unwrap_or_default();
    let start = range.strip_prefix("bytes ").and_then(|range| range.split_once('-'));
    start.is_some_and(|(start, _)| start.parse() == Ok(length))
}
