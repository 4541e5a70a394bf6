//! Addresses in a bucket, signed: "Authenticating Requests: Using Query Parameters (AWS Signature
//! Version 4)" in the reference of Amazon S3.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use updraft_crypto::hmac_sha256;
use updraft_http::Method;
use url::Url;

use crate::contents::AccessKey;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs requests for the objects of one bucket.
#[derive(Debug)]
pub(super) struct Signer {
    /// `https` or `http`.
    scheme: String,
    /// As the header `Host` has it.
    host: String,
    /// What the path of each object begins with; ends with a slash.
    path: String,
    region: String,
    key: AccessKey,
}

/// What is asked of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The object's name.
    pub(super) name: &'a str,
    /// Parameters, not encoded.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// The value of `Content-MD5`, which has to be sent then.
    pub(super) md5: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: Method, name: &'a str) -> Self {
        Self { method, name, query: &[], md5: None }
    }
}

impl Signer {
    /// For a bucket at this endpoint; `None` when that has no host.
    pub(super) fn new(
        endpoint: &Url,
        (bucket, path_style): (&str, bool),
        region: &str,
        key: AccessKey,
    ) -> Option<Self> {
        let mut host = endpoint.host_str()?.to_owned();
        // Only a port that goes without saying is not in the header.
        if let Some(port) = endpoint.port() {
            let _ = write!(host, ":{port}");
        }
        let mut path = endpoint.path().trim_end_matches('/').to_owned() + "/";
        if path_style {
            let _ = write!(path, "{}/", encoded(bucket, b""));
        } else {
            host = format!("{bucket}.{host}");
        }
        let (scheme, region) = (endpoint.scheme().to_owned(), region.to_owned());
        Some(Self { scheme, host, path, region, key })
    }

    /// The bucket's address.
    pub(super) fn place(&self) -> String {
        let path = self.path.trim_end_matches('/');
        format!("{}://{}{path}", self.scheme, self.host)
    }

    /// The address with which this may be asked from `now` on for so long.
    pub(super) fn sign(&self, ask: Ask<'_>, now: Timestamp, life: Duration) -> String {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let signed_headers = if ask.md5.is_some() { "content-md5;host" } else { "host" };
        let credential = format!("{}/{scope}", self.key.id);
        let seconds = life.as_secs().to_string();
        let mut query = vec![
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", signed_headers),
        ];
        query.extend(self.key.session_token.as_deref().map(|it| ("X-Amz-Security-Token", it)));
        query.extend(ask.query);
        let mut query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{}={}", encoded(name, b""), encoded(value, b"")))
            .collect();
        query.sort_unstable();
        let query = query.join("&");
        let path = format!("{}{}", self.path, encoded(ask.name, b"/"));
        let md5 = ask.md5.map(|md5| format!("content-md5:{md5}\n")).unwrap_or_default();
        let method = ask.method.as_str();
        let request = format!(
            "{method}\n{path}\n{query}\n{md5}host:{}\n\n{signed_headers}\nUNSIGNED-PAYLOAD",
            self.host
        );
        let hash = hex::encode(Sha256::digest(request.as_bytes()));
        let signature = self.signature(day, &format!("{ALGORITHM}\n{time}\n{scope}\n{hash}"));
        format!("{}://{}{path}?{query}&X-Amz-Signature={signature}", self.scheme, self.host)
    }

    fn signature(&self, day: &str, text: &str) -> String {
        let mut key = hmac_sha256(format!("AWS4{}", self.key.secret).as_bytes(), day.as_bytes());
        for part in [self.region.as_str(), "s3", "aws4_request", text] {
            key = hmac_sha256(&key, part.as_bytes());
        }
        hex::encode(key)
    }
}

/// Everything but letters, digits, `-._~` and what is in `also` as `%XX`.
fn encoded(text: &str, also: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference.
    #[test]
    fn signatures_are_those_of_the_reference() {
        let key = AccessKey {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let endpoint = Url::parse("https://s3.amazonaws.com").expect("an address");
        let signer = Signer::new(&endpoint, ("examplebucket", false), "us-east-1", key);
        let now = "2013-05-24T00:00:00Z".parse().expect("a time");
        let ask = Ask::new(Method::Get, "test.txt");
        let url = signer.expect("a signer").sign(ask, now, Duration::from_hours(24));
        assert_eq!(
            url,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }
}
