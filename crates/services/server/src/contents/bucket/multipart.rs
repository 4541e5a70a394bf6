//! Uploads in parts ("Uploading and copying objects using multipart upload" in the guide of Amazon
//! S3). The store shows nothing of them before they are joined.

use std::sync::Arc;

use std::fmt::Write as _;

use updraft_http::Method;

use super::sign::Ask;
use super::trouble::{MAX_ANSWER, code_of, element};
use super::{Bucket, BucketTrouble, Piece};
use crate::contents::Key;
use crate::error::{Error, Result, chain};

const ACTION: &str = "store content in parts";

/// An upload in parts; one that is not completed is given up with this value.
#[derive(Debug)]
pub(in crate::contents) struct Multipart {
    bucket: Arc<Bucket>,
    name: String,
    id: String,
    /// Of each part.
    tags: Vec<String>,
    length: u64,
    is_complete: bool,
}

impl Multipart {
    pub(in crate::contents) fn begin(bucket: &Arc<Bucket>, key: &Key) -> Result<Self> {
        let name = bucket.name(key);
        let begin = Ask { query: &[("uploads", "")], ..Ask::new(Method::Post, &name) };
        // One that began without our hearing of it holds no part, and stores clean up after it.
        let response = bucket.send(ACTION, &bucket.request(begin).repeatable())?;
        if !response.is_success() {
            return Err(bucket.refused(ACTION, response));
        }
        let text = bucket.text(ACTION, response)?;
        let missing = "it gives the upload no id";
        let id = element(&text, "UploadId")
            .ok_or_else(|| bucket.trouble(ACTION, BucketTrouble::Other, missing))?
            .to_owned();
        let bucket = Arc::clone(bucket);
        Ok(Self { bucket, name, id, tags: Vec::new(), length: 0, is_complete: false })
    }

    /// Sends the next part.
    pub(in crate::contents) fn add(&mut self, piece: &Piece) -> Result<()> {
        let bucket = &self.bucket;
        let number = self.tags.len().saturating_add(1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", &self.id)];
        let md5 = piece.md5()?;
        let part = Ask { query: &query, md5: Some(&md5), ..Ask::new(Method::Put, &self.name) };
        let response = bucket.send(ACTION, &bucket.request(part).body(piece.body()))?;
        if !response.is_success() {
            return Err(bucket.refused(ACTION, response));
        }
        let tag = response.headers.get("etag").map(str::to_owned);
        self.tags.push(tag.ok_or_else(|| {
            bucket.trouble(ACTION, BucketTrouble::Other, "it gives a part no ETag")
        })?);
        self.length = self.length.saturating_add(piece.length());
        Ok(())
    }

    /// Joins the parts.
    pub(in crate::contents) fn complete(mut self) -> Result<()> {
        let bucket = &self.bucket;
        let query = [("uploadId", self.id.as_str())];
        let join = Ask { query: &query, ..Ask::new(Method::Post, &self.name) };
        let request = bucket.request(join).body(self.list().into_bytes()).repeatable();
        let response = bucket.send(ACTION, &request)?;
        if response.status == 404 {
            // The answer to an earlier attempt was lost, or somebody gave it up.
            let found = bucket.head(ACTION, &self.name)?;
            if found.is_none_or(|(length, _)| length != self.length) {
                return Err(bucket.refused(ACTION, response));
            }
        } else if !response.is_success() {
            return Err(bucket.refused(ACTION, response));
        } else {
            // It may say 200 long before it knows, and then that it failed.
            let text = bucket.text(ACTION, response)?;
            if !text.contains("<CompleteMultipartUploadResult") {
                return Err(bucket.explained(ACTION, 500, &text));
            }
        }
        self.is_complete = true;
        Ok(())
    }

    /// The parts, as the last request names them.
    fn list(&self) -> String {
        let mut list = "<CompleteMultipartUpload>".to_owned();
        for (index, tag) in self.tags.iter().enumerate() {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            let number = index.saturating_add(1);
            let _ =
                write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        list + "</CompleteMultipartUpload>"
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        let bucket = &self.bucket;
        let query = [("uploadId", self.id.as_str())];
        let abort = Ask { query: &query, ..Ask::new(Method::Delete, &self.name) };
        match bucket.send_by(&bucket.impatient, "give up an upload", &bucket.request(abort)) {
            Ok(response) if response.is_success() || response.status == 404 => {}
            Ok(response) => warn(&bucket.refused("give up an upload", response)),
            Err(error) => warn(&error),
        }
    }
}

/// It stays until the store cleans up.
fn warn(error: &Error) {
    tracing::warn!(reason = chain(error), "an upload in parts was not given up");
}

impl Bucket {
    /// The text of an answer.
    fn text(&self, action: &'static str, response: updraft_http::Response) -> Result<String> {
        let bytes = response.bytes(MAX_ANSWER).map_err(|error| self.failed(action, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn explained(&self, action: &'static str, status: u16, text: &str) -> Error {
        let (code, message) = code_of(text);
        self.judged(action, status, code.as_deref(), message.as_deref())
    }
}
