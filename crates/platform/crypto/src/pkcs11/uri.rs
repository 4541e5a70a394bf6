//! [`TokenUri`]: `pkcs11:token=NAME;object=NAME?pin-source=FILE` (RFC 7512).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Error;

/// The longest URI that is read.
const MAX_LENGTH: usize = 4096;
/// The longest PIN that is read from a file.
const MAX_PIN: usize = 1024;
/// Where modules lie that are known by their names.
const MODULE_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib/arm-linux-gnueabihf/pkcs11",
    "/usr/lib/riscv64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
];
/// The module that gives access to all others that the system knows.
const PROXY: &str = "p11-kit-proxy.so";

/// The name of an object in a token. Its `Debug` and `Display` forms leave the PIN out.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenUri {
    /// What is wanted of the library, slot, token and object, as the URI says.
    attributes: Vec<(Attribute, Vec<u8>)>,
    pin: Option<Pin>,
    module: Option<Module>,
    /// The URI without its query.
    shown: String,
}

/// What an object, its token or its module are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Token,
    Manufacturer,
    Serial,
    Model,
    LibraryManufacturer,
    LibraryDescription,
    LibraryVersion,
    SlotManufacturer,
    SlotDescription,
    SlotId,
    Object,
    Id,
    Type,
}

#[derive(Clone, PartialEq, Eq)]
enum Pin {
    Value(String),
    File(PathBuf),
}

#[derive(Clone, PartialEq, Eq)]
enum Module {
    Path(PathBuf),
    Name(String),
}

impl TokenUri {
    /// How such URIs begin.
    pub const SCHEME: &'static str = "pkcs11:";

    /// What the URI says of this attribute.
    pub(crate) fn get(&self, attribute: Attribute) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|(one, _)| *one == attribute);
        found.map(|(_, value)| value.as_slice())
    }

    /// The PIN, where one is named.
    pub(crate) fn pin(&self) -> Result<Option<String>, Error> {
        match &self.pin {
            None => Ok(None),
            Some(Pin::Value(pin)) => Ok(Some(pin.clone())),
            Some(Pin::File(path)) => {
                let failed = |problem: String| {
                    Error::token(format!("read the PIN in {}", path.display()), problem)
                };
                let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
                let pin = text.lines().next().unwrap_or_default();
                if pin.is_empty() || pin.len() > MAX_PIN {
                    return Err(failed("there is none in its first line".to_owned()));
                }
                Ok(Some(pin.to_owned()))
            }
        }
    }

    /// The library that talks to the token.
    pub(crate) fn module(&self) -> PathBuf {
        match &self.module {
            Some(Module::Path(path)) => path.clone(),
            Some(Module::Name(name)) => {
                let files = MODULE_FOLDERS.iter().flat_map(|folder| {
                    ["", "lib"].map(|lib| Path::new(folder).join(format!("{lib}{name}.so")))
                });
                let mut files = files.filter(|file| file.exists());
                // Where it is none of these, the system's loader may know it.
                files.next().unwrap_or_else(|| PathBuf::from(format!("{name}.so")))
            }
            None => PathBuf::from(PROXY),
        }
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenUri").field(&self.shown).finish()
    }
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem: String| Error::malformed("PKCS#11 URI", problem);
        let rest = text.strip_prefix(Self::SCHEME);
        let rest = rest.filter(|rest| rest.len() <= MAX_LENGTH);
        let rest = rest.ok_or_else(|| bad("it does not begin with pkcs11:".to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self {
            attributes: Vec::new(),
            pin: None,
            module: None,
            shown: format!("{}{path}", Self::SCHEME),
        };
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| bad(format!("{part:?} has no value")))?;
            let attribute = attribute(name)
                // What narrows the choice down must not be passed over.
                .ok_or_else(|| bad(format!("it has an unknown attribute {name:?}")))?;
            if uri.get(attribute).is_some() {
                return Err(bad(format!("it has {name:?} twice")));
            }
            uri.attributes.push((attribute, decode(value).map_err(bad)?));
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            // The PIN is in here: no message shows any of it.
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| bad("something after its ? has no value".to_owned()))?;
            let value = decode(value).map_err(|_| bad(format!("the value of {name}")))?;
            let value = String::from_utf8(value);
            let value = value.map_err(|_| bad(format!("the value of {name} is no text")))?;
            match name {
                "pin-value" => uri.pin = Some(Pin::Value(value)),
                "pin-source" => uri.pin = Some(pin_source(&value).map_err(bad)?),
                "module-path" => uri.module = Some(Module::Path(value.into())),
                "module-name" if !value.contains('/') => uri.module = Some(Module::Name(value)),
                "module-name" => return Err(bad("its module-name is a path".to_owned())),
                // What vendors add may be passed over (RFC 7512, 2.4).
                _ => {}
            }
        }
        Ok(uri)
    }
}

