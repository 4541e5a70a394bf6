//! Names of files inside a directory.

use std::borrow::Borrow;
use std::fmt;
use std::fmt::Write as _;

use crate::Error;

/// A valid name of a directory entry: UTF-8, not empty, not `.` or `..`, without `/` and NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Checks a text.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let reason = match name.as_str() {
            "" => "Invalid empty filename".to_owned(),
            "." => "Invalid self-referential filename '.'".to_owned(),
            ".." => "Invalid path uplink filename '..'".to_owned(),
            _ if name.contains('/') => format!("Invalid / in filename {name}"),
            _ if name.contains('\0') => "Invalid NUL in filename".to_owned(),
            _ => return Ok(Self(name)),
        };
        Err(Error::InvalidFileName { reason })
    }

    /// Checks the bytes of a name as the file system gives them.
    pub fn from_bytes(name: &[u8]) -> Result<Self, Error> {
        Self::new(utf8(name)?)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for FileName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for FileName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text in `bytes`, or [`Error::NotUtf8`] with the offending bytes escaped.
pub(crate) fn utf8(bytes: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
        let mut escaped = String::new();
        for chunk in bytes.utf8_chunks() {
            escaped.push_str(chunk.valid());
            for byte in chunk.invalid() {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\x{byte:02x}");
            }
        }
        Error::NotUtf8 { escaped }
    })
}

#[cfg(test)]
mod tests {
    use super::FileName;

    #[test]
    fn refuses_what_is_no_name() {
        for bad in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(FileName::new(bad).is_err(), "{bad:?}");
        }
        assert!(FileName::new("…").is_ok());
        let error = FileName::from_bytes(b"caf\xe9").unwrap_err().to_string();
        assert!(error.contains("caf\\xe9"), "{error}");
    }
}
