//! Requests and answers, and their frames.

use std::fmt;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use updraft_tuf::KeyType;
use zeroize::{Zeroize as _, Zeroizing};

use crate::remote::Scheme;

/// The longest frame, in bytes: far above any certificate chain or message that is signed.
const MAX_FRAME: u32 = 1 << 20;

/// What is asked of a helper. It has no `Debug` form, for URIs may hold a PIN.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the module's documentation has them all")]
pub enum Request {
    Describe { uri: String },
    Certificates { uri: String },
    Sign { uri: String, scheme: Scheme, message: String },
    Open { uri: String, wrapped: String },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the module's documentation has them all")]
pub enum Answer {
    Key { key_type: String, public: String, spki: String },
    Certificates { pem: String },
    Signature { bytes: String },
    Opened { key: Option<Secret> },
    Failed { operation: String, problem: String, kind: String },
}

/// The key of an image, in hex. It is wiped when it is dropped, and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[cfg(feature = "pkcs11")]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }

    pub(crate) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(vec![0; self.0.len() / 2]);
        hex::decode_to_slice(&self.0, &mut bytes).ok().map(|()| bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Request {
    /// Reads one request; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream breaks off or holds something else.
    pub fn read(from: &mut (impl Read + ?Sized)) -> io::Result<Option<Self>> {
        read(from)
    }

    /// Writes this request.
    ///
    /// # Errors
    /// What the stream says.
    pub fn write(&self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        write(self, to)
    }
}

impl Answer {
    /// Reads one answer; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream breaks off or holds something else.
    pub fn read(from: &mut (impl Read + ?Sized)) -> io::Result<Option<Self>> {
        read(from)
    }

    /// Writes this answer.
    ///
    /// # Errors
    /// What the stream says.
    pub fn write(&self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        write(self, to)
    }
}

fn read<T: DeserializeOwned>(from: &mut (impl Read + ?Sized)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    // Only between two frames may the stream end.
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length);
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Room for all of it at once, so that nothing of an opened key stays behind in smaller rooms.
    let mut frame = Zeroizing::new(Vec::with_capacity(room(length)));
    from.take(u64::from(length)).read_to_end(&mut frame)?;
    if frame.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Its own error would show what it could not read.
    serde_json::from_slice(&frame).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn write<T: Serialize>(value: &T, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut frame = Zeroizing::new(Vec::with_capacity(room(0)));
    frame.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *frame, value).map_err(|_| io::ErrorKind::InvalidData)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= MAX_FRAME);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    if let Some(place) = frame.first_chunk_mut() {
        *place = length.to_be_bytes();
    }
    to.write_all(&frame)?;
    to.flush()
}

/// How much room a frame is given: what an opened key needs is less.
fn room(length: u32) -> usize {
    usize::try_from(length).unwrap_or_default().max(1024)
}

/// The name of a key type in answers.
#[cfg(feature = "pkcs11")]
pub(crate) fn key_type_name(key_type: KeyType) -> &'static str {
    KEY_TYPES.iter().find(|(_, known)| *known == key_type).map_or("", |(name, _)| name)
}

/// The key type of this name.
pub(crate) fn key_type_of(name: &str) -> Option<KeyType> {
    KEY_TYPES.iter().find(|(known, _)| *known == name).map(|(_, key_type)| *key_type)
}

const KEY_TYPES: [(&str, KeyType); 3] =
    [("ed25519", KeyType::Ed25519), ("ecdsa-p256", KeyType::EcdsaP256), ("rsa", KeyType::Rsa)];

#[cfg(test)]
mod tests {
    use super::{Answer, Request, Secret};
    use crate::Scheme;

    #[test]
    fn frames_come_back_as_they_were() {
        let request = Request::Sign {
            uri: "pkcs11:id=%01?pin-value=1234".to_owned(),
            scheme: Scheme::RsaPss,
            message: "00ff".to_owned(),
        };
        let answer = Answer::Key {
            key_type: "rsa".to_owned(),
            public: "00".to_owned(),
            spki: "01".to_owned(),
        };
        let mut bytes = Vec::new();
        request.write(&mut bytes).unwrap();
        answer.write(&mut bytes).unwrap();
        let mut stream = &bytes[..];
        assert!(Request::read(&mut stream).unwrap() == Some(request));
        assert_eq!(Answer::read(&mut stream).unwrap(), Some(answer));
        assert_eq!(Answer::read(&mut stream).unwrap(), None);
    }

    #[test]
    fn an_opened_key_is_never_shown() {
        let answer = Answer::Opened { key: Some(Secret("00ff".to_owned())) };
        assert_eq!(format!("{answer:?}"), "Opened { key: Some(Secret) }");
        let mut bytes = Vec::new();
        answer.write(&mut bytes).unwrap();
        assert_eq!(Answer::read(&mut &bytes[..]).unwrap(), Some(answer));
        assert_eq!(*Secret("00ff".to_owned()).bytes().unwrap(), [0, 255]);
        assert!(Secret("00f".to_owned()).bytes().is_none());
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        for bytes in [
            &b"\0"[..],
            b"\0\0\0\x05{}",
            b"\0\0\0\x02{}",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x10{\"describe\":{\"x\"",
        ] {
            assert!(Request::read(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }
}