fn attribute(name: &str) -> Option<Attribute> {
    Some(match name {
        "token" => Attribute::Token,
        "manufacturer" => Attribute::Manufacturer,
        "serial" => Attribute::Serial,
        "model" => Attribute::Model,
        "library-manufacturer" => Attribute::LibraryManufacturer,
        "library-description" => Attribute::LibraryDescription,
        "library-version" => Attribute::LibraryVersion,
        "slot-manufacturer" => Attribute::SlotManufacturer,
        "slot-description" => Attribute::SlotDescription,
        "slot-id" => Attribute::SlotId,
        "object" => Attribute::Object,
        "id" => Attribute::Id,
        "type" => Attribute::Type,
        _ => return None,
    })
}

/// A file, as a path or a `file:` URI; programs are not started.
fn pin_source(value: &str) -> Result<Pin, String> {
    let path = value.strip_prefix("file:").unwrap_or(value);
    let path = path.strip_prefix("//").map_or(path, |path| {
        // An empty host, or this one (RFC 8089).
        path.strip_prefix("localhost").unwrap_or(path)
    });
    if path.starts_with('/') {
        Ok(Pin::File(path.into()))
    } else {
        Err("its pin-source is no absolute path".to_owned())
    }
}

/// Decodes what is percent-encoded.
fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        // The number reader would take a sign for a digit.
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("a % in it is not followed by two hexadecimal digits")?);
        rest = tail.get(2..).unwrap_or_default();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Attribute, TokenUri};

    #[test]
    fn names_of_tokens_and_objects_are_read() {
        let text = "pkcs11:token=My%20token;object=k;id=%01%ff;type=private?pin-value=12%3b4&x=y";
        let uri: TokenUri = text.parse().unwrap();
        assert_eq!(uri.get(Attribute::Token), Some(&b"My token"[..]));
        assert_eq!(uri.get(Attribute::Id), Some(&[1, 255][..]));
        assert_eq!(uri.pin().unwrap().as_deref(), Some("12;4"));
        assert_eq!(uri.module(), std::path::Path::new("p11-kit-proxy.so"));
        for shown in [format!("{uri}"), format!("{uri:?}")] {
            assert!(shown.contains("object=k") && !shown.contains("12"), "{shown}");
        }
        let uri: TokenUri = "pkcs11:?module-path=/a/b.so".parse().unwrap();
        assert_eq!(uri.module(), std::path::Path::new("/a/b.so"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "x",
            "pkcs11:token",
            "pkcs11:colour=red",
            "pkcs11:token=a;token=b",
            "pkcs11:id=%f",
            "pkcs11:id=%zz",
            "pkcs11:id=%+f",
            "pkcs11:?pin-source=file://localhostlocalhost/pin",
            "pkcs11:?pin-source=%7Ccat",
            "pkcs11:?pin-source=relative",
            "pkcs11:?module-name=../x",
        ] {
            assert!(text.parse::<TokenUri>().is_err(), "{text}");
        }
        let error = "pkcs11:?pin-value=%zz99".parse::<TokenUri>().unwrap_err().to_string();
        assert!(!error.contains("99"), "{error}");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]
    fn pins_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        for (content, expected) in [("1234\n", Some("1234")), ("ab\nc", Some("ab")), ("", None)] {
            std::fs::write(&path, content).unwrap();
            for prefix in ["", "file:", "file://"] {
                let text = format!("pkcs11:?pin-source={prefix}{}", path.display());
                let pin = text.parse::<TokenUri>().unwrap().pin();
                assert_eq!(pin.ok().flatten().as_deref(), expected);
            }
        }
    }
}
