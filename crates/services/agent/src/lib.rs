//! The device agent: what this device should run is asked, verified, fetched, put in place,
//! tried, and confirmed or taken back; the server hears the truth about it.

pub mod config;
mod error;
pub mod store;

pub mod clock;
mod credentials;
mod device_data;
mod events;
pub mod gateway;
mod manifest;
mod provision;
mod session;

mod check;

pub use clock::Clock;
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use manifest::Report;
pub use provision::provision;
pub use session::Session;
