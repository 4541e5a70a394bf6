//! Payloads of a release: read and verified before anything is signed, described in their targets, and
//! uploaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use updraft_api::paths;
use updraft_error::Kind;
use updraft_http::Body;
use updraft_payload::DescribedPayload;
use updraft_payload::described::{
    DescribedDelta, DescribedPartition, MAX_DELTAS, lines_of, new_contents, old_contents,
};
use updraft_slots::{FileSource, Trust};
use updraft_task::Context;
use updraft_terminal::{Failure, Result, ResultExt as _};

use crate::server::Server;
use crate::text;

const BUFFER: usize = 1 << 20;

/// A file that is a target.
#[derive(Debug, Clone)]
pub(super) struct TargetFile {
    path: PathBuf,
    /// How many bytes it has.
    pub(super) length: u64,
    /// Its SHA-256 in lower hex.
    pub(super) sha256: String,
}

impl TargetFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read `{}`", path.display());
        let mut file = File::open(path).with_context(failed)?;
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer).with_context(failed)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            hash.update(piece);
            length += read as u64;
        }
        Ok(Self { path: path.to_owned(), length, sha256: hex::encode(hash.finalize()) })
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Sends it as the content of the target with this name, which is published.
    pub(super) fn upload(&self, server: &Server, target: &str) -> Result {
        let path = self.path.clone();
        let open = move || Ok(Box::new(File::open(&path)?) as Box<dyn Read + Send>);
        let body = Body::Reader { length: self.length, open: Arc::new(open) };
        let uploaded = server.put_body(&paths::image_file(target), body);
        uploaded.with_context(|| format!("failed to upload `{}`", self.path.display()))
    }
}

/// A payload, by itself or in an OTA package.
#[derive(Debug)]
pub(super) struct PayloadFile {
    pub(super) file: TargetFile,
    offset: u64,
    properties: BTreeMap<String, String>,
    old: Vec<DescribedPartition>,
    new: Vec<DescribedPartition>,
}

impl PayloadFile {
    /// Reads all of it: what is damaged is not published.
    pub(super) fn read(context: &Context, path: &Path) -> Result<Self> {
        let failed = || format!("failed to read the payload `{}`", path.display());
        let mut source = FileSource::open(path).with_context(failed)?;
        let trust = Trust::default();
        let verified = updraft_slots::verify(context, &mut source, &trust).with_context(failed)?;
        Ok(Self {
            file: TargetFile::read(path)?,
            offset: source.offset(),
            properties: lines_of(&verified.properties),
            old: old_contents(&verified.head.manifest),
            new: new_contents(&verified.head.manifest),
        })
    }
}

/// What is released for one sort of hardware: a payload, and deltas that make the same.
#[derive(Debug)]
pub(super) struct PayloadSet {
    pub(super) hardware: String,
    pub(super) full: PayloadFile,
    deltas: Vec<PayloadFile>,
}

impl PayloadSet {
    /// The files, which are given for hardware by name, together.
    pub(super) fn read(
        context: &Context,
        payloads: &[(String, PathBuf)],
        deltas: &[(String, PathBuf)],
    ) -> Result<Vec<Self>> {
        let mut sets: Vec<Self> = Vec::new();
        for (hardware, path) in payloads {
            let full = PayloadFile::read(context, path)?;
            if !full.old.is_empty() {
                let message =
                    format!("`{}` is a delta, which not every device can use", path.display());
                return Err(Failure::new(Kind::Invalid, message)
                    .hint("give a full payload with --payload, and this one with --delta"));
            }
            sets.push(Self { hardware: hardware.clone(), full, deltas: Vec::new() });
        }
        for (hardware, path) in deltas {
            let set = sets.iter_mut().find(|set| set.hardware == *hardware).ok_or_else(|| {
                let message = format!("there is a delta for `{hardware}`, and no payload");
                Failure::new(Kind::Invalid, message)
                    .hint("devices that run something else need one: --payload HARDWARE=FILE")
            })?;
            set.add(PayloadFile::read(context, path)?)?;
        }
        Ok(sets)
    }

    fn add(&mut self, delta: PayloadFile) -> Result {
        let name = delta.file.name();
        let refused = |problem: &str| {
            Err(Failure::new(Kind::Invalid, format!("failed to use the delta `{name}`: {problem}")))
        };
        if delta.old.is_empty() {
            return refused("it is a full payload");
        }
        if delta.new != self.full.new {
            return refused("it makes something else than the payload");
        }
        if self.deltas.len() >= MAX_DELTAS {
            return refused(&format!("there are more than {MAX_DELTAS}"));
        }
        self.deltas.push(delta);
        Ok(())
    }

    /// The deltas' files with the names of their targets, where `filepath` is that of the payload's.
    pub(super) fn delta_targets(&self, filepath: &str) -> Vec<(String, &TargetFile)> {
        let named = |delta: &PayloadFile| text::short(&delta.file.sha256);
        let name = |delta| format!("{filepath}-delta-{}", named(delta));
        self.deltas.iter().map(|delta| (name(delta), &delta.file)).collect()
    }

    /// What the target of the payload says of it.
    pub(super) fn described(&self, filepath: &str) -> DescribedPayload {
        let names = self.delta_targets(filepath);
        let deltas = self.deltas.iter().zip(names).map(|(delta, (target, file))| DescribedDelta {
            target,
            length: file.length,
            sha256: file.sha256.clone(),
            offset: delta.offset,
            properties: delta.properties.clone(),
            from: delta.old.clone(),
        });
        DescribedPayload {
            offset: self.full.offset,
            properties: self.full.properties.clone(),
            partitions: self.full.new.clone(),
            deltas: deltas.collect(),
        }
    }
}
