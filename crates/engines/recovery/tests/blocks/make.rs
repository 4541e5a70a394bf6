//! Makes transfer lists, and does what they say in memory, in the simplest way.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::process::Command;

use sha1::Digest as _;
use updraft_fs::Dir;
use updraft_payload::transfer_list::TransferList;
use updraft_recovery_engine::{Attempt, BlockDevice, BlockUpdate, Result};
use updraft_task::Context;

pub(crate) const NAME: &str = "/dev/block/by-name/system";

/// Blocks of random bytes.
pub(crate) fn noise(seed: u64, blocks: usize) -> Vec<u8> {
    let mut chance = fastrand::Rng::with_seed(seed);
    (0..blocks * 4096).map(|_| chance.u8(..)).collect()
}

pub(crate) fn sha1(bytes: &[u8]) -> String {
    let digest: [u8; 20] = sha1::Sha1::digest(bytes).into();
    hex::encode(digest)
}

#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) old: Vec<u8>,
    /// The image as it is after the commands so far.
    pub(crate) image: Vec<u8>,
    pub(crate) list: String,
    pub(crate) new: Vec<u8>,
    pub(crate) patches: Vec<u8>,
    stashed: BTreeMap<String, Vec<u8>>,
    pub(crate) most_stashed: usize,
}

impl Maker {
    pub(crate) fn new(old: Vec<u8>) -> Self {
        Self {
            image: old.clone(),
            old,
            list: String::new(),
            new: Vec::new(),
            patches: Vec::new(),
            stashed: BTreeMap::new(),
            most_stashed: 100,
        }
    }

    fn ranges(text: &str) -> Vec<std::ops::Range<usize>> {
        let numbers: Vec<usize> = text.split(',').map(|word| word.parse().unwrap()).collect();
        numbers[1..].chunks(2).map(|pair| pair[0] * 4096..pair[1] * 4096).collect()
    }

    pub(crate) fn get(&self, ranges: &str) -> Vec<u8> {
        Self::ranges(ranges).into_iter().flat_map(|range| self.image[range].to_vec()).collect()
    }

    fn put(&mut self, ranges: &str, mut bytes: &[u8]) {
        for range in Self::ranges(ranges) {
            let (piece, rest) = bytes.split_at(range.len());
            self.image[range].copy_from_slice(piece);
            bytes = rest;
        }
        assert!(bytes.is_empty());
    }

    fn say(&mut self, line: &str) {
        self.list += line;
        self.list.push('\n');
    }

    pub(crate) fn new_blocks(&mut self, target: &str, bytes: &[u8]) {
        self.new.extend(bytes);
        self.put(target, bytes);
        self.say(&format!("new {target}"));
    }

    pub(crate) fn fill(&mut self, command: &str, target: &str, byte: u8) {
        let bytes = vec![byte; self.get(target).len()];
        self.put(target, &bytes);
        self.say(&format!("{command} {target}"));
    }

    pub(crate) fn stash(&mut self, ranges: &str) -> String {
        let bytes = self.get(ranges);
        let id = sha1(&bytes);
        self.stashed.insert(id.clone(), bytes);
        self.say(&format!("stash {id} {ranges}"));
        id
    }

    pub(crate) fn free(&mut self, id: &str) {
        self.say(&format!("free {id}"));
    }

    /// What `R`, `- ID:R …` or `R PLACES ID:R …` is.
    fn source(&self, text: &str) -> Vec<u8> {
        let words: Vec<&str> = text.split(' ').collect();
        if words.len() == 1 {
            return self.get(words[0]);
        }
        let mut parts = Vec::new();
        let mut rest = &words[1..];
        if words[0] != "-" {
            parts.push((self.get(words[0]), words[1]));
            rest = &words[2..];
        }
        for word in rest {
            let (id, places) = word.split_once(':').unwrap();
            parts.push((self.stashed[id].clone(), places));
        }
        let mut source = vec![0; parts.iter().map(|(bytes, _)| bytes.len()).sum()];
        for (bytes, places) in parts {
            let mut rest = &bytes[..];
            for range in Self::ranges(places) {
                let (piece, after) = rest.split_at(range.len());
                source[range].copy_from_slice(piece);
                rest = after;
            }
        }
        source
    }

    pub(crate) fn move_blocks(&mut self, target: &str, source: &str) {
        let bytes = self.source(source);
        let (hash, count) = (sha1(&bytes), bytes.len() / 4096);
        self.put(target, &bytes);
        self.say(&format!("move {hash} {target} {count} {source}"));
    }

    /// By Debian's bsdiff.
    pub(crate) fn bsdiff(&mut self, target: &str, source: &str, made: &[u8]) {
        let bytes = self.source(source);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("old"), &bytes).unwrap();
        std::fs::write(path("new"), made).unwrap();
        let mut bsdiff = Command::new("bsdiff");
        let status = bsdiff.args([path("old"), path("new"), path("patch")]).status();
        assert!(status.unwrap().success());
        let patch = std::fs::read(path("patch")).unwrap();
        self.patch("bsdiff", target, source, (&bytes, made), &patch);
    }

    pub(crate) fn patch(
        &mut self,
        kind: &str,
        target: &str,
        source: &str,
        (bytes, made): (&[u8], &[u8]),
        patch: &[u8],
    ) {
        let (offset, length) = (self.patches.len(), patch.len());
        self.patches.extend(patch);
        let (from, to, count) = (sha1(bytes), sha1(made), bytes.len() / 4096);
        self.put(target, made);
        self.say(&format!("{kind} {offset} {length} {from} {to} {target} {count} {source}"));
    }

    /// By veritysetup.
    pub(crate) fn hash_tree(&mut self, tree: &str, data: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("data"), self.get(data)).unwrap();
        let mut verity = Command::new("veritysetup");
        verity.args("format --no-superblock --hash=sha256 --salt=aabb".split(' '));
        verity.args("--data-block-size=4096 --hash-block-size=4096".split(' '));
        let output = verity.args([path("data"), path("tree")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let root = text.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap();
        let (root, bytes) = (root.trim().to_owned(), std::fs::read(path("tree")).unwrap());
        self.put(tree, &bytes);
        self.say(&format!("compute_hash_tree {tree} {data} sha256 aabb {root}"));
    }

    pub(crate) fn text(&self) -> String {
        format!("4\n1000\n0\n{}\n{}", self.most_stashed, self.list)
    }

    /// Updates a device as this list says.
    pub(crate) fn update(
        &self,
        device: &dyn BlockDevice,
        state: &Dir,
        attempt: Attempt,
    ) -> Result<()> {
        self.with(device, state, |update| update.update(&Context::silent(), attempt))
    }

    pub(crate) fn verify(&self, device: &dyn BlockDevice, state: &Dir) -> Result<()> {
        self.with(device, state, |update| update.verify(&Context::silent()))
    }

    fn with<T>(
        &self,
        device: &dyn BlockDevice,
        state: &Dir,
        work: impl FnOnce(&BlockUpdate<'_>) -> Result<T>,
    ) -> Result<T> {
        let list = TransferList::parse(&self.text()).unwrap();
        let new = self.new.clone();
        let new_data = move || Ok(Box::new(Cursor::new(new.clone())) as Box<dyn Read>);
        work(&BlockUpdate {
            name: NAME,
            device,
            list: &list,
            new_data: &new_data,
            patches: &self.patches,
            state,
        })
    }
}
