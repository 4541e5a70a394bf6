//! Room for what is to be fetched, looked at before it is fetched.

use std::os::fd::AsFd;

use updraft_error::Kind;
use updraft_fs::space;
use updraft_update::StepError;

/// Bytes that stay free whatever the watermark says, as with aktualizr.
const RESERVE: u64 = 1 << 20;

/// Fails when `needed` more bytes would fill the file system of `folder` beyond `watermark`
/// percent, or to its last mebibyte.
pub(crate) fn check(folder: impl AsFd, needed: u64, watermark: u8) -> Result<(), StepError> {
    let space = space::of(folder).map_err(StepError::new)?;
    let has_to_stay = stays_free(space.total, watermark);
    if needed.saturating_add(has_to_stay) < space.available {
        return Ok(());
    }
    Err(StepError::message(
        Kind::Exhausted,
        format!(
            "find room: {needed} bytes are needed and {has_to_stay} have to stay free, {} are there",
            space.available
        ),
    ))
}

fn stays_free(total: u64, watermark: u8) -> u64 {
    let percent = u64::from(100_u8.saturating_sub(watermark));
    (total / 100).saturating_mul(percent).max(RESERVE)
}

#[cfg(test)]
mod tests {
    use updraft_error::Classify as _;

    use super::*;

    #[test]
    fn the_watermark_keeps_a_share_and_never_less_than_the_reserve() {
        assert_eq!(stays_free(1_000_000_000, 95), 50_000_000);
        assert_eq!(stays_free(1_000_000_000, 100), RESERVE);
        assert_eq!(stays_free(1000, 0), RESERVE);
    }

    #[test]
    fn what_does_not_fit_is_refused_as_exhausted() {
        let folder = std::fs::File::open(std::env::temp_dir()).unwrap();
        check(&folder, 0, 100).unwrap();
        let error = check(&folder, u64::MAX - 1, 100).unwrap_err();
        assert_eq!(error.kind(), Kind::Exhausted);
    }
}
