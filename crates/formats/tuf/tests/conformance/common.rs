//! A repository in memory that tests can bend, a driver, and toy signatures.
//!
//! The real signatures are covered where they are made; here a signature is a hash of key and
//! message, so that thousands of files cost nothing.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by several test programs, which use different parts"
)]

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::{Map, Value, json};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Ecu, Envelope, FileMeta, Hashes, Header,
    Key, KeyType, Options, Outcome, Payload, PublicKey, Refusal, Repository, RoleFiles, RoleKeys,
    RoleName, Root, Sign, SigningFailed, Snapshot, Step, Target, Targets, Timestamp,
    TrustedMetadata, TufOutcome, TufUpdater, UptaneUpdater, VerifySignature,
};

pub const NOW: &str = "2030-06-01T00:00:00Z";

pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

pub fn later() -> Time {
    time("2031-01-01T00:00:00Z")
}

pub fn earlier() -> Time {
    time("2030-01-01T00:00:00Z")
}

/// A toy key: its signatures are hashes that anybody could make.
#[derive(Debug, Clone)]
pub struct ToyKey(pub PublicKey);

pub fn key(seed: u8) -> ToyKey {
    ToyKey(PublicKey::new(KeyType::Ed25519, vec![seed; 32]).unwrap())
}

impl Sign for ToyKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(toy_signature(&self.0, message))
    }
}

fn toy_signature(key: &PublicKey, message: &[u8]) -> Vec<u8> {
    updraft_tuf::sha256_hex(&[key.as_bytes(), message].concat()).into_bytes()
}

#[derive(Debug, Clone, Copy)]
pub struct ToyVerifier;

impl VerifySignature for ToyVerifier {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        toy_signature(key, message) == signature
    }
}

