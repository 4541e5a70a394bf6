//! What a deployment wants of the program that makes it the root of the running system.
//!
//! `usr/lib/ostree/prepare-root.conf`, and over it `etc/ostree/prepare-root.conf`. The program
//! itself reads the copies in its initramfs, which are made from these.

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::KeyFile;

use crate::{Error, Result};

const PLACES: [&str; 3] = [
    "etc/ostree/prepare-root.conf",
    // Before the deployment has an /etc of its own.
    "usr/etc/ostree/prepare-root.conf",
    "usr/lib/ostree/prepare-root.conf",
];
const MAX_FILE: u64 = 1024 * 1024;

/// Whether the root of a system is a composefs image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Composefs {
    /// It is the deployment's directory.
    #[default]
    No,
    /// It is when there is one.
    Maybe,
    /// It must be.
    Yes,
    /// It must be, and every file be one that the kernel vouches for.
    Verity,
    /// As `Verity`, and a signature covers the digest of the image.
    Signed,
}

/// What `root` wants.
pub(crate) fn composefs(root: &Dir) -> Result<Composefs> {
    for place in PLACES {
        let Some(bytes) = root.try_read(place, MAX_FILE)? else { continue };
        let file = KeyFile::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|source| Error::Format { what: format!("read {place}"), source })?;
        match file.get("composefs", "enabled").as_deref().map(str::trim) {
            None => {}
            Some("no" | "false" | "0") => return Ok(Composefs::No),
            Some("maybe") => return Ok(Composefs::Maybe),
            Some("yes" | "true" | "1") => return Ok(Composefs::Yes),
            Some("verity") => return Ok(Composefs::Verity),
            Some("signed") => return Ok(Composefs::Signed),
            Some(other) => {
                let message =
                    format!("Invalid tristate value: {other}: composefs.enabled of {place}");
                return Err(Error::other(Kind::Invalid, message));
            }
        }
    }
    Ok(Composefs::No)
}
