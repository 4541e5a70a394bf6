//! The dashboard's files, built by `cargo xtask web` and carried inside the program.
//!
//! A file comes with what was compressed beforehand, and with a tag that changes when it does. Names
//! below `assets/` carry a hash of their content, so whoever has one need never ask again. What the
//! program was built without is not there: [`page`] then is `None`.

mod asset;
mod encoding;

pub use asset::{Asset, asset, page};
pub use encoding::Encoding;
