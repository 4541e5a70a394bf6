//! Downloading into a file, and going on with what an earlier process left there.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use updraft_task::{Context, Event, Unit};

use crate::error::shown;
use crate::{Client, Error, Result, StreamOptions};

const BUFFER: usize = 64 << 10;

/// What a download has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Exactly this many bytes.
    pub length: Option<u64>,
    /// With this SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// How to download.
#[derive(Debug, Clone, Copy)]
pub struct DownloadOptions {
    /// The largest file that is accepted, in bytes, when its length is not known.
    pub limit: u64,
    /// The phase that progress is reported as; bytes are counted.
    pub phase: &'static str,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self { limit: 1 << 40, phase: "downloading" }
    }
}

/// What a finished download was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes of the file.
    pub length: u64,
    /// Bytes that were there before.
    pub resumed_at: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}

impl Client {
    /// Makes `file` the content of `url`, which must be as `expected`.
    ///
    /// What is in the file already is taken as the beginning and verified with the rest; if that
    /// turns out wrong, it is thrown away and fetched anew, once. A file that is not as expected
    /// is emptied. Nothing is durable until the caller syncs the file.
    pub fn download(
        &self,
        ctx: &Context,
        url: &str,
        file: &mut File,
        expected: Expected,
        options: DownloadOptions,
    ) -> Result<Downloaded> {
        let local = |source| Error::Local { url: shown(url), source };
        let present = file.metadata().map_err(local)?.len();
        match self.attempt(ctx, url, file, expected, options) {
            Err(Error::Mismatch { .. } | Error::TooLarge { .. }) if present > 0 => {
                file.set_len(0).map_err(local)?;
                self.attempt(ctx, url, file, expected, options)
            }
            other => other,
        }
        .inspect_err(|error| {
            if matches!(error, Error::Mismatch { .. } | Error::TooLarge { .. }) {
                // Nobody may take it for a good beginning.
                let _ = file.set_len(0);
            }
        })
    }

    fn attempt(
        &self,
        ctx: &Context,
        url: &str,
        file: &mut File,
        expected: Expected,
        options: DownloadOptions,
    ) -> Result<Downloaded> {
        let local = |source| Error::Local { url: shown(url), source };
        let mut hash = Sha256::new();
        let resumed_at = hash_present(ctx, file, &mut hash).map_err(|error| match error {
            HashError::Io(source) => local(source),
            HashError::Cancelled(cancelled) => cancelled.into(),
        })?;
        let limit = expected.length.unwrap_or(options.limit);
        let phase = options.phase;
        let mut length = resumed_at;
        ctx.report(&Event::Started { phase, total: expected.length, unit: Unit::Bytes });
        if expected.length != Some(resumed_at) {
            let mut stream = self
                .stream(ctx, url, StreamOptions { limit, offset: resumed_at })?
                .ok_or_else(|| Error::Status { url: shown(url), status: 404, detail: None })?;
            let total = expected.length.or(stream.length());
            let mut buffer = vec![0; BUFFER];
            loop {
                let read = stream.read_typed(&mut buffer)?;
                if read == 0 {
                    break;
                }
                let chunk = buffer.get(..read).unwrap_or_default();
                hash.update(chunk);
                file.write_all(chunk).map_err(local)?;
                length += read as u64;
                ctx.report(&Event::Advanced { phase, done: length, total });
            }
        }
        ctx.report(&Event::Finished { phase });
        let sha256: [u8; 32] = hash.finalize().into();
        check(url, expected, length, sha256)?;
        Ok(Downloaded { length, resumed_at, sha256 })
    }
}

fn check(url: &str, expected: Expected, length: u64, sha256: [u8; 32]) -> Result<()> {
    let mismatch =
        |what, expected, actual| Err(Error::Mismatch { url: shown(url), what, expected, actual });
    if let Some(wanted) = expected.length.filter(|wanted| *wanted != length) {
        return mismatch("length", wanted.to_string(), length.to_string());
    }
    if let Some(wanted) = expected.sha256.filter(|wanted| *wanted != sha256) {
        return mismatch("SHA-256", hex(&wanted), hex(&sha256));
    }
    Ok(())
}

enum HashError {
    Io(std::io::Error),
    Cancelled(updraft_task::Cancelled),
}

/// Hashes what the file holds and leaves the position at its end.
fn hash_present(
    ctx: &Context,
    file: &mut File,
    hash: &mut Sha256,
) -> std::result::Result<u64, HashError> {
    file.seek(SeekFrom::Start(0)).map_err(HashError::Io)?;
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        ctx.check().map_err(HashError::Cancelled)?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                hash.update(buffer.get(..read).unwrap_or_default());
                length += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HashError::Io(error)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
