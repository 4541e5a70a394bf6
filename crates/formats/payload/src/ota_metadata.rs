//! [`OtaMetadata`]: what an OTA package says of itself, in `META-INF/com/android/metadata` as lines
//! `name=value`, sorted, and in `metadata.pb` beside it as protobuf. (AOSP,
//! `build/tools/releasetools/ota_metadata.proto` and `ota_utils.py`.)

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Error;

/// Where the lines are in a package.
pub const METADATA_NAME: &str = "META-INF/com/android/metadata";
/// Where the message is.
pub const METADATA_PB_NAME: &str = "META-INF/com/android/metadata.pb";
/// The longest text that is read, in bytes.
pub const MAX_METADATA: u64 = 256 << 10;
/// Longest range list and the most ranges in it.
const MAX_RANGES: usize = 64;

/// The message, of which nobody has to know all fields.
#[allow(clippy::struct_excessive_bools, reason = "the schema has them")]
#[derive(Clone, PartialEq, prost::Message)]
pub struct OtaMetadata {
    /// How it is installed.
    #[prost(enumeration = "OtaType", tag = "1")]
    pub r#type: i32,
    /// Whether the data of the user is removed.
    #[prost(bool, tag = "2")]
    pub wipe: bool,
    /// Whether an older build is meant.
    #[prost(bool, tag = "3")]
    pub downgrade: bool,
    /// Ranges of the package that who streams it wants, by the name of the list.
    #[prost(btree_map = "string, string", tag = "4")]
    pub property_files: BTreeMap<String, String>,
    /// What a device has to be for it.
    #[prost(message, optional, tag = "5")]
    pub precondition: Option<DeviceState>,
    /// What a device is afterwards.
    #[prost(message, optional, tag = "6")]
    pub postcondition: Option<DeviceState>,
    /// Whether it makes dynamic partitions of others.
    #[prost(bool, tag = "7")]
    pub retrofit_dynamic_partitions: bool,
    /// How many bytes recovery needs for what it sets aside.
    #[prost(int64, tag = "8")]
    pub required_cache: i64,
    /// Whether an older security patch level is meant.
    #[prost(bool, tag = "9")]
    pub spl_downgrade: bool,
}

/// The state of a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceState {
    /// Names of devices.
    #[prost(string, repeated, tag = "1")]
    pub device: Vec<String>,
    /// Fingerprints of builds.
    #[prost(string, repeated, tag = "2")]
    pub build: Vec<String>,
    /// The incremental part of the version.
    #[prost(string, tag = "3")]
    pub build_incremental: String,
    /// When it was built, in seconds since 1970.
    #[prost(int64, tag = "4")]
    pub timestamp: i64,
    /// The level of the interface for apps.
    #[prost(string, tag = "5")]
    pub sdk_level: String,
    /// The security patch level.
    #[prost(string, tag = "6")]
    pub security_patch_level: String,
}

/// How a package is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum OtaType {
    /// Nobody said.
    Unknown = 0,
    /// A payload, for the slot that is not running.
    Ab = 1,
    /// By recovery, block by block.
    Block = 2,
    /// It makes a device useless, on purpose.
    Brick = 3,
}

