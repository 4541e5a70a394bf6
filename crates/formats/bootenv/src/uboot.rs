//! [`UbootEnv`]: U-Boot's environment as it lies on a disk, flash or in a file, once or twice.
//!
//! ```text
//! crc32    4 bytes, in the byte order of the device: over all that follows, but not the flag
//! flag     1 byte, only where there are two copies
//! data     name=value\0name=value\0…\0, then 0x00 or 0xff up to the size
//! ```
//!
//! Of two copies the one with the newer flag counts, unless it is damaged (U-Boot,
//! `env/common.c`, `env_check_redund`). So a write goes to the other one, and a power cut at any
//! moment leaves the environment as it was or as it is to be.

use std::collections::BTreeMap;

use crate::Error;

const WHAT: &str = "U-Boot environment";
const CRC_LEN: usize = 4;
/// What flash holds where nothing was written, and `mkenvimage` writes.
const PADDING: u8 = 0xff;
/// Real ones have 4 KiB to 256 KiB.
const MAX_SIZE: usize = 16 << 20;

/// How an environment is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UbootLayout {
    /// The bytes of one copy, CRC and flag included (`CONFIG_ENV_SIZE`).
    pub size: usize,
    /// Whether there are two copies, each with a flag (`CONFIG_SYS_REDUNDAND_ENVIRONMENT`).
    pub redundant: bool,
    /// Whether the device has its high bytes first.
    pub big_endian: bool,
}

impl UbootLayout {
    const fn header(self) -> usize {
        if self.redundant { CRC_LEN + 1 } else { CRC_LEN }
    }
}

/// The variables of an environment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UbootEnv {
    variables: BTreeMap<String, String>,
}

/// Which copy of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UbootCopy {
    /// The first.
    First,
    /// The second.
    Second,
}

/// An environment and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUbootEnv {
    /// The variables.
    pub environment: UbootEnv,
    /// The copy that counts.
    pub copy: UbootCopy,
    /// Its flag; 0 where there is one copy only.
    pub flag: u8,
    /// Whether the other copy is damaged: until it is written, no power cut may come.
    pub other_is_damaged: bool,
}

impl FoundUbootEnv {
    /// Which copy to write next, and the flag that makes it count.
    #[must_use]
    pub const fn next(&self) -> (UbootCopy, u8) {
        let copy = match self.copy {
            UbootCopy::First => UbootCopy::Second,
            UbootCopy::Second => UbootCopy::First,
        };
        (copy, self.flag.wrapping_add(1))
    }
}

impl UbootEnv {
    /// Reads the one copy of an environment.
    ///
    /// # Errors
    /// When it is damaged or not of this layout.
    pub fn parse(layout: UbootLayout, bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_copy(layout, bytes).map(|(environment, _)| environment)
    }