/// A repository: change its payloads, then `publish`; or change `files` to attack.
#[derive(Debug, Clone)]
pub struct Server {
    pub dialect: Dialect,
    pub root: Root,
    /// Role → the keys that sign its file, the trusted ones or others.
    pub signers: BTreeMap<String, Vec<ToyKey>>,
    pub targets: Targets,
    pub delegated: BTreeMap<String, Targets>,
    pub snapshot_version: u64,
    pub snapshot_expires: Time,
    pub timestamp_version: u64,
    pub timestamp_expires: Time,
    /// Whether the snapshot gives hashes and lengths.
    pub detailed: bool,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Server {
    pub fn new(dialect: Dialect, seed: u8) -> Self {
        let header = |version| Header::new(dialect, version, later());
        let mut server = Self {
            dialect,
            root: Root {
                header: header(1),
                consistent_snapshot: (dialect == Dialect::Tuf).then_some(true),
                keys: BTreeMap::new(),
                roles: BTreeMap::new(),
                extra: Map::new(),
            },
            signers: BTreeMap::new(),
            targets: Targets::empty(header(1)),
            delegated: BTreeMap::new(),
            snapshot_version: 1,
            snapshot_expires: later(),
            timestamp_version: 1,
            timestamp_expires: later(),
            detailed: true,
            files: BTreeMap::new(),
        };
        for (offset, role) in ["root", "targets", "snapshot", "timestamp"].iter().enumerate() {
            server.set_role(role, &[key(seed + u8::try_from(offset).unwrap())], 1);
        }
        server.publish_root();
        server.publish();
        server
    }

    /// Gives a top-level role these keys, in the root and for signing.
    pub fn set_role(&mut self, role: &str, keys: &[ToyKey], threshold: u64) {
        let ids = keys.iter().map(|key| key.0.key_id(self.dialect)).collect();
        for key in keys {
            let id = key.0.key_id(self.dialect);
            self.root.keys.insert(id, Key::new(self.dialect, key.0.clone()));
        }
        self.root.roles.insert(role.to_owned(), RoleKeys::new(ids, threshold));
        self.signers.insert(role.to_owned(), keys.to_vec());
    }

    pub fn sign(&self, payload: Value, keys: &[ToyKey]) -> Vec<u8> {
        let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        Envelope::sign(self.dialect, payload, &keys).unwrap().to_bytes(self.dialect).unwrap()
    }

    pub fn signed<T: Payload>(&self, role: &str, payload: &T) -> Vec<u8> {
        self.sign(payload.to_value(self.dialect), &self.signers[role])
    }

    pub fn put_root(&mut self, signers: &[ToyKey]) {
        let bytes = self.sign(self.root.to_value(self.dialect), signers);
        self.files.insert(format!("{}.root.json", self.root.header.version), bytes);
    }

    pub fn publish_root(&mut self) {
        self.put_root(&self.signers["root"].clone());
    }

    /// One version up, signed by old and new root keys.
    pub fn rotate(&mut self, change: impl FnOnce(&mut Self)) {
        let mut signers = self.signers["root"].clone();
        change(self);
        self.root.header.version += 1;
        let known: Vec<_> = signers.iter().map(|key| key.0.clone()).collect();
        let new = self.signers["root"].iter().filter(|key| !known.contains(&key.0));
        signers.extend(new.cloned());
        self.put_root(&signers);
    }

    /// Signs and serves targets, delegated targets, snapshot and timestamp as they are.
    pub fn publish(&mut self) {
        let mut meta = BTreeMap::new();
        let targets = self.signed("targets", &self.targets);
        meta.insert("targets.json".to_owned(), self.meta(self.targets.header.version, &targets));
        self.put("targets", self.targets.header.version, targets);
        for (name, payload) in self.delegated.clone() {
            let bytes = self.signed(&name, &payload);
            meta.insert(format!("{name}.json"), self.meta(payload.header.version, &bytes));
            self.put(&name, payload.header.version, bytes);
        }
        let snapshot = Snapshot {
            header: Header::new(self.dialect, self.snapshot_version, self.snapshot_expires),
            meta,
            extra: Map::new(),
        };
        self.put_snapshot(&snapshot);
    }

    pub fn put_snapshot(&mut self, snapshot: &Snapshot) {
        let bytes = self.signed("snapshot", snapshot);
        self.put("snapshot", snapshot.header.version, bytes.clone());
        self.put_timestamp(FileMeta::of(snapshot.header.version, &bytes));
    }

    pub fn put_timestamp(&mut self, snapshot: FileMeta) {
        let header = Header::new(self.dialect, self.timestamp_version, self.timestamp_expires);
        let timestamp = Timestamp { header, snapshot, extra: Map::new() };
        let bytes = self.signed("timestamp", &timestamp);
        self.files.insert("timestamp.json".to_owned(), bytes);
    }

    /// Everything one version up.
    pub fn advance(&mut self) {
        self.targets.header.version += 1;
        for targets in self.delegated.values_mut() {
            targets.header.version += 1;
        }
        self.snapshot_version += 1;
        self.timestamp_version += 1;
        self.publish();
    }

    fn meta(&self, version: u64, bytes: &[u8]) -> FileMeta {
        if self.detailed {
            return FileMeta::of(version, bytes);
        }
        FileMeta { version, length: None, hashes: None, extra: Map::new() }
    }

    /// Serves a file under its versioned and its plain name.
    pub fn put(&mut self, role: &str, version: u64, bytes: Vec<u8>) {
        let is_top = ["root", "targets", "snapshot", "timestamp"].contains(&role);
        let folder = if is_top || self.dialect == Dialect::Tuf { "" } else { "delegations/" };
        let role = role.replace('/', "%2F").replace('?', "%3F");
        self.files.insert(format!("{folder}{version}.{role}.json"), bytes.clone());
        self.files.insert(format!("{folder}{role}.json"), bytes);
    }

    /// The current bytes of the file with this plain name.
    pub fn file(&self, name: &str) -> Vec<u8> {
        self.files[name].clone()
    }

    pub fn root_bytes(&self) -> Vec<u8> {
        self.files["1.root.json"].clone()
    }
}

/// A client with its store and the servers that it talks to.
#[derive(Debug, Clone)]
pub struct World {
    pub director: Server,
    pub image: Server,
    pub store: TrustedMetadata,
    pub ecus: Vec<Ecu>,
    pub now: Time,
    pub options: Options,
    pub fetched: Vec<String>,
    pub deleted: Vec<String>,
}

pub fn image_target(content: &[u8]) -> Target {
    let mut target = Target::new(content.len() as u64, Hashes::of(content));
    target.custom = Some(json!({ "hardwareIds": ["hw-1", "hw-2"], "targetFormat": "BINARY" }));
    target
}

pub fn director_target(content: &[u8], serial: &str, hardware_id: &str) -> Target {
    let mut target = Target::new(content.len() as u64, Hashes::of(content));
    target.custom = Some(json!({ "ecuIdentifiers": { serial: { "hardwareId": hardware_id } } }));
    target
}

impl World {
    /// A vehicle with the ECUs `primary` (hw-1) and `second` (hw-2); `fw.bin` is assigned.
    pub fn uptane() -> Self {
        let mut director = Server::new(Dialect::Uptane, 10);
        let mut image = Server::new(Dialect::Uptane, 20);
        image.targets.targets.insert("fw.bin".to_owned(), image_target(b"firmware"));
        image.publish();
        let target = director_target(b"firmware", "primary", "hw-1");
        director.targets.targets.insert("fw.bin".to_owned(), target);
        director.publish();
        Self::new(director, image)
    }

