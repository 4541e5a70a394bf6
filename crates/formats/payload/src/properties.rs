//! [`Properties`]: `payload_properties.txt`, which lies beside a payload.
//!
//! ```text
//! FILE_HASH=base64 of the SHA-256 of the whole payload
//! FILE_SIZE=2658
//! METADATA_HASH=base64 of the SHA-256 of header and manifest
//! METADATA_SIZE=281
//! ```
//! Lines for the update engine of Android may follow, such as `POWERWASH=1`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::Error;

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// What is known of a payload before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// SHA-256 of all of it.
    pub file_sha256: [u8; 32],
    /// How many bytes it has.
    pub file_size: u64,
    /// SHA-256 of header and manifest.
    pub metadata_sha256: [u8; 32],
    /// How many bytes these have.
    pub metadata_size: u64,
    /// The other lines, names and values.
    pub others: Vec<(String, String)>,
}

impl Properties {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Properties`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |problem: String| Error::Properties(problem);
        if text.len() > MAX_TEXT {
            return Err(bad("they are over 64 KiB".to_owned()));
        }
        let (mut file_sha256, mut file_size) = (None, None);
        let (mut metadata_sha256, mut metadata_size) = (None, None);
        let mut others = Vec::new();
        // Lines that end as those of Windows do, too.
        let lines = text.lines().map(|line| line.trim_end_matches('\r'));
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let (name, value) =
                line.split_once('=').ok_or_else(|| bad(format!("{line:?} is not NAME=VALUE")))?;
            let is_new = match name {
                "FILE_HASH" => file_sha256.replace(hash(name, value)?).is_none(),
                "FILE_SIZE" => file_size.replace(number(name, value)?).is_none(),
                "METADATA_HASH" => metadata_sha256.replace(hash(name, value)?).is_none(),
                "METADATA_SIZE" => metadata_size.replace(number(name, value)?).is_none(),
                _ => {
                    others.push((name.to_owned(), value.to_owned()));
                    true
                }
            };
            if !is_new {
                return Err(bad(format!("{name} is there twice")));
            }
        }
        let missing = |name: &str| bad(format!("there is no {name}"));
        Ok(Self {
            file_sha256: file_sha256.ok_or_else(|| missing("FILE_HASH"))?,
            file_size: file_size.ok_or_else(|| missing("FILE_SIZE"))?,
            metadata_sha256: metadata_sha256.ok_or_else(|| missing("METADATA_HASH"))?,
            metadata_size: metadata_size.ok_or_else(|| missing("METADATA_SIZE"))?,
            others,
        })
    }
}

fn hash(name: &str, value: &str) -> Result<[u8; 32], Error> {
    let bytes = BASE64.decode(value.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Error::Properties(format!("{name} is no SHA-256 in base64")))
}

fn number(name: &str, value: &str) -> Result<u64, Error> {
    let number = value.trim().parse();
    number.map_err(|_| Error::Properties(format!("{name} is no number")))
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "FILE_HASH={}", BASE64.encode(self.file_sha256))?;
        writeln!(f, "FILE_SIZE={}", self.file_size)?;
        writeln!(f, "METADATA_HASH={}", BASE64.encode(self.metadata_sha256))?;
        writeln!(f, "METADATA_SIZE={}", self.metadata_size)?;
        for (name, value) in &self.others {
            writeln!(f, "{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Properties;

    const TEXT: &str = "FILE_HASH=EgTYgwQHRHfppfPaEfc7QqThOWhSEnPsAJoBj/ZmE1s=\nFILE_SIZE=2658\n\
                        METADATA_HASH=KxKZuEYXj/AUY3Xj56xN/PqdCvzjH8QJHMUVlvJX8mE=\n\
                        METADATA_SIZE=281\nPOWERWASH=1\n";

    #[test]
    fn properties_read_back() {
        let read = Properties::parse(TEXT).unwrap();
        assert_eq!((read.file_size, read.metadata_size), (2658, 281));
        assert_eq!(read.file_sha256[..2], [0x12, 0x04]);
        assert_eq!(read.others, [("POWERWASH".to_owned(), "1".to_owned())]);
        assert_eq!(read.to_string(), TEXT);
        assert_eq!(
            Properties::parse(TEXT.replace('\n', "\r\n").trim_end_matches('\n')).unwrap(),
            read
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for line in TEXT.lines().take(4) {
            assert!(Properties::parse(&TEXT.replace(line, "")).is_err(), "without {line}");
            assert!(Properties::parse(&format!("{TEXT}{line}\n")).is_err(), "twice {line}");
        }
        assert!(Properties::parse(&TEXT.replace("2658", "-1")).is_err());
        assert!(Properties::parse(&TEXT.replace("EgTY", "EgT")).is_err());
        assert!(Properties::parse(&format!("{TEXT}nothing\n")).is_err());
        assert!(Properties::parse(&TEXT.repeat(1000)).is_err());
    }
}
