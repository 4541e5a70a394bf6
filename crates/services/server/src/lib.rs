//! The fleet server: the device gateway, the operator interface, and what lies behind both.
//!
//! Layers, each of which knows only those below it:
//!
//! - [`http`]: TLS, connections, routes; thin handlers that decode, call and encode;
//! - [`tenants`]: several fleets in one process, each with a data folder of its own;
//! - [`fleet`]: what the server does: registering devices, judging reports, signing the
//!   Director's metadata, keeping the Image repository, running rollouts;
//! - [`storage`]: SQLite or PostgreSQL, and nothing else knows SQL;
//! - [`contents`]: large content, in the data folder or in a bucket;
//! - [`layout`], [`config`], [`fetch_from`], [`names`], [`environment`], [`error`]: what all of them share.
//!
//! [`setup`] makes a data folder, tokens and credential files; [`serve`](http::serve) runs a
//! server on one. Time and randomness come in through [`Environment`].

pub mod config;
pub mod contents;
pub mod environment;
pub mod error;
pub mod fetch_from;
pub mod fleet;
pub mod http;
pub mod layout;
pub mod names;
pub mod setup;
pub mod storage;
pub mod tenants;

pub use config::Config;
pub use environment::{Clock, Environment, Random};
pub use error::{Error, Result};
pub use fleet::Fleet;
pub use layout::Layout;
pub use tenants::Tenants;
