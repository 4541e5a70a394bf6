//! OTA packages, judged by others: OpenSSL, Debian's signapk, Python's zipfile.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod signatures;
mod world;
