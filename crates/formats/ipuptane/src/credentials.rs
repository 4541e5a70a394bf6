//! What `downloadOstreeRev` carries: where a commit is, and who may fetch it.
//!
//! An archive as aktualizr packs it (`tar` in `gzip`; it reads any that libarchive knows), with
//! four files:
//!
//! ```text
//! ca.pem      the authority of the server
//! client.pem  the vehicle's certificate
//! pkey.pem    its private key
//! server.url  the address of the OSTree repository
//!
//! tar: headers of 512 bytes, each followed by content that is filled up to 512
//!      0 name[100]  124 size[12], octal  148 checksum[8]  156 type  257 "ustar"
//! ```
//! Entries of other types (extended headers, folders) are passed over.

use std::fmt;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::Error;

/// The largest archive, unpacked, in bytes: four small files with room to spare.
const MAX_ARCHIVE: u64 = 1 << 20;
const BLOCK: usize = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where a commit is, and who may fetch it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OstreeCredentials {
    /// The authority of the server, PEM.
    pub ca_pem: Vec<u8>,
    /// The vehicle's certificate, PEM.
    pub certificate_pem: Vec<u8>,
    /// Its private key, PEM.
    pub private_key_pem: Vec<u8>,
    /// The address of the OSTree repository.
    pub server: String,
}

impl fmt::Debug for OstreeCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OstreeCredentials").field("server", &self.server).finish_non_exhaustive()
    }
}

impl OstreeCredentials {
    /// The archive.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        append(&mut archive, "ca.pem", &self.ca_pem);
        append(&mut archive, "client.pem", &self.certificate_pem);
        append(&mut archive, "pkey.pem", &self.private_key_pem);
        append(&mut archive, "server.url", self.server.as_bytes());
        archive.resize(archive.len().saturating_add(2 * BLOCK), 0);
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let written = packed.write_all(&archive).and_then(|()| packed.finish());
        // Memory takes whatever is written to it.
        written.unwrap_or_default()
    }

    /// Reads an archive, with or without `gzip`. A file that is not there is empty.
    ///
    /// # Errors
    /// [`Error`], when it is no such archive or names no server.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let archive = unpack(bytes)?;
        let mut credentials = Self::default();
        let mut rest = archive.as_slice();
        while let Some((name, content, after)) = entry(rest)? {
            rest = after;
            match name {
                b"ca.pem" => credentials.ca_pem = content.to_vec(),
                b"client.pem" => credentials.certificate_pem = content.to_vec(),
                b"pkey.pem" => credentials.private_key_pem = content.to_vec(),
                b"server.url" => credentials.server = address(content)?,
                _ => {}
            }
        }
        if credentials.server.is_empty() {
            return Err(Error::malformed("server.url", "there is none"));
        }
        Ok(credentials)
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut archive = Vec::new();
    let limit = MAX_ARCHIVE.saturating_add(1);
    if bytes.starts_with(&GZIP) {
        GzDecoder::new(bytes)
            .take(limit)
            .read_to_end(&mut archive)
            .map_err(|_| Error::malformed("tlsCred", "it cannot be unpacked"))?;
    } else {
        archive.extend_from_slice(bytes);
    }
    if archive.len() as u64 > MAX_ARCHIVE {
        return Err(Error::TooLong { limit: usize::try_from(MAX_ARCHIVE).unwrap_or(usize::MAX) });
    }
    Ok(archive)
}

/// The next regular file: its name, its content, and what follows.
#[allow(clippy::type_complexity, reason = "three slices of one archive")]
fn entry(mut rest: &[u8]) -> Result<Option<(&[u8], &[u8], &[u8])>, Error> {
    loop {
        let Some((header, after)) = rest.split_at_checked(BLOCK) else { return Ok(None) };
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let size = octal(header.get(124..136).unwrap_or_default())
            .ok_or(Error::malformed("tlsCred", "a size in it is none"))?;
        let padded = size.div_ceil(BLOCK).saturating_mul(BLOCK);
        let content = after.get(..size).ok_or(Error::Truncated)?;
        // Some writers leave out the end of the last block.
        rest = after.get(padded..).unwrap_or_default();
        let kind = header.get(156).copied().unwrap_or_default();
        if matches!(kind, b'0' | 0) {
            let name = header.get(..100).unwrap_or_default();
            let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            let name = name.get(..length).unwrap_or_default();
            return Ok(Some((name.strip_prefix(b"./").unwrap_or(name), content, rest)));
        }
    }
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn address(content: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(content).ok().map(str::trim);
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.map(str::to_owned).ok_or(Error::malformed("server.url", "it is no address"))
}

fn append(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    let size = format!("{:011o}\0", content.len());
    let fields: [(usize, &[u8]); 8] = [
        (0, name.as_bytes()),
        (100, b"0000600\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, size.as_bytes()),
        (136, b"00000000000\0"),
        // The checksum is reckoned with blanks in its place.
        (148, b"        "),
        (156, b"0"),
    ];
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (into, byte) in header.iter_mut().skip(at).zip(bytes) {
            *into = *byte;
        }
    };
    for (at, bytes) in fields {
        put(at, bytes);
    }
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (into, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *into = byte;
    }
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    let padded = archive.len().div_ceil(BLOCK).saturating_mul(BLOCK);
    archive.resize(padded, 0);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn some() -> OstreeCredentials {
        OstreeCredentials {
            ca_pem: b"authority".to_vec(),
            certificate_pem: vec![b'c'; 1500],
            private_key_pem: b"key".to_vec(),
            server: "https://ota.example:8443/treehub".to_owned(),
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_by_us_and_by_tar() {
        let packed = some().encode();
        assert_eq!(OstreeCredentials::decode(&packed).unwrap(), some());
        assert!(!format!("{:?}", some()).contains("key"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), &packed).unwrap();
        let tar = |arguments: &[&str]| {
            let done = Command::new("tar").args(arguments).current_dir(folder.path()).status();
            assert!(done.unwrap().success(), "{arguments:?}");
        };
        tar(&["-xzf", "a"]);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("client.pem"), some().certificate_pem);
        assert_eq!(read("server.url"), some().server.as_bytes());
        // With extended headers, as aktualizr writes them, and without `gzip`.
        let files = ["ca.pem", "client.pem", "pkey.pem", "server.url"];
        for (name, options) in [("pax", ["--format=pax", "-czf"]), ("raw", ["--format=pax", "-cf"])]
        {
            tar(&[&options[..], &[name], &files[..]].concat());
            assert_eq!(OstreeCredentials::decode(&read(name)).unwrap(), some(), "{name}");
        }
    }

    #[test]
    fn what_is_no_such_archive_is_refused() {
        let nameless = OstreeCredentials { server: String::new(), ..some() };
        let spaced = OstreeCredentials { server: "two words".to_owned(), ..some() };
        let packed = some().encode();
        let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
        bomb.write_all(&vec![0; 4 << 20]).unwrap();
        let bad = [
            Vec::new(),
            b"nonsense".to_vec(),
            nameless.encode(),
            spaced.encode(),
            packed[..packed.len() / 2].to_vec(),
            bomb.finish().unwrap(),
            vec![b'9'; 2048],
        ];
        for (number, bytes) in bad.iter().enumerate() {
            assert!(OstreeCredentials::decode(bytes).is_err(), "{number}");
        }
    }
}
