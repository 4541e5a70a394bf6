//! [`Answer`]: what a request is answered with.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::problem::Problem;

/// For every answer. The page has what it needs from this server alone, runs no other script, and is
/// shown in no other page.
const HEADERS: &str = "\
Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
Cross-Origin-Opener-Policy: same-origin\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Referrer-Policy: no-referrer\r\n\
X-Content-Type-Options: nosniff\r\n\
Cache-Control: no-store\r\n\
Connection: close\r\n";

/// What a request is answered with.
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    body: Cow<'static, [u8]>,
}

impl Answer {
    /// A file of the page.
    pub(crate) fn file(content_type: &'static str, body: &'static str) -> Self {
        Self { status: 200, content_type, body: Cow::Borrowed(body.as_bytes()) }
    }

    /// 200 with a value.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::value(200, "application/json", value)
    }

    /// 202: it is begun, and what becomes of it is told with the status.
    pub(crate) fn accepted() -> Self {
        Self::value(202, "application/json", &serde_json::json!({}))
    }

    fn value(status: u16, content_type: &'static str, value: &impl Serialize) -> Self {
        // Texts and numbers: nothing in it can fail.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, content_type, body: Cow::Owned(body) }
    }

    /// Sends it. The body is left out for `HEAD`.
    pub(crate) fn send(&self, to: &mut impl Write, is_head: bool) -> io::Result<()> {
        let Self { status, content_type, body } = self;
        let (reason, length) = (reason(*status), body.len());
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n{HEADERS}\r\n"
        );
        to.write_all(head.as_bytes())?;
        if !is_head {
            to.write_all(body)?;
        }
        to.flush()
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self::value(problem.status, "application/problem+json", &problem)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Internal Server Error",
    }
}
