//! Names of deltas: `FROM-TO` or `TO` for people, `deltas/AB/REST` on disk.
//!
//! Those of Updraft's own format are `updraft:FROM-TO` and `updraft-deltas/AB/REST`, so that
//! nobody takes one for the other.
//!
//! On disk a checksum is base64 with `_` for `/` and without padding, 43 characters. The folder is
//! split after the first two characters of the whole.

use std::fmt;
use std::str::FromStr;

use crate::{Checksum, Error, Summary};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";
/// Characters of one checksum.
const ENCODED_LEN: usize = 43;
/// Characters of the folder's name.
const PREFIX_LEN: usize = 2;

/// What the parts of a delta are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeltaFormat {
    /// Those of libostree's static deltas.
    #[default]
    Ostree,
    /// Our own, which are smaller.
    Updraft,
}

impl DeltaFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ostree, Self::Updraft];
    /// Metadata key of a superblock: the version of our own format (`y`).
    pub const KEY: &'static str = "updraft.delta-format";
    /// The version that is written and understood.
    pub const VERSION: u8 = 1;

    /// The folder of a repository in which such deltas are.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Ostree => "deltas",
            Self::Updraft => "updraft-deltas",
        }
    }

    /// The key of summaries and index files under which such deltas are listed.
    #[must_use]
    pub const fn list_key(self) -> &'static str {
        match self {
            Self::Ostree => Summary::STATIC_DELTAS,
            Self::Updraft => "updraft.static-deltas",
        }
    }

    /// The version of such parts. libostree refuses all but 0.
    #[must_use]
    pub const fn part_version(self) -> u32 {
        match self {
            Self::Ostree => 0,
            Self::Updraft => u32::from_be_bytes(*b"UPD\x01"),
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Ostree => "",
            Self::Updraft => "updraft:",
        }
    }
}

/// Which commit a delta starts from, and which it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaName {
    /// The commit that the receiver must have; `None` for a delta from nothing.
    pub from: Option<Checksum>,
    /// The commit that it leads to.
    pub to: Checksum,
    /// What its parts are.
    pub format: DeltaFormat,
}

impl DeltaName {
    /// The static delta between these commits.
    #[must_use]
    pub const fn new(from: Option<Checksum>, to: Checksum) -> Self {
        Self { from, to, format: DeltaFormat::Ostree }
    }

    /// The delta between the same commits in this format.
    #[must_use]
    pub const fn in_format(self, format: DeltaFormat) -> Self {
        Self { format, ..self }
    }

    /// Its folder, relative to the repository: `deltas/AB/REST`.
    #[must_use]
    pub fn path(&self) -> String {
        let name = match &self.from {
            Some(from) => format!("{}-{}", encode(from), encode(&self.to)),
            None => encode(&self.to),
        };
        let (prefix, rest) = name.split_at(PREFIX_LEN);
        format!("{}/{prefix}/{rest}", self.format.folder())
    }

    /// Its superblock, relative to the repository.
    #[must_use]
    pub fn superblock_path(&self) -> String {
        format!("{}/superblock", self.path())
    }

    /// Its part of this number, relative to the repository.
    #[must_use]
    pub fn part_path(&self, number: usize) -> String {
        format!("{}/{number}", self.path())
    }

    /// The key under which its superblock holds what is kept beside the commit.
    #[must_use]
    pub fn commit_meta_key(&self) -> String {
        format!("{}/commitmeta", self.path())
    }

    /// The static delta that lies in the folder `deltas/PREFIX/REST`.
    pub fn from_folder(prefix: &str, rest: &str) -> Result<Self, Error> {
        let name = format!("{prefix}{rest}");
        if prefix.len() != PREFIX_LEN {
            return Err(invalid(&name));
        }
        match name.split_once('-') {
            Some((from, to)) => Ok(Self::new(Some(decode(from)?), decode(to)?)),
            None => Ok(Self::new(None, decode(&name)?)),
        }
    }

    /// The file of the index of all deltas to `to`: `delta-indexes/AB/REST.index`.
    #[must_use]
    pub fn index_path(to: &Checksum) -> String {
        let name = encode(to);
        let (prefix, rest) = name.split_at(PREFIX_LEN);
        format!("delta-indexes/{prefix}/{rest}.index")
    }

    /// The target of the index in the file `delta-indexes/PREFIX/NAME`.
    pub fn index_target(prefix: &str, name: &str) -> Result<Checksum, Error> {
        let rest = name.strip_suffix(".index").ok_or_else(|| invalid(name))?;
        decode(&format!("{prefix}{rest}"))
    }
}