impl OtaMetadata {
    /// The lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = self.property_files.clone();
        let mut put = |name: &str, value: String| {
            if !value.is_empty() {
                lines.insert(name.to_owned(), value);
            }
        };
        let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
        let kind = match self.r#type() {
            OtaType::Unknown => "",
            OtaType::Ab => "AB",
            OtaType::Block => "BLOCK",
            OtaType::Brick => "BRICK",
        };
        put("ota-type", kind.to_owned());
        put("ota-wipe", yes(self.wipe));
        put("ota-downgrade", yes(self.downgrade));
        put("ota-retrofit-dynamic-partitions", yes(self.retrofit_dynamic_partitions));
        put("spl-downgrade", yes(self.spl_downgrade));
        put("ota-required-cache", self.required_cache.to_string());
        let before = self.precondition.clone().unwrap_or_default();
        put("pre-device", before.device.join("|"));
        put("pre-build", before.build.join("|"));
        put("pre-build-incremental", before.build_incremental);
        let after = self.postcondition.clone().unwrap_or_default();
        put("post-build", after.build.join("|"));
        put("post-build-incremental", after.build_incremental);
        put("post-sdk-level", after.sdk_level);
        put("post-security-patch-level", after.security_patch_level);
        put(
            "post-timestamp",
            if after.timestamp == 0 { String::new() } else { after.timestamp.to_string() },
        );
        let mut text = String::new();
        for (name, value) in lines {
            let _ = writeln!(text, "{name}={value}");
        }
        text
    }

    /// Reads lines, names and values. Blanks around values say nothing: ranges are padded with them.
    ///
    /// # Errors
    /// [`Error::Package`].
    pub fn parse_text(text: &str) -> Result<BTreeMap<String, String>, Error> {
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) =
                line.split_once('=').ok_or(Error::Package("a line of its metadata has no `=`"))?;
            if values.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
                return Err(Error::Package("its metadata says something twice"));
            }
        }
        Ok(values)
    }
}

/// A range of a package: a file's name, where its content begins, and how many bytes it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyFile {
    /// The last part of its name; `payload_metadata.bin` is the beginning of `payload.bin`.
    pub name: String,
    /// Where it begins in the package.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl PropertyFile {
    /// Reads `name:offset:size,…`.
    ///
    /// # Errors
    /// [`Error::Package`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let bad = || Error::Package("its list of ranges is not NAME:OFFSET:SIZE,…");
        let one = |word: &str| {
            let mut parts = word.split(':');
            let (Some(name), Some(offset), Some(size), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(bad());
            };
            let number = |text: &str| text.parse().map_err(|_| bad());
            Ok(Self { name: name.to_owned(), offset: number(offset)?, size: number(size)? })
        };
        let list: Vec<&str> = text.trim().split(',').collect();
        if list.len() > MAX_RANGES {
            return Err(bad());
        }
        list.into_iter().map(one).collect()
    }

    /// Writes such a list.
    #[must_use]
    pub fn list(files: &[Self]) -> String {
        let words = files.iter().map(|file| format!("{}:{}:{}", file.name, file.offset, file.size));
        words.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceState, OtaMetadata, OtaType, PropertyFile};

    #[test]
    fn lines_are_those_of_release_tools() {
        let metadata = OtaMetadata {
            r#type: OtaType::Ab.into(),
            wipe: true,
            precondition: Some(DeviceState {
                device: vec!["a".to_owned(), "b".to_owned()],
                ..DeviceState::default()
            }),
            postcondition: Some(DeviceState { timestamp: 7, ..DeviceState::default() }),
            property_files: [("ota-property-files".to_owned(), "x:1:2  ".to_owned())].into(),
            ..OtaMetadata::default()
        };
        let text = metadata.to_text();
        assert_eq!(
            text,
            "ota-property-files=x:1:2  \nota-required-cache=0\nota-type=AB\nota-wipe=yes\n\
             post-timestamp=7\npre-device=a|b\n"
        );
        let read = OtaMetadata::parse_text(&text).unwrap();
        assert_eq!((&read["pre-device"][..], &read["ota-property-files"][..]), ("a|b", "x:1:2"));
        assert!(
            OtaMetadata::parse_text("a=1\na=2").is_err() && OtaMetadata::parse_text("a").is_err()
        );
    }

    #[test]
    fn ranges_read_back() {
        let text = "payload_metadata.bin:1213:827,payload.bin:1213:1392";
        let list = PropertyFile::parse_list(&format!("{text}   ")).unwrap();
        assert_eq!((list[0].size, PropertyFile::list(&list)), (827, text.to_owned()));
        for bad in ["", "a", "a:1", "a:1:2:3", "a:b:2", "a:1:-2", "a:1:2,"] {
            assert!(PropertyFile::parse_list(bad).is_err(), "{bad}");
        }
    }
}
