//! [`make_payload_package`]: an OTA package of a payload, for devices with two slots.

mod bundle;
mod layout;

pub use bundle::{BundleImage, make_bundle};

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use updraft_crypto::package::PackageSigner;
use updraft_error::Kind;
use updraft_payload::prost::Message as _;
use updraft_payload::{METADATA_NAME, METADATA_PB_NAME, OtaMetadata, OtaType, PropertyFile};
use updraft_slots::{FileSource, Head, Trust};
use updraft_task::Context;

use crate::package::hash;
use crate::sign::{comment, replace};
use crate::{Error, Result};
use layout::{Content, Layout, NewEntry};

const PAYLOAD: &str = "payload.bin";
const PROPERTIES: &str = "payload_properties.txt";
const CARE_MAP: &str = "care_map.pb";
const OTACERT: &str = "META-INF/com/android/otacert";
/// Lists of ranges, by their names in the metadata.
const LISTS: [&str; 2] = ["ota-property-files", "ota-streaming-property-files"];
/// The largest care map that is taken, in bytes.
const MAX_CARE_MAP: u64 = 16 << 20;
/// How often ranges may move while they are written into what they are ranges of.
const MAX_PASSES: usize = 16;

/// What is in a package beside the payload.
#[derive(Debug, Clone, Default)]
pub struct PackageOptions {
    /// What the package says of itself; type and ranges are filled in.
    pub metadata: OtaMetadata,
    /// Lines after those about the payload, names and values, as `POWERWASH` and `1`.
    pub properties: Vec<(String, String)>,
    /// Blocks that the device reads at its first start.
    pub care_map: Option<PathBuf>,
}

/// Makes a package: the payload and all else stored as they are, ranges for who streams it, and a
/// signature over the whole. The same input makes the same package, but for signatures by EC keys.
///
/// # Errors
/// When the payload is none, is damaged, or the package cannot be written.
pub fn make_payload_package(
    context: &Context,
    payload: &Path,
    options: &PackageOptions,
    signer: Option<(&PackageSigner, &str)>,
    output: &Path,
) -> Result<()> {
    let mut source = FileSource::open(payload)?;
    let head = Head::read(&mut source, &Trust::default())?;
    let mut properties = updraft_slots::properties(context, &mut source)?;
    properties.others.clone_from(&options.properties);
    let file = File::open(payload).map_err(Error::file("open", payload))?;
    let size = file.metadata().map_err(Error::file("look at", payload))?.len();
    if size != properties.file_size {
        let problem = "take it out of its package first";
        return Err(Error::entry(PAYLOAD, Kind::Unsupported, problem));
    }
    let mut entries = vec![
        NewEntry::new(METADATA_NAME, Content::Bytes(Vec::new())),
        NewEntry::new(METADATA_PB_NAME, Content::Bytes(Vec::new())),
    ];
    if let Some((_, certificate)) = signer {
        let certificate = certificate.as_bytes().to_vec();
        entries.push(NewEntry::new(OTACERT, Content::Bytes(certificate)));
    }
    if let Some(path) = &options.care_map {
        let map = File::open(path).map_err(Error::file("open", path))?;
        let size = map.metadata().map_err(Error::file("look at", path))?.len();
        if size > MAX_CARE_MAP {
            return Err(Error::entry(CARE_MAP, Kind::Exhausted, "it is over 16 MiB"));
        }
        entries.push(NewEntry::new(CARE_MAP, Content::File(map, size)));
    }
    entries.push(NewEntry::new(PAYLOAD, Content::File(file, size)));
    let text = properties.to_string().into_bytes();
    entries.push(NewEntry::new(PROPERTIES, Content::Bytes(text)));

    let mut metadata = options.metadata.clone();
    metadata.set_type(OtaType::Ab);
    let first = head.header.metadata_size() + head.header.metadata_signature_size();
    let layout = settle(&mut metadata, entries, first)?;
    write_package(context, &layout, signer.map(|(signer, _)| signer), output)
}

/// Writes a package, and its signature.
fn write_package(
    context: &Context,
    layout: &Layout,
    signer: Option<&PackageSigner>,
    output: &Path,
) -> Result<()> {
    replace(output, |out| {
        layout.write(context, out).map_err(Error::file("write", output))?;
        let end = out.metadata().map_err(Error::file("look at", output))?.len();
        if let Some(signer) = signer {
            let digests = hash(context, out, end - 2, false, output)?;
            let comment = comment(signer, &digests.sha256)?;
            let length = u16::try_from(comment.len()).unwrap_or(u16::MAX).to_le_bytes();
            let written = out.write_all_at(&length, end - 2).and_then(|()| out.write_all(&comment));
            written.map_err(Error::file("write", output))?;
        }
        Ok(())
    })
}

/// Writes ranges into the metadata until they are right: the metadata lies before what they are about,
/// and their length moves it. Lists never become shorter, so that this comes to an end.
fn settle(metadata: &mut OtaMetadata, entries: Vec<NewEntry>, first: u64) -> Result<Layout> {
    let mut layout = Layout::new(entries);
    let mut longest = [0; LISTS.len()];
    for _ in 0..MAX_PASSES {
        let lists = [ranges(&layout, Some(first)), ranges(&layout, None)];
        let mut is_settled = true;
        for ((name, list), longest) in LISTS.iter().zip(&lists).zip(&mut longest) {
            let list = PropertyFile::list(list);
            *longest = list.len().max(*longest);
            let padded = format!("{list:<width$}", width = *longest);
            let before = metadata.property_files.insert((*name).to_owned(), padded.clone());
            is_settled &= before == Some(padded);
        }
        if is_settled {
            return Ok(layout);
        }
        layout.set(METADATA_NAME, metadata.to_text().as_bytes());
        layout.set(METADATA_PB_NAME, &metadata.encode_to_vec());
    }
    Err(Error::entry(METADATA_NAME, Kind::Bug, "its ranges do not settle"))
}

/// What who streams the package wants of it, in the order of release tools.
fn ranges(layout: &Layout, metadata_size: Option<u64>) -> Vec<PropertyFile> {
    let named = |path: &str| {
        let (offset, size) = layout.place(path)?;
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Some(PropertyFile { name, offset, size })
    };
    let beginning = metadata_size.and_then(|size| {
        let (offset, _) = layout.place(PAYLOAD)?;
        Some(PropertyFile { name: "payload_metadata.bin".to_owned(), offset, size })
    });
    let paths = [PAYLOAD, PROPERTIES, CARE_MAP, METADATA_NAME, METADATA_PB_NAME];
    beginning.into_iter().chain(paths.into_iter().filter_map(named)).collect()
}