    /// Reads both copies of a redundant environment and chooses as U-Boot does.
    ///
    /// # Errors
    /// When both are damaged: U-Boot would use the environment that is compiled into it.
    pub fn choose(
        layout: UbootLayout,
        first: &[u8],
        second: &[u8],
    ) -> Result<FoundUbootEnv, Error> {
        let layout = UbootLayout { redundant: true, ..layout };
        let found = |(environment, flag), copy, other_is_damaged| FoundUbootEnv {
            environment,
            copy,
            flag,
            other_is_damaged,
        };
        match (Self::parse_copy(layout, first), Self::parse_copy(layout, second)) {
            (Ok(one), Ok(two)) => {
                // The flag is a counter that wraps around.
                let second_is_newer = match (one.1, two.1) {
                    (u8::MAX, 0) => true,
                    (0, u8::MAX) => false,
                    (one, two) => two > one,
                };
                Ok(if second_is_newer {
                    found(two, UbootCopy::Second, false)
                } else {
                    found(one, UbootCopy::First, false)
                })
            }
            (Ok(one), Err(_)) => Ok(found(one, UbootCopy::First, true)),
            (Err(_), Ok(two)) => Ok(found(two, UbootCopy::Second, true)),
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn parse_copy(layout: UbootLayout, bytes: &[u8]) -> Result<(Self, u8), Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        let header = layout.header();
        if layout.size > MAX_SIZE || layout.size <= header {
            return Err(bad("no real one has this size"));
        }
        let copy = bytes.get(..layout.size).ok_or_else(|| bad("it is cut short"))?;
        let (header, data) = copy.split_at(header);
        let crc = header.first_chunk().copied().unwrap_or_default();
        let crc = if layout.big_endian { u32::from_be_bytes(crc) } else { u32::from_le_bytes(crc) };
        if crc != crc32fast::hash(data) {
            return Err(bad("its checksum is wrong"));
        }
        let mut variables = BTreeMap::new();
        for variable in data.split(|byte| *byte == 0) {
            // An empty one is the end; behind it anything may lie.
            if variable.is_empty() {
                break;
            }
            let text = std::str::from_utf8(variable).map_err(|_| bad("it is no UTF-8 text"))?;
            let (name, value) = text.split_once('=').ok_or_else(|| bad("a variable has no `=`"))?;
            variables.insert(name.to_owned(), value.to_owned());
        }
        let flag = if layout.redundant { header.last().copied().unwrap_or_default() } else { 0 };
        Ok((Self { variables }, flag))
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a variable. An empty value removes it, as `setenv` does.
    ///
    /// # Errors
    /// When the name is empty, or name or value hold what the format cannot carry.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if name.is_empty() || name.contains(['=', '\0', '\n']) || value.contains('\0') {
            return Err(Error::Unwritable { key: name.to_owned() });
        }
        if value.is_empty() {
            self.variables.remove(name);
        } else {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// One copy, whole. The flag is used in redundant layouts only.
    ///
    /// # Errors
    /// When the variables do not fit.
    pub fn encode(&self, layout: UbootLayout, flag: u8) -> Result<Vec<u8>, Error> {
        let header = layout.header();
        let mut data = Vec::new();
        for (name, value) in &self.variables {
            data.extend_from_slice(format!("{name}={value}\0").as_bytes());
        }
        // An environment without variables has two ends as well: its first name is empty.
        data.push(0);
        if self.variables.is_empty() {
            data.push(0);
        }
        let needed = header + data.len();
        if needed > layout.size || layout.size > MAX_SIZE {
            return Err(Error::EnvironmentFull { what: WHAT, needed, size: layout.size });
        }
        data.resize(layout.size - header, PADDING);
        let crc = crc32fast::hash(&data);
        let crc = if layout.big_endian { crc.to_be_bytes() } else { crc.to_le_bytes() };
        let flag: &[u8] = if layout.redundant { &[flag] } else { &[] };
        Ok([&crc, flag, &data].concat())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{UbootCopy, UbootEnv, UbootLayout};

    const LAYOUT: UbootLayout = UbootLayout { size: 512, redundant: true, big_endian: false };

    fn with(value: &str) -> UbootEnv {
        let mut environment = UbootEnv::default();
        environment.set("bootcount", value).unwrap();
        environment
    }

    proptest! {
        #[test]
        fn variables_come_back(
            variables in proptest::collection::btree_map("[a-z_]{1,8}", "[ -~\n]{1,10}", 0..12),
            redundant in any::<bool>(),
            big_endian in any::<bool>(),
        ) {
            let layout = UbootLayout { redundant, big_endian, ..LAYOUT };
            let mut environment = UbootEnv::default();
            for (name, value) in &variables {
                environment.set(name, value).unwrap();
            }
            let bytes = environment.encode(layout, 9).unwrap();
            prop_assert_eq!(bytes.len(), layout.size);
            prop_assert_eq!(UbootEnv::parse(layout, &bytes).unwrap(), environment);
        }
    }

    #[test]
    fn the_newer_copy_counts_also_when_the_flag_wraps_around() {
        for (one, two, expected) in
            [(1, 0, "1"), (0, 1, "2"), (5, 5, "1"), (255, 0, "2"), (0, 255, "1")]
        {
            let first = with("1").encode(LAYOUT, one).unwrap();
            let second = with("2").encode(LAYOUT, two).unwrap();
            let found = UbootEnv::choose(LAYOUT, &first, &second).unwrap();
            assert_eq!(found.environment.get("bootcount"), Some(expected), "{one} {two}");
            assert!(!found.other_is_damaged);
        }
    }

    #[test]
    fn a_power_cut_at_any_byte_of_a_write_leaves_one_or_the_other() {
        let mut copies =
            [with("1").encode(LAYOUT, 255).unwrap(), with("0").encode(LAYOUT, 254).unwrap()];
        let found = UbootEnv::choose(LAYOUT, &copies[0], &copies[1]).unwrap();
        let (copy, flag) = found.next();
        assert_eq!((copy, flag), (UbootCopy::Second, 0));
        let new = with("2").encode(LAYOUT, flag).unwrap();
        let old = copies[1].clone();
        for cut in 0..=new.len() {
            copies[1] = [&new[..cut], &old[cut..]].concat();
            let found = UbootEnv::choose(LAYOUT, &copies[0], &copies[1]).unwrap();
            let value = found.environment.get("bootcount").unwrap();
            // Whole is either copy; torn is only the one that does not count yet.
            assert!(value == "1" || (value == "2" && copies[1] == new), "{cut}: {value}");
        }
    }

    #[test]
    fn what_is_damaged_or_does_not_fit_is_refused() {
        let bytes = with("1").encode(LAYOUT, 1).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            // The flag is the one byte that no checksum covers.
            assert_eq!(UbootEnv::parse(LAYOUT, &damaged).is_ok(), at == 4, "{at}");
            let found = UbootEnv::choose(LAYOUT, &damaged, &bytes).unwrap();
            assert_eq!(found.environment, with("1"));
            assert_eq!(found.other_is_damaged, at != 4);
        }
        assert!(UbootEnv::parse(LAYOUT, &bytes[..500]).is_err());
        assert!(UbootEnv::choose(LAYOUT, &[0; 512], &[0xff; 512]).is_err());
        assert!(with(&"x".repeat(600)).encode(LAYOUT, 0).unwrap_err().to_string().contains("512"));
        for (name, value) in [("", "a"), ("a=b", "c"), ("a", "b\0")] {
            assert!(UbootEnv::default().set(name, value).is_err());
        }
    }
}
