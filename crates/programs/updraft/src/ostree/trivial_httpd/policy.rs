//! Whom the server answers, and when it misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Args;
use updraft_error::Kind;
use updraft_http::RequestHead;
use updraft_terminal::{Failure, Result};

use super::pair;

/// `foouser:barpw`, as `Authorization: Basic` has it.
const CREDENTIALS: &str = "Basic Zm9vdXNlcjpiYXJwdw==";

/// Demands and faults.
#[derive(Debug, Clone, Args)]
pub(super) struct Policy {
    /// Send only half of an object that is asked for without a range.
    #[arg(long)]
    pub(super) force_range_requests: bool,
    /// Demand the user `foouser` and the password `barpw`.
    #[arg(long)]
    require_basic_auth: bool,
    /// Answer so many percent of requests with 500.
    #[arg(long, value_name = "PERCENTAGE", default_value_t = 0)]
    random_500s: u32,
    /// Answer so often with 500 at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    random_500s_max: u32,
    /// Answer so many percent of requests with 408.
    #[arg(long, value_name = "PERCENTAGE", default_value_t = 0)]
    random_408s: u32,
    /// Answer so often with 408 at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    random_408s_max: u32,
    /// Refuse requests without this cookie.
    #[arg(long, value_name = "KEY=VALUE")]
    expected_cookies: Vec<String>,
    /// Refuse requests without this header.
    #[arg(long, value_name = "KEY=VALUE")]
    expected_header: Vec<String>,
    #[arg(skip)]
    emitted: Arc<Emitted>,
}

/// How often it misbehaved so far.
#[derive(Debug, Default)]
struct Emitted {
    errors: AtomicU32,
    timeouts: AtomicU32,
}

impl Policy {
    /// Refuses options that make no sense.
    pub(super) fn check(&self) -> Result {
        for (option, percentage) in
            [("--random-500s", self.random_500s), ("--random-408s", self.random_408s)]
        {
            if percentage > 99 {
                let message = format!("Invalid {option}={percentage}");
                return Err(Failure::new(Kind::Invalid, message));
            }
        }
        for text in &self.expected_cookies {
            pair("--expected-cookies", text)?;
        }
        for text in &self.expected_header {
            pair("--expected-header", text)?;
        }
        Ok(())
    }

    /// The status of an answer other than what was asked for.
    pub(super) fn refuses(&self, request: &RequestHead) -> Option<u16> {
        let faults = [
            (self.random_500s, self.random_500s_max, &self.emitted.errors, 500),
            (self.random_408s, self.random_408s_max, &self.emitted.timeouts, 408),
        ];
        for (percentage, most, emitted, status) in faults {
            if fastrand::u32(0..100) < percentage && emitted.fetch_add(1, Ordering::Relaxed) < most
            {
                return Some(status);
            }
        }
        if self.require_basic_auth && request.header("authorization") != Some(CREDENTIALS) {
            return Some(401);
        }
        if self.expected_cookies.iter().any(|cookie| !has_cookie(request, cookie)) {
            return Some(403);
        }
        let has_header = |text: &String| {
            let pair = text.split_once('=');
            pair.is_some_and(|(name, value)| {
                request.header(&name.to_ascii_lowercase()) == Some(value)
            })
        };
        (!self.expected_header.iter().all(has_header)).then_some(403)
    }
}

fn has_cookie(request: &RequestHead, cookie: &str) -> bool {
    let sent = request.header("cookie").unwrap_or_default();
    sent.split(';').any(|one| one.trim() == cookie)
}
