//! Both repositories of a vehicle, signed for real, and an ECU in a folder.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use jiff::Timestamp;
use tempfile::TempDir;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::{
    Assignment, DirectorRepository, Draft, Expiries, ImageRepository, OFFLINE_SNAPSHOT,
    OFFLINE_UPDATES, OfflineMeta, RootPlan, TopLevelKeys, edited_root, enter_role,
    offline_snapshot, offline_updates, read_root,
};
use updraft_secondary::payload::{FilePayload, Payload};
use updraft_secondary::{Ecu, EcuOptions, Verification};
use updraft_tuf::{
    Dialect, DirectorFiles, Envelope, FirstRoot, Hashes, Payload as _, RoleFiles, RoleName, Root,
    Target, TrustedMetadata,
};

pub const SERIAL: &str = "brake-1";
pub const HARDWARE: &str = "brake";
const DIALECT: Dialect = Dialect::Uptane;

pub fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn expiry() -> Timestamp {
    "2026-07-01T00:00:00Z".parse().unwrap()
}

/// Both repositories.
pub struct Vehicle {
    director_keys: Vec<SigningKey>,
    image_keys: Vec<SigningKey>,
    director_roots: Vec<Vec<u8>>,
    image: ImageRepository,
    director_version: u64,
}

fn plan(key: &SigningKey) -> RootPlan {
    let keys = || TopLevelKeys::single(key.public().clone());
    RootPlan { root: keys(), targets: keys(), snapshot: keys(), timestamp: keys() }
}

fn new_key() -> SigningKey {
    SigningKey::generate(KeyAlgorithm::Ed25519).unwrap()
}

impl Vehicle {
    pub fn new() -> Self {
        let (director, image) = (new_key(), new_key());
        let mut root = plan(&director).first_root(DIALECT, expiry());
        root.sign(&[&director]).unwrap();
        let director_roots = vec![root.finish().unwrap()];
        let mut root = plan(&image).first_root(DIALECT, expiry());
        root.sign(&[&image]).unwrap();
        let repository = ImageRepository::new(DIALECT, &root.finish().unwrap(), now()).unwrap();
        Self {
            director_keys: vec![director],
            image_keys: vec![image],
            director_roots,
            image: repository,
            director_version: 0,
        }
    }

    /// Signs a target for this hardware.
    pub fn publish(&mut self, name: &str, content: &[u8], hardware: &str, version: &str) {
        self.publish_with(name, (content.len(), Hashes::of(content)), hardware, version);
    }

    /// Signs a target of this length and with these hashes, whatever it is.
    pub fn publish_with(
        &mut self,
        name: &str,
        (length, hashes): (usize, Hashes),
        hardware: &str,
        version: &str,
    ) {
        let mut target = Target::new(length as u64, hashes);
        target.custom = Some(serde_json::json!({
            "hardwareIds": [hardware], "targetFormat": "BINARY", "version": version,
        }));
        let mut draft = self.image.draft_targets(expiry(), Vec::new(), |targets| {
            targets.targets.insert(name.to_owned(), target);
        });
        let key = self.image_keys.last().unwrap();
        draft.sign(&[key]).unwrap();
        self.image.accept_targets(&draft.finish().unwrap(), now()).unwrap();
        self.refresh();
    }

    fn refresh(&mut self) {
        let until = expiry();
        let expiries = Expiries { targets: until, snapshot: until, timestamp: until };
        let key = self.image_keys.last().unwrap();
        self.image.refresh(&[key], expiries, now()).unwrap();
    }

    /// What the Director assigns to (ECU, hardware), and all files as the primary has them.
    pub fn assign(&mut self, name: &str, content: &[u8], ecus: &[(&str, &str)]) -> TrustedMetadata {
        self.director_version += 1;
        let root = self.director_roots.last().unwrap();
        let key = self.director_keys.last().unwrap();
        let director = DirectorRepository::new(DIALECT, root, vec![key]).unwrap();
        let assignments: Vec<Assignment> = ecus
            .iter()
            .map(|(serial, hardware)| Assignment {
                ecu_serial: (*serial).to_owned(),
                hardware_id: (*hardware).to_owned(),
                filepath: name.to_owned(),
                length: content.len() as u64,
                hashes: Hashes::of(content),
                uri: None,
                custom: None,
                encrypted: None,
            })
            .collect();
        let until = expiry();
        let expiries = Expiries { targets: until, snapshot: until, timestamp: until };
        let files = director
            .vehicle_files("car", self.director_version, Some("urn:1"), &assignments, expiries)
            .unwrap();
        let director = RoleFiles::from_iter([
            (RoleName::Root, root.clone()),
            (RoleName::Targets, files.targets),
            (RoleName::Snapshot, files.snapshot),
            (RoleName::Timestamp, files.timestamp),
        ]);
        let image = [RoleName::Root, RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets]
            .into_iter()
            .filter_map(|role| {
                let name = format!("{}.json", role.as_str());
                Some((role, self.image.file(&name)?.to_vec()))
            })
            .collect();
        TrustedMetadata { director, image }
    }