    /// A TUF repository with `fw.bin`.
    pub fn tuf() -> Self {
        let mut image = Server::new(Dialect::Tuf, 20);
        image.targets.targets.insert("fw.bin".to_owned(), image_target(b"firmware"));
        image.publish();
        Self::new(Server::new(Dialect::Tuf, 10), image)
    }

    fn new(director: Server, image: Server) -> Self {
        let mut store = TrustedMetadata::default();
        store.director.insert(RoleName::Root, director.root_bytes());
        store.image.insert(RoleName::Root, image.root_bytes());
        let ecu = |serial: &str, hardware_id: &str| Ecu {
            serial: serial.to_owned(),
            hardware_id: hardware_id.to_owned(),
        };
        let options = Options::new(image.dialect);
        Self {
            director,
            image,
            store,
            ecus: vec![ecu("primary", "hw-1"), ecu("second", "hw-2")],
            now: time(NOW),
            options,
            fetched: Vec::new(),
            deleted: Vec::new(),
        }
    }

    pub fn server(&mut self, repository: Repository) -> &mut Server {
        match repository {
            Repository::Director => &mut self.director,
            Repository::Image => &mut self.image,
        }
    }

    /// Changes files until the machine is done or `crash_after` files were stored or deleted.
    pub fn drive<O>(
        &mut self,
        mut next: impl FnMut(Option<Option<Vec<u8>>>) -> Result<Step<O>, Refusal>,
        mut crash_after: usize,
    ) -> Option<Result<O, Refusal>> {
        self.fetched.clear();
        self.deleted.clear();
        let mut reply = None;
        loop {
            let step = match next(reply.take()) {
                Ok(step) => step,
                Err(refusal) => return Some(Err(refusal)),
            };
            match step {
                Step::Fetch { repository, file_name, max_length, .. } => {
                    self.fetched.push(format!("{repository}/{file_name}"));
                    let bytes = self.server(repository).files.get(&file_name).cloned();
                    let limit = usize::try_from(max_length).unwrap().saturating_add(1);
                    reply = Some(bytes.map(|mut bytes| {
                        bytes.truncate(limit);
                        bytes
                    }));
                }
                Step::Persist { .. } | Step::Delete { .. } if crash_after == 0 => return None,
                Step::Persist { repository, role, bytes } => {
                    crash_after -= 1;
                    self.store.files_mut(repository).insert(role, bytes);
                }
                Step::Delete { repository, role } => {
                    crash_after -= 1;
                    self.deleted.push(format!("{repository}/{role}"));
                    self.store.files_mut(repository).remove(&role);
                }
                Step::Done(outcome) => return Some(Ok(outcome)),
            }
        }
    }

    pub fn run(&mut self) -> Result<Outcome, Refusal> {
        self.run_until(usize::MAX).unwrap()
    }

