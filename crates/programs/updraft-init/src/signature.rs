//! Is this deployment what somebody with a trusted key signed?
//!
//! The signatures stand beside the commit in the repository and cover its bytes, which name the
//! fs-verity digest of the composefs image. The bytes' hash must be the commit's name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use updraft_composefs::VerityDigest;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Commit, Metadata};

use crate::failure::{During, Failure, Result};

/// Where the signatures are in the detached metadata (`aay`).
const SIGNATURES: &str = "ostree.sign.ed25519";
/// Where the digest is in the commit (`ay`).
const DIGEST: &str = "ostree.composefs.digest.v0";
/// What only commits of containers have.
const CONTAINER: &str = "ostree.manifest-digest";
/// What helps when a signature is missing or wrong.
const WAY_OUT: &str = "sign the commit with the key that the initramfs knows, or boot another \
                       deployment";

/// The digest of the image that the commit's signers vouch for.
pub(crate) fn vouched_digest(
    objects: &Path,
    commit: &str,
    keys: &[VerifyingKey],
) -> Result<VerityDigest> {
    let name: Checksum = commit
        .parse()
        .map_err(|_| Failure::new(format!("the deployment's name `{commit}` is no commit")))?;
    let (bytes, read) = load(objects, &name)?;
    // A container's commit is made on the device, where nobody can sign it; that of its base image
    // is signed.
    if let Some(parent) = read.parent
        && read.metadata.get(CONTAINER).is_some()
        && signatures(objects, &name).is_ok_and(|signatures| signatures.is_empty())
    {
        let (bytes, read) = load(objects, &parent)?;
        find_signature(objects, &parent, &bytes, keys)?;
        return digest_of(&read);
    }
    find_signature(objects, &name, &bytes, keys)?;
    digest_of(&read)
}

/// The keys in a file: base64, one a line.
pub(crate) fn read_keys(file: &Path) -> Result<Vec<VerifyingKey>> {
    let bad = |what: &str| {
        Failure::new(format!("the key file {} {what}", file.display()))
            .way_out("put the public ed25519 keys into the initramfs, in base64, one a line")
    };
    let text = fs::read_to_string(file).map_err(|error| bad(&format!("is unreadable: {error}")))?;
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let bytes = BASE64_STANDARD.decode(line).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        keys.push(key.ok_or_else(|| bad("has a line that is no ed25519 key"))?);
    }
    if keys.is_empty() { Err(bad("has no keys")) } else { Ok(keys) }
}

fn load(objects: &Path, name: &Checksum) -> Result<(Vec<u8>, Commit)> {
    let bytes = fs::read(object_path(objects, name, "commit"))
        .during(|| format!("read commit {name} in the repository"))
        .map_err(|failure| failure.way_out(WAY_OUT))?;
    if Checksum::of(&bytes) != *name {
        return Err(
            Failure::new(format!("the object of commit {name} has been changed")).way_out(WAY_OUT)
        );
    }
    let commit = Commit::decode(&bytes).during(|| format!("read commit {name}"))?;
    Ok((bytes, commit))
}

fn find_signature(
    objects: &Path,
    name: &Checksum,
    commit: &[u8],
    keys: &[VerifyingKey],
) -> Result<()> {
    let signatures = signatures(objects, name)?;
    if signatures.is_empty() {
        return Err(
            Failure::new(format!("commit {name} has no ed25519 signature")).way_out(WAY_OUT)
        );
    }
    let valid = signatures.iter().any(|bytes| {
        Signature::from_slice(bytes).is_ok_and(|signature| {
            keys.iter().any(|key| key.verify_strict(commit, &signature).is_ok())
        })
    });
    if valid {
        return Ok(());
    }
    Err(Failure::new(format!("no signature of commit {name} is by a known key")).way_out(WAY_OUT))
}

/// The signatures beside a commit; none when there is no detached metadata.
fn signatures(objects: &Path, name: &Checksum) -> Result<Vec<Vec<u8>>> {
    let path = object_path(objects, name, "commitmeta");
    let detached = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).during(|| format!("read {}", path.display())),
    };
    let detached =
        Metadata::decode(&detached).during(|| format!("read the signatures of commit {name}"))?;
    let list = detached.get(SIGNATURES).and_then(Value::as_array).unwrap_or_default();
    Ok(list.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec).collect())
}

fn digest_of(commit: &Commit) -> Result<VerityDigest> {
    let bytes = commit.metadata.get(DIGEST).and_then(Value::as_bytes);
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(VerityDigest::from_bytes).ok_or_else(|| {
        Failure::new("the signed commit does not name the digest of its composefs image")
            .way_out("commit with --generate-composefs-metadata")
    })
}

fn object_path(objects: &Path, name: &Checksum, end: &str) -> PathBuf {
    let hex = name.to_hex();
    objects.join(&hex[..2]).join(format!("{}.{end}", &hex[2..]))
}
