//! What a Mender Artifact says about itself: its name, and for which devices it is.
//!
//! ```text
//! tar: version, manifest, [manifest.sig], [manifest-augment], header.tar[.gz|.xz|.zst], …
//! header.tar: header-info (JSON), headers/…
//! ```
//! Source: "Artifact format, version 3" in the documentation of mender-artifact. The client verifies
//! checksums and signatures; the server only needs to know what to offer to whom.

use std::io::Read;

use serde::Deserialize;

/// The most bytes of a header, unpacked.
const MAX_HEADER: u64 = 1 << 20;
/// The most entries before the header.
const MAX_ENTRIES: usize = 16;

/// What an Artifact says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactHeader {
    /// Its name, which is what a device says it runs afterwards.
    pub name: String,
    /// The types of devices that it is for.
    pub device_types: Vec<String>,
}

#[derive(Deserialize)]
struct HeaderInfo {
    // Version 3.
    artifact_provides: Option<Provides>,
    artifact_depends: Option<Depends>,
    // Version 2.
    artifact_name: Option<String>,
    device_types_compatible: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Provides {
    artifact_name: String,
}

#[derive(Deserialize)]
struct Depends {
    device_type: Vec<String>,
}

impl ArtifactHeader {
    /// Reads it from the beginning of an Artifact; the error says what is wrong.
    pub fn read(from: impl Read) -> Result<Self, String> {
        let mut archive = tar::Archive::new(from);
        let broken = |error: std::io::Error| error.to_string();
        for (index, entry) in archive.entries().map_err(broken)?.enumerate() {
            let entry = entry.map_err(broken)?;
            let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
            if index == 0 && name != "version" {
                return Err("it does not begin with its version".to_owned());
            }
            if index >= MAX_ENTRIES || name.starts_with("data/") {
                break;
            }
            let entry = entry.take(MAX_HEADER);
            match name.as_str() {
                "header.tar" => return Self::of_header(entry),
                "header.tar.gz" => return Self::of_header(flate2::read::GzDecoder::new(entry)),
                "header.tar.xz" => return Self::of_header(liblzma::read::XzDecoder::new(entry)),
                "header.tar.zst" => {
                    return Self::of_header(zstd::Decoder::new(entry).map_err(broken)?);
                }
                _ => {}
            }
        }
        Err("it has no header".to_owned())
    }

    fn of_header(from: impl Read) -> Result<Self, String> {
        let mut archive = tar::Archive::new(from.take(MAX_HEADER));
        let broken = |error: std::io::Error| error.to_string();
        let mut entries = archive.entries().map_err(broken)?;
        let first = entries.next().ok_or("its header is empty")?.map_err(broken)?;
        if first.path().map_err(broken)?.as_os_str() != "header-info" {
            return Err("its header does not begin with header-info".to_owned());
        }
        let info: HeaderInfo =
            serde_json::from_reader(first).map_err(|error| format!("header-info: {error}"))?;
        let name = info.artifact_provides.map(|provides| provides.artifact_name);
        let types = info.artifact_depends.map(|depends| depends.device_type);
        let header = Self {
            name: name.or(info.artifact_name).unwrap_or_default(),
            device_types: types.or(info.device_types_compatible).unwrap_or_default(),
        };
        if header.name.is_empty() || header.device_types.is_empty() {
            return Err("header-info names no artifact or no type of device".to_owned());
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::ArtifactHeader;

    fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, *content).expect("an entry");
        }
        archive.into_inner().expect("an archive")
    }

    fn artifact(info: &str) -> Vec<u8> {
        let header = tar(&[("header-info", info.as_bytes())]);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &header).expect("packed");
        let packed = packed.finish().expect("packed");
        tar(&[("version", b"{}"), ("manifest", b""), ("header.tar.gz", &packed)])
    }

    #[test]
    fn headers_of_both_versions_are_read() {
        let three = r#"{"payloads":[{"type":"x"}],"artifact_provides":{"artifact_name":"r2"},
            "artifact_depends":{"device_type":["a","b"]}}"#;
        let read = ArtifactHeader::read(artifact(three).as_slice()).expect("a header");
        assert_eq!(read.name, "r2");
        assert_eq!(read.device_types, ["a", "b"]);
        let two = r#"{"updates":[],"device_types_compatible":["a"],"artifact_name":"r1"}"#;
        assert_eq!(ArtifactHeader::read(artifact(two).as_slice()).expect("a header").name, "r1");
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        let refused = |bytes: &[u8]| ArtifactHeader::read(bytes).expect_err("refused");
        assert!(refused(b"hello").len() > 1);
        assert!(refused(&[]).contains("no header"));
        assert!(refused(&tar(&[("data/0000", b"")])).contains("version"));
        assert!(refused(&tar(&[("version", b"{}"), ("data/0000", b"")])).contains("no header"));
        assert!(refused(&artifact("{}")).contains("names no artifact"));
        assert!(refused(&artifact("[")).contains("header-info"));
        let bomb = artifact(&format!("{}{{}}", " ".repeat(4 << 20)));
        refused(&bomb);
    }
}
