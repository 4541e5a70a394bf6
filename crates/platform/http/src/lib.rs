//! The one HTTP client of Updraft: blocking, with TLS, mutual TLS, retries and resume.
//!
//! * [`Client`] is made once from [`ClientOptions`], is cheap to clone and keeps connections open
//!   for all threads that share it.
//! * [`Client::send`] for single requests, [`Client::get_bytes`] for small files with a limit.
//! * [`Client::stream`] for large bodies: a [`Stream`] reads on where the connection broke, by
//!   `Range`, without its consumer noticing.
//! * [`Client::download`] into a file, continuing what an earlier process left there.
//!
//! * [`RequestHead`] (feature `server`): what small servers of ours read of a request.
//!
//! Every wait has a bound: to connect, for a response, for each read; a transfer that stays
//! below the low-speed limit is given up. A wait ends within a quarter of a second when the work it
//! belongs to is cancelled. Every body has a limit that the caller names.

mod cookie;
mod error;
mod options;

mod body;
mod client;
mod connector;
mod pace;
mod retry;
mod tls;
mod waiting;

mod percent;
#[cfg(feature = "server")]
mod request_head;

mod download;
mod stream;
mod whole;

#[cfg(feature = "testing")]
pub mod testing;

pub use body::{Body, BodyReader, OpenBody};
pub use client::{Client, Headers, Method, Request, Response};
pub use cookie::Cookie;
pub use download::{DownloadOptions, Downloaded, Expected};
pub use error::{Error, Result};
pub use options::{
    ClientOptions, Identity, LowSpeed, SYSTEM_CERTIFICATES, Timeouts, TokenIdentity,
};
pub use percent::percent_decode;
#[cfg(feature = "server")]
pub use request_head::RequestHead;
pub use stream::{Stream, StreamOptions};
