//! What a deployment wants of the program that makes it the root of the running system.
//!
//! `usr/lib/ostree/prepare-root.conf`, over it `etc/ostree/prepare-root.conf`, and over both the
//! kernel argument `ostree.prepare-root.composefs`. The program itself reads the copies of the files
//! in its initramfs, which are made from these.

use updraft_bootenv::KernelArgs;
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
/// Says `yes`, `no`, `maybe` or `signed`. There is no `verity`: what the files say of it stays.
const ARGUMENT: &str = "ostree.prepare-root.composefs";

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

/// What `root` wants when it is booted with these arguments.
pub(crate) fn composefs(root: &Dir, kernel_args: &KernelArgs) -> Result<Composefs> {
    let configured = configured(root)?;
    let Some(text) = kernel_args.last_value(ARGUMENT) else { return Ok(configured) };
    let said = match parse(text) {
        Some(said) if said != Composefs::Verity => said,
        _ => {
            let message = format!("Invalid tristate value: {text}: kernel argument {ARGUMENT}");
            return Err(Error::other(Kind::Invalid, message));
        }
    };
    // The argument takes back signatures, but not what the files demand of the kernel.
    let is_verity = matches!(configured, Composefs::Verity | Composefs::Signed);
    Ok(match said {
        Composefs::Maybe | Composefs::Yes if is_verity => Composefs::Verity,
        other => other,
    })
}

/// What the files of `root` say.
fn configured(root: &Dir) -> Result<Composefs> {
    for place in PLACES {
        let Some(bytes) = root.try_read(place, MAX_FILE)? else { continue };
        let file = KeyFile::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|source| Error::Format { what: format!("read {place}"), source })?;
        let Some(text) = file.get("composefs", "enabled") else { continue };
        return parse(text.trim()).ok_or_else(|| {
            let text = text.trim();
            let message = format!("Invalid tristate value: {text}: composefs.enabled of {place}");
            Error::other(Kind::Invalid, message)
        });
    }
    Ok(Composefs::No)
}

fn parse(text: &str) -> Option<Composefs> {
    Some(match text {
        "no" | "false" | "0" => Composefs::No,
        "maybe" => Composefs::Maybe,
        "yes" | "true" | "1" => Composefs::Yes,
        "verity" => Composefs::Verity,
        "signed" => Composefs::Signed,
        _ => return None,
    })
}
