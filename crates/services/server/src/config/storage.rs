//! `[storage]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

/// Seconds that S3 lets a link be good for at most.
const LONGEST_LINK: u32 = 7 * 24 * 60 * 60;

/// Where content lies: target files, artifacts, and objects of the OSTree repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// A bucket of an S3-compatible store. Without: the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The store's address, such as `https://s3.eu-central-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether the bucket is the first part of the path, and not of the host's name.
    pub path_style: bool,
    /// What all names in the bucket begin with, such as `updraft/`.
    pub prefix: String,
    /// A file with the access key in the form of AWS's tools; relative to the data folder. Without:
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The certificate authority (PEM) that the store's certificate is from, instead of the
    /// system's; relative to the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How devices get content.
    pub downloads: Downloads,
    /// Where devices are sent instead of the bucket, such as `https://cdn.example/`: names in the
    /// bucket are appended, and nothing is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Seconds that a link into the bucket is good for.
    pub link_sec: u32,
}

/// How devices get content that is in a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Downloads {
    /// Through the server.
    #[default]
    Through,
    /// From the bucket, where the server sends those that go there safely.
    Redirect,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            bucket: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: true,
            prefix: String::new(),
            credentials_file: None,
            ca: None,
            downloads: Downloads::Through,
            public_url: None,
            link_sec: 900,
        }
    }
}

impl StorageConfig {
    /// What is wrong with it by itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.bucket.is_none() {
            let rest = Self { bucket: None, ..Self::default() };
            return if *self == rest {
                Ok(())
            } else {
                Err("storage.bucket is missing; the other keys of [storage] are about it"
                    .to_owned())
            };
        }
        let Some(endpoint) = &self.endpoint else {
            return Err("storage.bucket needs storage.endpoint, the store's address".to_owned());
        };
        address("storage.endpoint", endpoint)?;
        if let Some(url) = &self.public_url {
            address("storage.public_url", url)?;
        }
        let bucket = self.bucket.as_deref().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(fits) {
            return Err("storage.bucket may have A-Z a-z 0-9 . - and _".to_owned());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        if self.prefix.starts_with('/') || !self.prefix.bytes().all(plain) {
            return Err(
                "storage.prefix may have A-Z a-z 0-9 . _ - and /, which it must not begin \
                        with"
                    .to_owned(),
            );
        }
        if !(1..=LONGEST_LINK).contains(&self.link_sec) {
            return Err(format!("storage.link_sec must be 1 to {LONGEST_LINK}"));
        }
        Ok(())
    }
}

fn address(key: &str, text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("{key} is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("{key} must be https://HOST[:PORT]/"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{key} must not have a user name or password: it is shown"));
    }
    Ok(())
}
