//! `apply_patch` and `apply_patch_check`, for files and for partitions (before Android 10).
//!
//! ```text
//! apply_patch(SOURCE, TARGET, SHA1, SIZE, SHA1, PATCH, …)     SOURCE  a path, or EMMC:DEVICE:SIZE:SHA1:…
//! apply_patch_check(SOURCE, SHA1, …)                          TARGET  a path, or - for the same
//! ```
//! The file or partition becomes what SIZE and SHA1 say, by the patch for what it is now. What is right
//! already stays.

use updraft_error::Kind;

use super::Updater;
use super::evaluate::Value;
use crate::block::sha1;
use crate::partition::{self, PartitionSpec, partition_is, patch_partition};
use crate::{Error, Result, patch};

/// The largest file that is patched, in bytes: it is held in memory.
const MAX: u64 = 256 << 20;
const DEVICE: &str = "EMMC:";

/// What `apply_patch` is given.
pub(super) struct PatchCall<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) hash: &'a str,
    pub(super) size: &'a str,
    /// Each for content with this SHA-1.
    pub(super) patches: Vec<(String, Value)>,
}

impl Updater<'_> {
    pub(super) fn apply_patch(&self, call: &PatchCall<'_>) -> Result<()> {
        if call.source.starts_with(DEVICE) {
            return self.patch_old_partition(call);
        }
        let same = call.target == "-";
        let target = if same { call.source } else { call.target };
        let wanted = |bytes: &[u8]| hex::encode(sha1(bytes)).eq_ignore_ascii_case(call.hash);
        if self.file(target, MAX)?.is_some_and(|bytes| wanted(&bytes)) {
            return Ok(());
        }
        let bad = |kind, problem| Error::entry(target, kind, problem);
        let source = self.file(call.source, MAX)?;
        let source =
            source.ok_or_else(|| bad(Kind::NotFound, "what it is made of is not there"))?;
        let bytes = call.patch_for(&hex::encode(sha1(&source)));
        let bytes = bytes.ok_or_else(|| {
            bad(Kind::Conflict, "it is made of a file that is another than the package is for")
        })?;
        let most = call.size.parse().ok().filter(|size| *size <= MAX);
        let most = most.ok_or_else(|| bad(Kind::Invalid, "its size is none, or over 256 MiB"))?;
        let made = patch::apply(&source, bytes, &[], most)
            .map_err(|problem| bad(Kind::Invalid, problem))?;
        if !wanted(&made) || made.len() as u64 != most {
            let problem = "its patch makes something else; nothing of it was written";
            return Err(bad(Kind::Invalid, problem));
        }
        // What replaces it appears whole: there is no moment at which neither is there.
        self.replace_file(target, &made, &self.system.path(call.source))
    }

    /// The partition, by the patch for what it is now.
    fn patch_old_partition(&self, call: &PatchCall<'_>) -> Result<()> {
        let (device, known) = contents_of(call.source)?;
        let target = call.target.strip_prefix(DEVICE).and_then(|rest| rest.split(':').next());
        let target = target.unwrap_or(device);
        let target = PartitionSpec::parse(&spec(target, call.size, call.hash))?;
        if partition_is(self.system, &target)? {
            return Ok(());
        }
        for (size, hash) in known {
            let Some(patch) = call.patch_for(hash) else { continue };
            let source = PartitionSpec::parse(&spec(device, size, hash))?;
            if partition::can_patch(self.system, self.state, &target, &source)? {
                self.begins()?;
                return patch_partition(self.system, self.state, &target, &source, (patch, &[]));
            }
        }
        let problem = "it is not what any of its patches is for, and nobody saved that";
        Err(Error::entry(device, Kind::Conflict, problem))
    }

    /// Whether a file or a partition is one of these, or was and is set aside.
    pub(super) fn apply_patch_check(&self, source: &str, hashes: &[String]) -> Result<bool> {
        if source.starts_with(DEVICE) {
            let (device, known) = contents_of(source)?;
            for (size, hash) in known {
                let spec = PartitionSpec::parse(&spec(device, size, hash))?;
                // The same on both sides: it is this, or it was saved.
                if partition::can_patch(self.system, self.state, &spec, &spec)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Some(bytes) = self.file(source, MAX)? else { return Ok(false) };
        let own = hex::encode(sha1(&bytes));
        Ok(hashes.is_empty() || hashes.iter().any(|hash| hash.eq_ignore_ascii_case(&own)))
    }
}

impl PatchCall<'_> {
    fn patch_for(&self, hash: &str) -> Option<&[u8]> {
        let own = self.patches.iter().find(|(own, _)| own.eq_ignore_ascii_case(hash));
        own.map(|(_, patch)| &patch[..])
    }
}

/// The device of `EMMC:DEVICE:SIZE:SHA1:SIZE:SHA1…`, and what it may be.
fn contents_of(text: &str) -> Result<(&str, Vec<(&str, &str)>)> {
    let words: Vec<&str> = text.split(':').collect();
    match words.get(1..).and_then(<[&str]>::split_first) {
        Some((device, contents)) if !contents.is_empty() && contents.len() % 2 == 0 => {
            let pairs = contents.chunks(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
            Ok((device, pairs.collect()))
        }
        _ => {
            let problem = "it is not EMMC:DEVICE:SIZE:SHA1";
            Err(Error::Partition { spec: text.to_owned(), problem, kind: Kind::Invalid })
        }
    }
}

fn spec(device: &str, size: &str, hash: &str) -> String {
    format!("{DEVICE}{device}:{size}:{hash}")
}
