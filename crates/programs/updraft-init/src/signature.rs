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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    /// A folder of objects to which commits are added.
    struct Objects(tempfile::TempDir);

    impl Objects {
        fn write(&self, name: &Checksum, end: &str, bytes: &[u8]) {
            let path = object_path(self.0.path(), name, end);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }

        /// Adds a commit with these metadata, signed by `signer`.
        fn add(
            &self,
            metadata: &[(&str, Value)],
            parent: Option<Checksum>,
            signer: Option<&SigningKey>,
        ) -> Checksum {
            let mut commit = Commit {
                metadata: Metadata::new(),
                parent,
                related: Vec::new(),
                subject: String::new(),
                body: String::new(),
                timestamp: 0,
                root_dirtree: Checksum::of(b"tree"),
                root_dirmeta: Checksum::of(b"meta"),
            };
            for (key, value) in metadata {
                commit.metadata.insert(*key, value.clone());
            }
            let bytes = commit.encode();
            let name = Checksum::of(&bytes);
            self.write(&name, "commit", &bytes);
            if let Some(signer) = signer {
                let mut detached = Metadata::new();
                // One that is no signature, and one of somebody else, do no harm.
                let other = SigningKey::from_bytes(&[9; 32]).sign(&bytes).to_bytes().to_vec();
                let own = signer.sign(&bytes).to_bytes().to_vec();
                detached.insert(SIGNATURES, Value::byte_arrays([b"x".to_vec(), other, own]));
                self.write(&name, "commitmeta", &detached.encode());
            }
            name
        }

        fn digest(&self, name: &Checksum, key: &SigningKey) -> Result<VerityDigest> {
            vouched_digest(self.0.path(), &name.to_hex(), &[key.verifying_key()])
        }
    }

    fn digest(byte: u8) -> (&'static str, Value) {
        (DIGEST, Value::Bytes(vec![byte; 32]))
    }

    #[test]
    fn only_what_a_known_key_signed_is_vouched_for() {
        let objects = Objects(tempfile::tempdir().unwrap());
        let [key, stranger] = [[7; 32], [8; 32]].map(|seed| SigningKey::from_bytes(&seed));
        let signed = objects.add(&[digest(1)], None, Some(&key));
        assert_eq!(objects.digest(&signed, &key).unwrap(), VerityDigest::from_bytes([1; 32]));
        let refused = |name: &Checksum, key: &SigningKey, said: &str| {
            let told = objects.digest(name, key).unwrap_err().to_string();
            assert!(told.contains(said) && told.contains("way out"), "{told}");
        };
        refused(&signed, &stranger, "is by a known key");
        refused(&objects.add(&[digest(2)], None, None), &key, "has no ed25519 signature");
        refused(&objects.add(&[], None, Some(&key)), &key, "does not name the digest");
        refused(&Checksum::of(b"gone"), &key, "read commit");
        let mut bytes = fs::read(object_path(objects.0.path(), &signed, "commit")).unwrap();
        bytes[0] ^= 1;
        objects.write(&signed, "commit", &bytes);
        refused(&signed, &key, "has been changed");
        assert!(vouched_digest(objects.0.path(), "../../etc", &[key.verifying_key()]).is_err());
    }

    #[test]
    fn a_container_stands_on_its_signed_base() {
        let objects = Objects(tempfile::tempdir().unwrap());
        let key = SigningKey::from_bytes(&[7; 32]);
        let base = objects.add(&[digest(1)], None, Some(&key));
        let container = (CONTAINER, Value::String("sha256:x".into()));
        let merged = objects.add(std::slice::from_ref(&container), Some(base), None);
        assert_eq!(objects.digest(&merged, &key).unwrap(), VerityDigest::from_bytes([1; 32]));
        let plain = objects.add(&[digest(2)], Some(base), None);
        assert!(objects.digest(&plain, &key).is_err(), "only containers may");
        let unsigned = objects.add(&[digest(3)], None, None);
        let merged = objects.add(&[container], Some(unsigned), None);
        assert!(objects.digest(&merged, &key).is_err());
    }

    #[test]
    fn a_file_of_keys_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let good = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
        fs::write(&file, format!("{good}\n\n{good}\n")).unwrap();
        assert_eq!(read_keys(&file).unwrap().len(), 2);
        for (text, said) in [("", "has no keys"), ("A6EH\n", "is no ed25519 key"), ("!\n", "line")]
        {
            fs::write(&file, text).unwrap();
            let told = read_keys(&file).unwrap_err().to_string();
            assert!(told.contains(said), "{told}");
        }
    }
}
