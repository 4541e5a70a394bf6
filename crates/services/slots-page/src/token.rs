//! The token that whoever uses the page has to have: `STATE/page-token`, for its owner alone.
//!
//! Loopback keeps other machines out, and not other users of this one, nor pages that their browsers
//! show. Whoever may read the file may do what `updraft slots` does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use updraft_crypto::random_hex;
use updraft_fs::{Dir, atomic_write};

use crate::Error;

/// The file, in the state folder of slots.toml.
pub const TOKEN_FILE: &str = "page-token";
/// 256 bits, in hex.
const LENGTH: usize = 64;

/// The token in this folder; one that is made now, when there is none.
///
/// # Errors
/// When others may read it, or it cannot be read or made.
pub fn page_token(folder: &Path) -> Result<String, Error> {
    let path = folder.join(TOKEN_FILE);
    let folder = Dir::create_all(folder, 0o755)?;
    let Some(bytes) = folder.try_read(TOKEN_FILE, LENGTH as u64 + 1)? else {
        let token = random_hex::<{ LENGTH / 2 }>()?;
        // Commit point: the rename within.
        atomic_write(&folder, TOKEN_FILE, format!("{token}\n").as_bytes(), 0o600)?;
        return Ok(token);
    };
    let mode = std::fs::metadata(&path).map(|about| about.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        return Err(Error::TokenExposed { path });
    }
    let token = String::from_utf8(bytes).unwrap_or_default().trim_end().to_owned();
    if token.len() != LENGTH || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::Token { path });
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Error, TOKEN_FILE, page_token};

    #[test]
    fn a_token_stays_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let token = page_token(folder.path()).unwrap();
        assert_eq!(page_token(folder.path()).unwrap(), token);
        let path = folder.path().join(TOKEN_FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(page_token(folder.path()), Err(Error::TokenExposed { .. })));
        std::fs::remove_file(&path).unwrap();
        assert_ne!(page_token(folder.path()).unwrap(), token);
        let dir = updraft_fs::Dir::open(folder.path()).unwrap();
        updraft_fs::atomic_write(&dir, TOKEN_FILE, b"short\n", 0o600).unwrap();
        assert!(matches!(page_token(folder.path()), Err(Error::Token { .. })));
    }
}
