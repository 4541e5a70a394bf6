//! Passwords of operators: argon2id (RFC 9106) with the parameters that OWASP recommends.

use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::environment::Environment;
use crate::error::{Error, Result};

/// How many passwords are hashed at a time; each takes [`MEMORY_KIB`].
pub(super) const AT_A_TIME: usize = 2;
/// How long somebody waits for their turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Memory of one hash in KiB, passes over it, and threads (OWASP's password storage cheat sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const THREADS: u32 = 1;

/// The shortest password, in bytes.
const MIN: usize = 12;
/// The longest, so that nobody makes us hash a book.
const MAX: usize = 1024;

/// Refuses what is no password.
pub(super) fn check(password: &str) -> Result<()> {
    if (MIN..=MAX).contains(&password.len()) {
        return Ok(());
    }
    Err(Error::invalid("the password", format!("it must have {MIN} to {MAX} bytes")))
}

/// The hash of a new password, in the PHC string format.
pub(super) fn hash(environment: &Environment, password: &str) -> Result<String> {
    check(password)?;
    let mut salt = [0_u8; 16];
    environment.random.fill(&mut salt).map_err(Error::random)?;
    let failed = |error: argon2::password_hash::Error| Error::Internal {
        action: "hash a password",
        reason: error.to_string(),
    };
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    Ok(hasher()?.hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// The hash of no password that anybody knows.
pub(super) const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whether this is the password of a hash. Without one it takes as long, and is not.
pub(super) fn is_right(hash: Option<&str>, password: &str) -> bool {
    if password.len() > MAX {
        return false;
    }
    let Ok(hasher) = hasher() else { return false };
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODYS)) else { return false };
    hasher.verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
}

fn hasher() -> Result<Argon2<'static>> {
    let parameters = Params::new(MEMORY_KIB, PASSES, THREADS, None).map_err(|error| {
        Error::Internal { action: "hash a password", reason: error.to_string() }
    })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_takes_a_whole_hash_and_never_succeeds() {
        assert!(!is_right(None, "correct horse battery"));
        assert!(!is_right(Some("not a hash"), "correct horse battery"));
        assert!(check("elevenbytes").is_err());
        assert!(check("twelve bytes").is_ok());
        assert!(check(&"x".repeat(MAX + 1)).is_err());
    }

    #[test]
    fn a_hash_names_its_parameters() {
        let salt = SaltString::encode_b64(b"saltsaltsaltsalt").expect("a salt");
        let hasher = hasher().expect("parameters");
        let made =
            hasher.hash_password(b"correct horse battery", &salt).expect("a hash").to_string();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(is_right(Some(&made), "correct horse battery"));
        assert!(!is_right(Some(&made), "correct horse batterz"));
    }
}
