//! Writes payloads: metadata, data and both signatures, into a file that appears whole.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use updraft_crypto::plain::PrehashSigner;
use updraft_delta::ReadAt as _;
use updraft_fs::PageBuffer;
use updraft_payload::messages::DeltaArchiveManifest;
use updraft_payload::prost::Message as _;
use updraft_payload::{Header, Lossless, Manifest, Properties, Signatures};

use crate::stream::{Hashes, Part, Stream};
use crate::{Error, Head, Result, Source};

const BUFFER: usize = 1 << 20;

/// Signs a payload anew: whatever signatures it has are replaced. All else stays, down to fields of
/// the manifest that are not known here.
///
/// # Errors
/// When it is malformed or cut short, or cannot be written.
pub fn sign(
    source: &mut dyn Source,
    signers: &[PrehashSigner],
    output: &Path,
) -> Result<Properties> {
    let (message, mut stream, size) = unsigned(source)?;
    let folder = folder_of(output);
    let failed = || Error::file("write a temporary file in", folder);
    let mut data = tempfile::tempfile_in(folder).map_err(failed())?;
    stream.copy(size, "the data", &mut |piece| data.write_all(piece).map_err(failed()))?;
    write_payload(message, (&data, 0, size), signers, output)
}

/// What is to be signed of a payload by keys whose longest signatures have these lengths: the SHA-256
/// of its metadata, and of the whole. It depends on the lengths, because the metadata says how much
/// room the signatures have.
///
/// # Errors
/// When it is malformed or cut short.
pub fn hashes_to_sign(source: &mut dyn Source, lengths: &[usize]) -> Result<[[u8; 32]; 2]> {
    let (mut message, mut stream, size) = unsigned(source)?;
    let length = signatures_length(lengths)?;
    let (header, bytes) = metadata(&mut message, size, length)?;
    let metadata = Sha256::new().chain_update(header.encode()).chain_update(&bytes);
    let mut whole = metadata.clone();
    stream.copy(size, "the data", &mut |piece| {
        whole.update(piece);
        Ok(())
    })?;
    Ok([metadata.finalize().into(), whole.finalize().into()])
}

/// A payload's manifest, its data, from there on, and how many bytes of that there are.
fn unsigned(source: &mut dyn Source) -> Result<(Lossless<DeltaArchiveManifest>, Stream<'_>, u64)> {
    let mut stream = Stream::new(source.open(0)?, 0, Hashes::default());
    let mut first = [0; Header::LEN];
    stream.read_exact(&mut first, Part::Signed, "the header")?;
    let header = Header::parse(&first)?;
    let bytes = stream.take(header.manifest_size(), Part::Signed, "the manifest")?;
    let length = header.metadata_signature_size();
    stream.take(length, Part::Signature, "the signature of the metadata")?;
    let size = Manifest::parse(&bytes)?.data_size;
    let message = Lossless::<DeltaArchiveManifest>::decode(&bytes[..])
        .map_err(|source| updraft_payload::Error::Message { what: "the manifest", source })?;
    Ok((message, stream, size))
}

/// Where a file will be.
pub(crate) fn folder_of(output: &Path) -> &Path {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Writes a payload with the data that is in a file from one offset on. Its manifest is checked as
/// that of any payload is.
pub(crate) fn write_payload(
    mut manifest: Lossless<DeltaArchiveManifest>,
    (data, start, size): (&File, u64, u64),
    signers: &[PrehashSigner],
    output: &Path,
) -> Result<Properties> {
    let lengths: Vec<usize> = signers.iter().map(PrehashSigner::longest).collect();
    let length = signatures_length(&lengths)?;
    let (header, bytes) = metadata(&mut manifest, size, length)?;
    let checked = Manifest::parse(&bytes)?;
    let first = header.encode();
    let metadata_sha256: [u8; 32] =
        Sha256::new().chain_update(first).chain_update(&bytes).finalize().into();
    let metadata_signatures =
        if signers.is_empty() { Vec::new() } else { signatures(signers, &metadata_sha256)? };
    let head = Head { header, manifest: checked, metadata_sha256, metadata_signatures };

    let failed = || Error::file("write", output);
    let folder = folder_of(output);
    // As any other file that somebody makes, not hidden from others as temporary ones are.
    let mode = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .permissions(mode)
        .tempfile_in(folder)
        .map_err(Error::file("make a temporary file in", folder))?;
    let mut out = Out { file: BufWriter::new(file), hashes: Hashes::default() };
    out.write(&first, Part::Signed).map_err(failed())?;
    out.write(&bytes, Part::Signed).map_err(failed())?;
    out.write(&head.metadata_signatures, Part::Signature).map_err(failed())?;
    let mut buffer = PageBuffer::new(BUFFER);
    let mut at = 0;
    while at < size {
        let most = usize::try_from(size - at).unwrap_or(BUFFER).min(BUFFER);
        let piece = buffer.get_mut(..most).unwrap_or_default();
        data.read_exact_at(piece, start + at).map_err(Error::read("the data"))?;
        out.write(piece, Part::Signed).map_err(failed())?;
        at += most as u64;
    }
    let whole: [u8; 32] = out.hashes.signed.clone().finalize().into();
    if !signers.is_empty() {
        out.write(&signatures(signers, &whole)?, Part::Signature).map_err(failed())?;
    }
    let file_sha256 = out.hashes.file.clone().finalize().into();
    let file = out.file.into_inner().map_err(|error| failed()(error.into_error()))?;
    file.as_file().sync_all().map_err(failed())?;
    // Commit point: the payload has its name.
    file.persist(output).map_err(|error| failed()(error.error))?;
    Ok(Properties {
        file_sha256,
        file_size: head.payload_size(),
        metadata_sha256,
        metadata_size: header.metadata_size(),
        others: Vec::new(),
    })
}

/// The manifest with its place for signatures of this length, as bytes, and the header before it.
fn metadata(
    manifest: &mut Lossless<DeltaArchiveManifest>,
    size: u64,
    length: usize,
) -> Result<(Header, Vec<u8>)> {
    let signed = (length > 0).then_some(length as u64);
    manifest.signatures_offset = signed.map(|_| size);
    manifest.signatures_size = signed;
    let bytes = manifest.encode_to_vec();
    let header = Header::new(bytes.len() as u64, u32::try_from(length).unwrap_or(u32::MAX))?;
    Ok((header, bytes))
}

/// The length of all signatures: they all are padded to their longest form.
fn signatures_length(longest: &[usize]) -> Result<usize> {
    if longest.is_empty() {
        return Ok(0);
    }
    let each: Vec<_> = longest.iter().map(|length| (vec![0; *length], *length)).collect();
    Ok(Signatures::encode(&each)?.len())
}

fn signatures(signers: &[PrehashSigner], sha256: &[u8; 32]) -> Result<Vec<u8>> {
    let mut each = Vec::new();
    for signer in signers {
        each.push((signer.sign_sha256(sha256)?, signer.longest()));
    }
    Ok(Signatures::encode(&each)?)
}

struct Out {
    file: BufWriter<tempfile::NamedTempFile>,
    hashes: Hashes,
}

impl Out {
    fn write(&mut self, bytes: &[u8], part: Part) -> std::io::Result<()> {
        self.hashes.file.update(bytes);
        if part == Part::Signed {
            self.hashes.signed.update(bytes);
        }
        self.file.write_all(bytes)
    }
}
