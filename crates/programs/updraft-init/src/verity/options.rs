//! `systemd.verity_root_options=`: words with commas between.
//!
//! | word | meaning |
//! | --- | --- |
//! | `hash-offset=N` | the hashes begin at this byte of their device, with `veritysetup`'s superblock |
//! | `restart-on-corruption` | a block that is not what it was starts the machine again |
//! | `panic-on-corruption` | the kernel panics then |
//! | `ignore-zero-blocks` | blocks of zeros are not read at all |
//! | `check-at-most-once` | each block is checked when it is read first |
//!
//! (systemd, `veritytab(5)`.)

use crate::failure::{Failure, Result};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Where the hashes begin, in bytes.
    pub(super) hash_offset: u64,
    /// Optional parameters of the kernel's target.
    pub(super) features: Vec<&'static str>,
}

const FEATURES: [(&str, &str); 4] = [
    ("restart-on-corruption", "restart_on_corruption"),
    ("panic-on-corruption", "panic_on_corruption"),
    ("ignore-zero-blocks", "ignore_zero_blocks"),
    ("check-at-most-once", "check_at_most_once"),
];

impl Options {
    /// Reads them. What is not known is refused: it could have meant to demand more.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut options = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let feature = FEATURES.iter().find(|(name, _)| *name == word);
            let offset = word.strip_prefix("hash-offset=").and_then(|text| text.parse().ok());
            match (feature, offset) {
                (Some((_, feature)), _) => options.features.push(feature),
                (None, Some(offset)) => options.hash_offset = offset,
                (None, None) => {
                    let what = format!("systemd.verity_root_options={text}: `{word}` is not known");
                    return Err(Failure::new(what).way_out(
                        "use hash-offset=, restart-on-corruption, panic-on-corruption, \
                         ignore-zero-blocks and check-at-most-once",
                    ));
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_or_refused() {
        let options = Options::parse("hash-offset=8192,restart-on-corruption").unwrap();
        let features = vec!["restart_on_corruption"];
        assert_eq!(options, Options { hash_offset: 8192, features });
        assert_eq!(Options::parse("").unwrap(), Options::default());
        for wrong in ["ignore-corruption", "hash-offset=x", "hash-offset"] {
            let refused = Options::parse(wrong).unwrap_err();
            assert!(refused.what().contains(&format!("`{wrong}` is not known")), "{refused}");
        }
    }
}
