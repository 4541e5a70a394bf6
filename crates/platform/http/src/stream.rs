//! [`Stream`]: a body that survives broken connections.

use std::io::{self, Read};

use updraft_task::Context;

use crate::error::{is_absent, shown};
use crate::retry::Retry;
use crate::{BodyReader, Client, Error, Headers, Method, Request, Result};

/// How to read a [`Stream`].
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
    /// The largest body that is accepted, in bytes.
    pub limit: u64,
    /// Start here: what comes before is in the caller's hands already.
    pub offset: u64,
}

impl StreamOptions {
    /// From the start, at most `limit` bytes.
    pub fn limit(limit: u64) -> Self {
        Self { limit, offset: 0 }
    }
}

/// The bytes of one resource from an offset on. When the connection breaks it asks for the rest
/// by `Range`, guarded with `If-Range` when the server named a validator, and goes on.
///
/// What it gives is as trustworthy as the server: check a digest over all of it.
pub struct Stream<'a> {
    client: &'a Client,
    ctx: &'a Context,
    request: Request,
    limit: u64,
    position: u64,
    length: Option<u64>,
    validator: Option<String>,
    body: Option<BodyReader>,
    retry: Retry,
}

impl Client {
    /// Opens `url` for reading. `None` when the server says that there is nothing (403, 404,
    /// 410).
    pub fn stream<'a>(
        &'a self,
        ctx: &'a Context,
        url: &str,
        options: StreamOptions,
    ) -> Result<Option<Stream<'a>>> {
        let mut stream = Stream {
            client: self,
            ctx,
            request: Request::new(Method::Get, url),
            limit: options.limit,
            position: options.offset,
            length: None,
            validator: None,
            body: None,
            retry: Retry::new(self.options()),
        };
        Ok(stream.connect()?.then_some(stream))
    }
}

impl Stream<'_> {
    /// The length of the whole resource, if the server told it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// How far it has been read, from the start of the resource.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Asks for what is left; `false` when there is nothing of that name.
    fn connect(&mut self) -> Result<bool> {
        loop {
            match self.connect_once() {
                Ok(found) => return Ok(found),
                Err(error) => self.retry.after(self.ctx, error)?,
            }
        }
    }

    fn connect_once(&mut self) -> Result<bool> {
        self.ctx.check()?;
        let mut request = self.request.clone();
        // A validator says that this is not the first attempt: a server that cuts whole bodies may
        // give ranges.
        let is_ranged = self.position > 0 || self.validator.is_some();
        if is_ranged {
            request = request.header("Range", format!("bytes={}-", self.position));
            if let Some(validator) = &self.validator {
                request = request.header("If-Range", validator);
            }
        }
        let response = self.client.send_once(self.ctx, &request)?;
        if is_absent(response.status) {
            return Ok(false);
        }
        if response.status == 416 && is_ranged {
            return self.at_the_end(&response.headers);
        }
        let response = response.error_for_status()?;
        let partial = response.status == 206;
        let start = if partial { self.start_of(&response.headers)? } else { 0 };
        let length = response.body.expected_length().map(|rest| rest.saturating_add(start));
        self.check_length(length)?;
        self.validator = validator(&response.headers);
        let mut body = response.body;
        // A server without ranges, or with another version, starts at the beginning again.
        skip(&mut body, self.position - start)?;
        self.body = Some(body);
        Ok(true)
    }

    fn check_length(&mut self, length: Option<u64>) -> Result<()> {
        let url = || shown(&self.request.url);
        if length.is_some_and(|length| length > self.limit) {
            return Err(Error::TooLarge { url: url(), limit: self.limit });
        }
        match (self.length, length) {
            (Some(before), Some(now)) if before != now => Err(Error::Mismatch {
                url: url(),
                what: "length",
                expected: before.to_string(),
                actual: now.to_string(),
            }),
            _ => {
                self.length = self.length.or(length);
                Ok(())
            }
        }
    }

    /// `Content-Range: bytes START-END/LENGTH`, which must start at or before where we are.
    fn start_of(&self, headers: &Headers) -> Result<u64> {
        let range = headers.get("content-range").unwrap_or_default();
        let start = range
            .strip_prefix("bytes ")
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(start, _)| start.trim().parse::<u64>().ok());
        start.filter(|start| *start <= self.position).ok_or_else(|| Error::Mismatch {
            url: shown(&self.request.url),
            what: "Content-Range",
            expected: format!("bytes {}-", self.position),
            actual: range.to_owned(),
        })
    }

    /// 416: there is nothing after our position. Right if the resource ends there.
    fn at_the_end(&mut self, headers: &Headers) -> Result<bool> {
        let length = headers
            .get("content-range")
            .and_then(|range| range.strip_prefix("bytes */"))
            .and_then(|length| length.trim().parse::<u64>().ok());
        if length.is_some_and(|length| length != self.position) {
            return Err(Error::Mismatch {
                url: shown(&self.request.url),
                what: "length",
                expected: self.position.to_string(),
                actual: length.unwrap_or_default().to_string(),
            });
        }
        self.length = Some(self.position);
        self.body = None;
        Ok(true)
    }

    /// Reads on, with this crate's error.
    pub fn read_typed(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.ctx.check()?;
            let Some(body) = &mut self.body else { return Ok(0) };
            let error = match body.read_typed(buffer) {
                Ok(0) if !buffer.is_empty() => {
                    self.body = None;
                    return Ok(0);
                }
                Ok(read) => {
                    self.position = self.position.saturating_add(read as u64);
                    if self.position > self.limit {
                        let url = shown(&self.request.url);
                        return Err(Error::TooLarge { url, limit: self.limit });
                    }
                    self.retry.progressed();
                    return Ok(read);
                }
                Err(error) => error,
            };
            self.retry.after(self.ctx, error)?;
            if !self.connect()? {
                let url = shown(&self.request.url);
                return Err(Error::Status { url, status: 404, detail: None });
            }
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_typed(buffer).map_err(io::Error::other)
    }
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("url", &shown(&self.request.url))
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A strong validator for `If-Range`; weak tags must not be used there (RFC 9110, 13.1.5).
pub(crate) fn validator(headers: &Headers) -> Option<String> {
    headers
        .get("etag")
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| headers.get("last-modified"))
        .map(str::to_owned)
}

fn skip(body: &mut BodyReader, mut bytes: u64) -> Result<()> {
    let mut scratch = [0; 16 << 10];
    while bytes > 0 {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX).min(scratch.len());
        match body.read_typed(scratch.get_mut(..wanted).unwrap_or_default())? {
            0 => return Ok(()),
            read => bytes -= read as u64,
        }
    }
    Ok(())
}
