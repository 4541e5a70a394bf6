//! What is sent in one request: a part of a file, which is read again when the request is repeated.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use md5::{Digest as _, Md5};
use updraft_http::Body;

use crate::contents::section::Section;
use crate::error::{Error, Result};

/// A part of a file.
#[derive(Debug)]
pub(in crate::contents) struct Piece {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl Piece {
    pub(in crate::contents) fn new(file: &Arc<File>, start: u64, length: u64) -> Self {
        Self { file: Arc::clone(file), start, length }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Its MD5 as `Content-MD5` has it (RFC 1864), by which the store sees what was damaged on the
    /// way.
    pub(super) fn md5(&self) -> Result<String> {
        let mut section = Section::new(&self.file, self.start, self.length);
        let (mut hash, mut buffer) = (Md5::default(), vec![0; 64 << 10]);
        loop {
            let count = section.read(&mut buffer).map_err(broken)?;
            match buffer.get(..count).filter(|piece| !piece.is_empty()) {
                Some(piece) => hash.update(piece),
                None => break,
            }
        }
        Ok(encoded(hash))
    }

    pub(super) fn body(&self) -> Body {
        let (file, start, length) = (Arc::clone(&self.file), self.start, self.length);
        let open = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
            Ok(Box::new(Section::new(&file, start, length)))
        };
        Body::Reader { length, open: Arc::new(open) }
    }
}

/// The MD5 of a few bytes.
pub(super) fn md5_of(bytes: &[u8]) -> String {
    encoded(Md5::new_with_prefix(bytes))
}

fn encoded(hash: Md5) -> String {
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

fn broken(source: std::io::Error) -> Error {
    Error::Io { action: "read", path: "a file that is taken in".into(), source }
}