    /// The same with a change of the Director's targets before they are signed.
    pub fn assign_edited(
        &mut self,
        name: &str,
        content: &[u8],
        edit: impl FnOnce(&mut serde_json::Value),
    ) -> TrustedMetadata {
        let mut all = self.assign(name, content, &[(SERIAL, HARDWARE)]);
        let targets = all.director.get(&RoleName::Targets).unwrap();
        let mut signed = Envelope::parse(DIALECT, targets, 1 << 20).unwrap().signed;
        edit(&mut signed["targets"][name]);
        let mut envelope = Envelope { signatures: Vec::new(), signed };
        envelope.add_signature(DIALECT, self.director_keys.last().unwrap()).unwrap();
        all.director.insert(RoleName::Targets, envelope.to_bytes(DIALECT).unwrap());
        all
    }

    /// New keys for both repositories.
    pub fn rotate(&mut self) {
        let key = new_key();
        let old = self.director_keys.last().unwrap();
        let envelope =
            updraft_tuf::Envelope::parse(DIALECT, self.director_roots.last().unwrap(), 1 << 20)
                .unwrap();
        let current = Root::from_value(DIALECT, envelope.signed).unwrap();
        let mut draft = plan(&key).next_root(DIALECT, &current, expiry());
        draft.sign(&[old, &key]).unwrap();
        self.director_roots.push(draft.finish().unwrap());
        self.director_keys.push(key);

        let key = new_key();
        let mut draft = self.image.draft_root(&plan(&key), expiry());
        draft.sign(&[self.image_keys.last().unwrap(), &key]).unwrap();
        self.image.accept_root(&draft.finish().unwrap(), now()).unwrap();
        self.image_keys.push(key);
        let mut draft = self.image.draft_targets(expiry(), Vec::new(), |_| {});
        draft.sign(&[self.image_keys.last().unwrap()]).unwrap();
        self.image.accept_targets(&draft.finish().unwrap(), now()).unwrap();
        self.refresh();
    }

    /// The Director signs for media from now on.
    pub fn allow_media(&mut self) {
        let key = self.director_keys.last().unwrap();
        let current = read_root(DIALECT, self.director_roots.last().unwrap()).unwrap();
        let who = TopLevelKeys::single(key.public().clone());
        let mut draft = edited_root(DIALECT, &current, expiry(), Vec::new(), |root| {
            enter_role(DIALECT, root, OFFLINE_UPDATES, &who);
            enter_role(DIALECT, root, OFFLINE_SNAPSHOT, &who);
        });
        draft.sign(&[key]).unwrap();
        self.director_roots.push(draft.finish().unwrap());
    }

    /// All files of a medium that has this for this hardware.
    pub fn medium(&self, version: u64, name: &str, content: &[u8]) -> TrustedMetadata {
        let key = self.director_keys.last().unwrap();
        let bytes = self.director_roots.last().unwrap();
        let root = read_root(DIALECT, bytes).unwrap();
        let sign = |mut draft: Draft| {
            draft.sign(&[key]).unwrap();
            draft.finish().unwrap()
        };
        let targets = serde_json::json!({ name: {
            "custom": { "hardwareIds": [HARDWARE], "targetFormat": "BINARY" },
            "hashes": { "sha256": updraft_crypto::sha256_hex(content) },
            "length": content.len(),
        } });
        let targets = targets.as_object().unwrap();
        let updates = sign(offline_updates(DIALECT, &root, version, expiry(), targets));
        let lists = [("spring".to_owned(), OfflineMeta::of(version, &updates))].into();
        let snapshot = sign(offline_snapshot(DIALECT, &root, version, expiry(), &lists));
        let director = RoleFiles::from_iter([
            (RoleName::Root, bytes.clone()),
            (RoleName::OfflineSnapshot, snapshot),
            (RoleName::OfflineUpdates, updates),
        ]);
        let image = [RoleName::Root, RoleName::Snapshot, RoleName::Targets]
            .into_iter()
            .filter_map(|role| {
                let name = format!("{}.json", role.as_str());
                Some((role, self.image.file(&name)?.to_vec()))
            })
            .collect();
        TrustedMetadata { director, image }
    }

    pub fn director_root(&self, version: usize) -> &[u8] {
        &self.director_roots[version - 1]
    }

    pub fn image_root(&self, version: usize) -> &[u8] {
        self.image.file(&format!("{version}.root.json")).unwrap()
    }
}

/// A folder with an ECU's state and its image.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn firmware(&self) -> Option<Vec<u8>> {
        std::fs::read(self.0.path().join("firmware")).ok()
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub fn ecu(&self, verification: Verification) -> Ecu {
        let (firmware, name) = (self.path("firmware"), self.path("name"));
        self.ecu_with(verification, |_| Box::new(FilePayload::new(firmware, Some(name))))
    }

    pub fn ecu_with(
        &self,
        verification: Verification,
        payload: impl FnOnce(&updraft_tuf::Ecu) -> Box<dyn Payload>,
    ) -> Ecu {
        let options = EcuOptions {
            folder: self.path("state"),
            serial: SERIAL.to_owned(),
            hardware_id: HARDWARE.to_owned(),
            verification,
            director: DirectorFiles::RootAndTargets,
            first_root: FirstRoot::TrustOnFirstUse,
            key_algorithm: KeyAlgorithm::Ed25519,
            key_pem: None,
            import: None,
            adopted: None,
        };
        Ecu::open(options, payload).unwrap()
    }
}
