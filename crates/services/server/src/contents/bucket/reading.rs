//! Reading a part of an object, on from where the connection broke.

use std::io::{self, Read};
use std::sync::Arc;

use updraft_http::{BodyReader, Method};

use super::sign::Ask;
use super::{Bucket, BucketTrouble};
use crate::error::Result;

const ACTION: &str = "read content";
/// How often a connection may break without a byte in between.
const MOST_BREAKS: u32 = 2;

/// A part of an object that is being read.
#[derive(Debug)]
pub(in crate::contents) struct Reading {
    bucket: Arc<Bucket>,
    name: String,
    tag: String,
    next: u64,
    end: u64,
    body: Option<BodyReader>,
    breaks: u32,
}

impl Reading {
    /// Begins with `count` bytes from `start` on of the object with this entity tag; with `whole`
    /// that is all of it.
    pub(in crate::contents) fn open(
        bucket: Arc<Bucket>,
        (name, tag): (String, String),
        (start, count): (u64, u64),
        whole: bool,
    ) -> Result<Self> {
        let end = start.saturating_add(count);
        let mut reading = Self { bucket, name, tag, next: start, end, body: None, breaks: 0 };
        if count > 0 {
            reading.connect(whole)?;
        }
        Ok(reading)
    }

    fn connect(&mut self, whole: bool) -> Result<()> {
        let bucket = &self.bucket;
        let get = bucket.request(Ask::new(Method::Get, &self.name));
        let mut request = get.header("If-Match", &self.tag);
        if !whole {
            let range = format!("bytes={}-{}", self.next, self.end.saturating_sub(1));
            request = request.header("Range", range);
        }
        let response = bucket.send_by(&bucket.reading, ACTION, &request)?;
        match response.status {
            206 => {}
            200 if whole => {}
            200 => {
                let reason = "it gives all of an object where a part was asked for";
                return Err(bucket.trouble(ACTION, BucketTrouble::Other, reason));
            }
            412 => {
                let reason = "the content was replaced while it was read";
                return Err(bucket.trouble(ACTION, BucketTrouble::Unavailable, reason));
            }
            _ => return Err(bucket.refused(ACTION, response)),
        }
        self.body = Some(response.body);
        Ok(())
    }

    fn read_on(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        loop {
            let broken = match self.body.as_mut().map(|body| body.read(buffer)) {
                Some(Ok(count)) if count > 0 => {
                    self.next = self.next.saturating_add(count as u64);
                    self.breaks = 0;
                    return Ok(count);
                }
                Some(Ok(_)) => "the connection ended early".to_owned(),
                Some(Err(error)) => error.to_string(),
                None => "the connection broke".to_owned(),
            };
            self.breaks += 1;
            if self.breaks > MOST_BREAKS {
                return Err(self.bucket.trouble(ACTION, BucketTrouble::Unavailable, broken));
            }
            self.connect(false)?;
        }
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_on(buffer).map_err(io::Error::other)
    }
}
