//! [`Keyring`]: the public keys that signatures are checked with.

use std::io::Read as _;

use pgp::armor::Dearmor;
use pgp::composed::{SignedPublicKey, SignedPublicKeyParser};
use pgp::packet::{PacketParser, PacketTrait as _};
use pgp::ser::Serialize as _;
use pgp::types::Tag;

use crate::certificate::Certificate;
use crate::{Error, KeyListing, keybox};

/// The largest keyring that is read, in bytes.
pub const MAX_KEYRING: usize = 16 << 20;
/// An armored file holds at most this many blocks.
const MAX_BLOCKS: usize = 1000;
const BEGIN: &[u8] = b"-----BEGIN PGP ";

/// Public keys from any number of files. A key that comes twice is merged, so that a revocation
/// known to one of them counts.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

impl Keyring {
    /// A keyring without keys.
    #[must_use]
    pub const fn new() -> Self {
        Self { certificates: Vec::new() }
    }

    /// The keys in `bytes`: binary, armored, or a keybox.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut keyring = Self::new();
        if bytes.len() > MAX_KEYRING {
            let (size, limit) = (bytes.len(), MAX_KEYRING);
            return Err(Error::TooLarge { what: "OpenPGP keys", size, limit });
        }
        if keybox::is_keybox(bytes) {
            for key in keybox::keys(bytes)? {
                keyring.add_packets(key)?;
            }
        } else if is_armored(bytes) {
            for block in armored_blocks(bytes) {
                keyring.add_packets(&dearmored(block, MAX_KEYRING)?)?;
            }
        } else {
            keyring.add_packets(bytes)?;
        }
        Ok(keyring)
    }

    /// Adds the keys of another. Gives the number of those that are new here.
    pub fn merge(&mut self, other: Self) -> usize {
        let before = self.certificates.len();
        for certificate in other.certificates {
            self.add(certificate);
        }
        self.certificates.len() - before
    }

    /// Only the keys that one of these names means: fingerprints or key ids, of primary keys or
    /// subkeys, in hexadecimal digits.
    #[must_use]
    pub fn selected(&self, names: &[String]) -> Self {
        let named = |certificate: &&Certificate| {
            names.iter().any(|name| certificate.is_called(name.as_str()))
        };
        Self { certificates: self.certificates.iter().filter(named).cloned().collect() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// How many keys there are, subkeys not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// What people are told about the keys. `now` is in seconds since 1970.
    #[must_use]
    pub fn list(&self, now: u64) -> Vec<KeyListing> {
        self.certificates.iter().map(|certificate| KeyListing::new(certificate, now)).collect()
    }

    /// The keys as a binary keyring.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for certificate in &self.certificates {
            certificate.key().to_writer(&mut bytes).map_err(|error| bad(&error))?;
        }
        Ok(bytes)
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn add(&mut self, certificate: Certificate) {
        let fingerprint = certificate.fingerprint();
        match self.certificates.iter_mut().find(|have| have.fingerprint() == fingerprint) {
            Some(have) => have.merge(certificate),
            None => self.certificates.push(certificate),
        }
    }

    fn add_packets(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // GnuPG's own notes on trust stand between the packets of old keyrings.
        let packets = PacketParser::new(bytes).filter(|packet| {
            packet.as_ref().map_or_else(
                |error| !matches!(error, pgp::errors::Error::Unsupported { .. }),
                |packet| !matches!(packet.tag(), Tag::Trust | Tag::Marker | Tag::Padding),
            )
        });
        for key in SignedPublicKeyParser::from_packets(packets.peekable()) {
            let key: SignedPublicKey = key.map_err(|error| bad(&error))?;
            if let Some(certificate) = Certificate::new(key) {
                self.add(certificate);
            }
        }
        Ok(())
    }
}

fn bad(error: &pgp::errors::Error) -> Error {
    Error::BadKeys { reason: error.to_string() }
}

/// Whether the bytes are text with an armored block.
pub(crate) fn is_armored(bytes: &[u8]) -> bool {
    // Every binary packet begins with the highest bit set.
    bytes.first().is_some_and(|first| first & 0x80 == 0) && find(bytes, BEGIN).is_some()
}

/// The bytes inside of an armored block.
pub(crate) fn dearmored(block: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let reader = Dearmor::new(block);
    reader
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::BadKeys { reason: error.to_string() })?;
    Ok(bytes)
}

/// Where each armored block begins; the last goes to the end.
fn armored_blocks(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    while let Some(start) = find(bytes, BEGIN).filter(|_| blocks.len() < MAX_BLOCKS) {
        let rest = bytes.get(start..).unwrap_or_default();
        let after = rest.get(BEGIN.len()..).unwrap_or_default();
        let end = find(after, BEGIN).map_or(rest.len(), |next| next + BEGIN.len());
        blocks.push(rest.get(..end).unwrap_or_default());
        bytes = rest.get(end..).unwrap_or_default();
    }
    blocks
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