impl fmt::Display for DeltaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format.prefix())?;
        match &self.from {
            Some(from) => write!(f, "{from}-{}", self.to),
            None => write!(f, "{}", self.to),
        }
    }
}

impl FromStr for DeltaName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (format, text) = match text.strip_prefix(DeltaFormat::Updraft.prefix()) {
            Some(text) => (DeltaFormat::Updraft, text),
            None => (DeltaFormat::Ostree, text),
        };
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (Some(from.parse()?), to.parse()?),
            None => (None, text.parse()?),
        };
        Ok(Self { from, to, format })
    }
}

fn invalid(text: &str) -> Error {
    Error::name("the name of a delta", text, "it is not the base64 of checksums")
}

/// 43 characters for 32 bytes.
fn encode(checksum: &Checksum) -> String {
    let mut text = String::with_capacity(ENCODED_LEN);
    for group in checksum.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'A')));
        }
    }
    text
}

fn decode(text: &str) -> Result<Checksum, Error> {
    if text.len() != ENCODED_LEN {
        return Err(invalid(text));
    }
    let mut bytes = [0; Checksum::LEN];
    let mut at = 0;
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let digit = ALPHABET.iter().position(|c| c == byte).ok_or_else(|| invalid(text))?;
            bits = (bits << 6) | u32::try_from(digit).unwrap_or(0);
        }
        let bits = bits << (6 * (4 - group.len()));
        let [_, decoded @ ..] = bits.to_be_bytes();
        for byte in decoded.iter().take(group.len() - 1) {
            *bytes.get_mut(at).ok_or_else(|| invalid(text))? = *byte;
            at += 1;
        }
    }
    let checksum = Checksum::from_bytes(bytes);
    // Bits that no byte holds must be zero, or one delta would have several names.
    if encode(&checksum) == text { Ok(checksum) } else { Err(invalid(text)) }
}

#[cfg(test)]
mod tests {
    use super::DeltaName;
    use crate::Checksum;

    const FROM: &str = "ec5f2fb4fb22ff86696e820db6159c6b9072eb5759527ada37a4dd8f75f9fecb";
    const TO: &str = "584521cd02b92635800a849d3d4f681d9182c16f9f0d5404d48bbc38e59f331a";

    #[test]
    fn names_are_those_of_libostree() {
        let (from, to): (Checksum, Checksum) = (FROM.parse().unwrap(), TO.parse().unwrap());
        let both = "deltas/7F/8vtPsi_4ZpboINthWca5By61dZUnraN6Tdj3X5_ss-\
                    WEUhzQK5JjWACoSdPU9oHZGCwW+fDVQE1Iu8OOWfMxo";
        let name = DeltaName::new(Some(from), to);
        assert_eq!(name.path(), both);
        assert_eq!(
            DeltaName::new(None, from).path(),
            "deltas/7F/8vtPsi_4ZpboINthWca5By61dZUnraN6Tdj3X5_ss"
        );
        let index = "delta-indexes/WE/UhzQK5JjWACoSdPU9oHZGCwW+fDVQE1Iu8OOWfMxo.index";
        assert_eq!(DeltaName::index_path(&to), index);
        assert_eq!(DeltaName::index_target("WE", &index[17..]).unwrap(), to);
        assert_eq!(DeltaName::from_folder("7F", &both[10..]).unwrap(), name);
        assert_eq!(name.to_string(), format!("{FROM}-{TO}"));
        assert_eq!(name.to_string().parse::<DeltaName>().unwrap(), name);
    }

    #[test]
    fn other_names_are_refused() {
        for (prefix, rest) in [
            ("", ""),
            ("7F", "x"),
            ("7", "F8vtPsi_4ZpboINthWca5By61dZUnraN6Tdj3X5_ss"),
            ("7F", "8vtPsi/4ZpboINthWca5By61dZUnraN6Tdj3X5_ss"),
            ("7F", "8vtPsi_4ZpboINthWca5By61dZUnraN6Tdj3X5_st"),
            ("é", "8vtPsi_4ZpboINthWca5By61dZUnraN6Tdj3X5_ss"),
        ] {
            assert!(DeltaName::from_folder(prefix, rest).is_err(), "{prefix}{rest}");
        }
        assert!(format!("{FROM}-").parse::<DeltaName>().is_err());
    }
}
