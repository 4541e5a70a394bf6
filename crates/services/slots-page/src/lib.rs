//! The page of a device's slots: what Android's SystemUpdaterSample shows and does, in a browser on
//! the device, and the JSON that it is made of, for programs.
//!
//! ```text
//! browser ─► SlotsPage ─► Access: loopback, the name it is called by, the token
//!                │
//!                ├─ files of the page, in this program
//!                └─ api/v1/… ─► Engine (updraft-slots), and one piece of Work at a time
//! ```
//! Invariants: it listens on loopback only; nothing is told or done for whoever does not have the
//! token; what may be applied is what lies in the folder of updates, signed by a key of slots.toml.
//! It has no trust of its own.
//!
//! One thread a connection, of a bounded number, and no runtime: the device side is synchronous.
//! Heads of requests are read by httparse, which the HTTP client brings anyway; the small servers
//! among the libraries are no longer kept.

mod access;
mod answer;
mod api;
mod connection;
mod error;
mod files;
mod problem;
mod server;
mod token;
mod work;

pub use error::Error;
pub use server::SlotsPage;
pub use token::{TOKEN_FILE, page_token};