    /// `None` when the power was cut before the store changed once more.
    pub fn run_until(&mut self, crash_after: usize) -> Option<Result<Outcome, Refusal>> {
        let store = self.store.clone();
        let options = self.options.clone();
        let mut updater = UptaneUpdater::new(store, &self.ecus, self.now, &options, ToyVerifier);
        self.drive(
            |reply| {
                match reply {
                    Some(Some(bytes)) => updater.received(&bytes)?,
                    Some(None) => updater.absent()?,
                    None => {}
                }
                updater.next()
            },
            crash_after,
        )
    }

    pub fn run_tuf(&mut self, wanted: &[&str]) -> Result<TufOutcome, Refusal> {
        self.run_tuf_until(wanted, usize::MAX).unwrap()
    }

    pub fn run_tuf_until(
        &mut self,
        wanted: &[&str],
        crash_after: usize,
    ) -> Option<Result<TufOutcome, Refusal>> {
        let wanted: Vec<String> = wanted.iter().map(|path| (*path).to_owned()).collect();
        let store = self.store.image.clone();
        let options = self.options.clone();
        let mut updater = TufUpdater::new(store, &wanted, self.now, &options, ToyVerifier);
        self.drive(
            |reply| {
                match reply {
                    Some(Some(bytes)) => updater.received(&bytes)?,
                    Some(None) => updater.absent()?,
                    None => {}
                }
                updater.next()
            },
            crash_after,
        )
    }

    /// Delegates every path of the Image repository to `team`, which lists `fw.bin` then.
    pub fn delegate_to_team(&mut self) {
        let dialect = self.image.dialect;
        let signer = key(60);
        let id = signer.0.key_id(dialect);
        let target = self.image.targets.targets.remove("fw.bin").unwrap();
        let keys = RoleKeys::new(vec![id.clone()], 1);
        let paths = DelegatedPaths::Patterns(vec!["*".to_owned()]);
        self.image.targets.delegations = Some(Delegations {
            keys: [(id, Key::new(dialect, signer.0.clone()))].into(),
            roles: vec![DelegatedRole::new("team", keys, paths)],
            ..Delegations::empty()
        });
        let mut team = Targets::empty(Header::new(dialect, 1, later()));
        team.targets.insert("fw.bin".to_owned(), target);
        self.image.delegated.insert("team".to_owned(), team);
        self.image.signers.insert("team".to_owned(), vec![signer]);
        self.image.publish();
    }

    /// Runs the client that this world is made for: `true` when `fw.bin` may be installed.
    pub fn run_any(&mut self) -> Result<bool, Refusal> {
        match self.image.dialect {
            Dialect::Uptane => self.run().map(|outcome| outcome != Outcome::UpToDate),
            Dialect::Tuf => {
                let outcome = self.run_tuf(&["fw.bin"])?;
                Ok(outcome.wanted["fw.bin"].is_some())
            }
        }
    }

    #[track_caller]
    pub fn refused(&mut self, name: &str) {
        match self.run() {
            Err(refusal) => assert_eq!(refusal.name(), name, "{refusal}"),
            Ok(outcome) => panic!("not refused: {outcome:?}"),
        }
    }

    #[track_caller]
    pub fn refused_tuf(&mut self, name: &str) {
        match self.run_tuf(&["fw.bin"]) {
            Err(refusal) => assert_eq!(refusal.name(), name, "{refusal}"),
            Ok(outcome) => panic!("not refused: {outcome:?}"),
        }
    }

    #[track_caller]
    pub fn accepted_tuf(&mut self) {
        let outcome = self.run_tuf(&["fw.bin"]).unwrap();
        let target = outcome.wanted["fw.bin"].as_ref().unwrap();
        assert!(target.hashes.verify(b"firmware"));
    }

    #[track_caller]
    pub fn accepted(&mut self) {
        match self.run().unwrap() {
            Outcome::Update(targets) => assert_eq!(targets[0].filepath, "fw.bin"),
            Outcome::UpToDate => panic!("no update"),
        }
    }
}

pub fn stored(files: &RoleFiles, role: &RoleName) -> Option<Vec<u8>> {
    files.get(role).map(<[u8]>::to_vec)
}
