//! The file as it is written, and what has to be so for it to be used.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ByteRange, InstallType, MAX_UPDATE_CONFIG, UpdateConfig};
use crate::ConfigError;

/// Longest name, in characters.
const MAX_NAME: usize = 256;
/// Longest address or authorization, in bytes.
const MAX_TEXT: usize = 8192;
/// Most entries of `property_files`.
const MAX_FILES: usize = 64;
/// Longest properties of a payload, in bytes.
const MAX_PROPERTIES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Raw {
    name: String,
    url: String,
    ab_install_type: RawInstallType,
    #[serde(default)]
    ab_streaming_metadata: RawStreaming,
    ab_config: RawAbConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum RawInstallType {
    Streaming,
    NonStreaming,
}

#[derive(Default, Deserialize)]
struct RawStreaming {
    #[serde(default)]
    property_files: Vec<PropertyFile>,
}

#[derive(Deserialize)]
struct RawAbConfig {
    force_switch_slot: bool,
    #[serde(default = "yes")]
    verify_payload_metadata: bool,
    #[serde(default)]
    property_files: Vec<PropertyFile>,
    #[serde(default)]
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct PropertyFile {
    filename: String,
    offset: u64,
    size: u64,
}

fn yes() -> bool {
    true
}

pub(super) fn parse(path: &Path, text: &[u8]) -> Result<UpdateConfig, ConfigError> {
    let syntax = |problem: String| ConfigError::Syntax { path: path.to_owned(), problem };
    if text.len() as u64 > MAX_UPDATE_CONFIG {
        return Err(syntax(format!("it has more than {MAX_UPDATE_CONFIG} bytes")));
    }
    let raw: Raw = serde_json::from_slice(text).map_err(|error| syntax(error.to_string()))?;
    Checked { path }.config(raw)
}

/// Says of values what is wrong with them.
struct Checked<'a> {
    path: &'a Path,
}

impl Checked<'_> {
    fn bad(&self, key: &str, value: impl Display, problem: &'static str) -> ConfigError {
        let value = format!("{:?}", value.to_string());
        ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value,
            problem: problem.to_owned(),
        }
    }

    fn config(&self, raw: Raw) -> Result<UpdateConfig, ConfigError> {
        let length = raw.name.chars().count();
        if length == 0 || length > MAX_NAME || raw.name.contains(char::is_control) {
            let problem = "give a name of 1 to 256 characters, on one line";
            return Err(self.bad("name", &raw.name, problem));
        }
        let ab = raw.ab_config;
        let is_header = |text: &str| text.len() <= MAX_TEXT && !text.contains(char::is_control);
        if ab.authorization.as_deref().is_some_and(|text| !is_header(text)) {
            let problem = "it is one line of at most 8192 bytes";
            return Err(self.bad("ab_config.authorization", "…", problem));
        }
        let (key, files) = if ab.property_files.is_empty() {
            ("ab_streaming_metadata.property_files", raw.ab_streaming_metadata.property_files)
        } else {
            ("ab_config.property_files", ab.property_files)
        };
        let install = match raw.ab_install_type {
            RawInstallType::Streaming => self.streaming(&raw.url, key, &files)?,
            RawInstallType::NonStreaming => {
                InstallType::NonStreaming { path: self.file(&raw.url)? }
            }
        };
        Ok(UpdateConfig {
            name: raw.name,
            url: raw.url,
            install,
            force_switch_slot: ab.force_switch_slot,
            verify_payload_metadata: ab.verify_payload_metadata,
            authorization: ab.authorization,
        })
    }

    fn streaming(
        &self,
        url: &str,
        key: &str,
        files: &[PropertyFile],
    ) -> Result<InstallType, ConfigError> {
        let is_known = url.starts_with("http://") || url.starts_with("https://");
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_known || !is_plain(url) || url.len() > MAX_TEXT {
            let problem = "what is streamed has an address with http:// or https://";
            return Err(self.bad("url", url, problem));
        }
        if files.len() > MAX_FILES {
            return Err(self.bad(key, files.len(), "64 files are the most"));
        }
        let range = |name: &'static str, missing| {
            let mut found = files.iter().filter(|file| file.filename == name);
            let Some(file) = found.next() else {
                return Err(self.bad(key, name, missing));
            };
            if found.next().is_some() {
                return Err(self.bad(key, name, "it is there twice"));
            }
            if file.size == 0 || file.offset.checked_add(file.size).is_none() {
                let shown = format!("{name}:{}:{}", file.offset, file.size);
                return Err(self.bad(key, shown, "it is empty, or ends beyond every package"));
            }
            Ok(ByteRange { offset: file.offset, size: file.size })
        };
        let payload = range("payload.bin", "say where payload.bin is in the package")?;
        let properties =
            range("payload_properties.txt", "say where payload_properties.txt is in the package")?;
        if properties.size > MAX_PROPERTIES {
            let shown = format!("payload_properties.txt:{}", properties.size);
            return Err(self.bad(key, shown, "properties have 64 KiB at most"));
        }
        Ok(InstallType::Streaming { payload, properties })
    }

    /// The path in a `file://` address (RFC 8089, without a host).
    fn file(&self, url: &str) -> Result<PathBuf, ConfigError> {
        let path = url.strip_prefix("file://").filter(|path| path.starts_with('/'));
        let path =
            path.filter(|path| path.len() <= MAX_TEXT).and_then(updraft_http::percent_decode);
        let path = path.filter(|path| !path.contains(char::is_control)).ok_or_else(|| {
            let problem = "what is not streamed is a file on the device: file:///PATH";
            self.bad("url", url, problem)
        })?;
        Ok(path.into())
    }
}
