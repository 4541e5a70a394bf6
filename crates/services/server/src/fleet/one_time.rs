//! One-time codes of authenticator apps (TOTP, RFC 6238, over HOTP, RFC 4226): six digits by
//! HMAC-SHA1, a new one every 30 seconds. Every app knows these; few know others.

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::environment::Environment;
use crate::error::{Error, Result};

/// Seconds for which a code is the one to show.
const STEP_SEC: u64 = 30;
/// How many steps a clock may be off, to either side.
const SKEW: u64 = 1;
/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;

/// Bytes of a secret: as many as the hash has (RFC 4226, 4).
pub(super) type Secret = [u8; 20];

/// A new secret.
pub(super) fn secret(environment: &Environment) -> Result<Secret> {
    let mut secret = Secret::default();
    environment.random.fill(&mut secret).map_err(Error::random)?;
    Ok(secret)
}

/// A secret as people type it.
pub(super) fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// What apps read from a QR code.
pub(super) fn uri(user: &str, secret: &[u8]) -> String {
    let user = updraft_api::paths::encode(user);
    format!("otpauth://totp/Updraft:{user}?secret={}&issuer=Updraft", base32(secret))
}

/// The time step whose code this is, if it is that of now or of a neighbour.
pub(super) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<u64> {
    let now = u64::try_from(now.as_second()).ok()? / STEP_SEC;
    let candidates = now.saturating_sub(SKEW)..=now.saturating_add(SKEW);
    candidates.into_iter().find(|step| {
        let right = code_at(secret, *step);
        constant_time::verify_slices_are_equal(right.as_bytes(), code.as_bytes()).is_ok()
    })
}

/// The code of a time step (RFC 4226, 5.3).
pub(super) fn code_at(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0f);
    let number = bytes
        .get(offset..offset + 4)
        .and_then(|four| <[u8; 4]>::try_from(four).ok())
        .map_or(0, |four| u32::from_be_bytes(four) & 0x7fff_ffff);
    format!("{:06}", number % 1_000_000)
}

/// New recovery codes.
pub(super) fn recovery_codes(environment: &Environment) -> Result<Vec<String>> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let mut bytes = [0_u8; 10];
            environment.random.fill(&mut bytes).map_err(Error::random)?;
            let text = base32(&bytes).to_ascii_lowercase();
            let (one, other) = text.split_at(8);
            Ok(format!("{one}-{other}"))
        })
        .collect()
}

/// Under which hash a recovery code is kept; people may write it in any case, without the line.
pub(super) fn recovery_hash(code: &str) -> [u8; 32] {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    Sha256::digest(plain.to_ascii_lowercase().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last six digits of the vectors of RFC 6238, appendix B.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(secret, time / STEP_SEC), code);
            let now = Timestamp::from_second(i64::try_from(time).expect("small")).expect("a time");
            assert_eq!(step_of(secret, code, now), Some(time / STEP_SEC));
        }
    }

    #[test]
    fn a_code_is_good_for_its_neighbours_only() {
        let secret = b"12345678901234567890";
        let at = |second| Timestamp::from_second(second).expect("a time");
        let code = code_at(secret, 100);
        assert_eq!(step_of(secret, &code, at(99 * 30)), Some(100));
        assert_eq!(step_of(secret, &code, at(101 * 30 + 29)), Some(100));
        assert_eq!(step_of(secret, &code, at(102 * 30)), None);
        assert_eq!(step_of(secret, "", at(3000)), None);
        assert_eq!(step_of(secret, &code[..5], at(3000)), None);
    }

    #[test]
    fn a_recovery_code_may_be_written_carelessly() {
        assert_eq!(recovery_hash("abcdefgh-ijklmnop"), recovery_hash(" ABCDEFGH ijklmnop"));
        assert_ne!(recovery_hash("abcdefgh-ijklmnop"), recovery_hash("abcdefgh-ijklmnoq"));
    }
}
