//! A device: its identity, its signing key, its reports, and full Uptane verification.

use serde_json::{Value, json};
use updraft_crypto::{KeyAlgorithm, SigningKey, Verifier};
use updraft_http::{Client, Identity, Method};
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, InstalledImage, VehicleManifest,
};
use updraft_tuf::{
    Dialect, Ecu, EncryptedImages, FirstRoot, Hashes, InstalledTarget, Options, Outcome,
    Repository, Step, TrustedMetadata, UptaneTarget, UptaneUpdater, Verified, VerifySignature as _,
};

use crate::world::{Answer, World, identity_of};

pub(crate) const HARDWARE: &str = "test-board";

pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) serial: String,
    pub(crate) key: SigningKey,
    pub(crate) identity: Identity,
    pub(crate) image: InstalledImage,
    counter: u64,
    trusted: TrustedMetadata,
}

impl Device {
    /// A device that is provisioned and has registered its one component.
    pub(crate) fn new(world: &World, id: &str) -> Self {
        let device = Self::provisioned(world, id);
        device.register(world).expect(201);
        device
    }

    /// A device that has a certificate and nothing else.
    pub(crate) fn provisioned(world: &World, id: &str) -> Self {
        let bootstrap = world.client(Some(world.bootstrap()), None);
        let body = json!({ "deviceId": id, "ttl": "365" });
        let answer = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(200);
        Self {
            id: id.to_owned(),
            serial: format!("{id}-primary"),
            key: SigningKey::generate(KeyAlgorithm::Ed25519).expect("key"),
            identity: identity_of(&answer.body),
            image: InstalledImage::unknown(),
            counter: 0,
            trusted: TrustedMetadata::default(),
        }
    }

    pub(crate) fn client(&self, world: &World) -> Client {
        world.client(Some(self.identity.clone()), None)
    }

    pub(crate) fn registration(&self) -> Value {
        json!({
            "primary_ecu_serial": self.serial,
            "ecus": [{
                "ecu_serial": self.serial,
                "hardware_identifier": HARDWARE,
                "clientKey": self.key.public().to_json(Dialect::Uptane),
            }],
        })
    }

    pub(crate) fn register(&self, world: &World) -> Answer {
        let client = self.client(world);
        world.send_json(&client, Method::Post, "/director/ecus", &self.registration())
    }

    /// The next manifest of this device.
    pub(crate) fn manifest(&mut self, report: Option<InstallationReport>) -> Vec<u8> {
        self.counter += 1;
        self.manifest_with_counter(self.counter, report)
    }

    pub(crate) fn manifest_with_counter(
        &self,
        counter: u64,
        report: Option<InstallationReport>,
    ) -> Vec<u8> {
        let ecu = EcuVersionReport::new(&self.serial, self.image.clone(), counter);
        let mut manifest = VehicleManifest::new(&self.serial);
        let signed = ecu.sign(&self.key).expect("signed");
        manifest.ecu_version_manifests.insert(self.serial.clone(), signed);
        manifest.installation_report = report;
        manifest.sign(&self.key).expect("signed")
    }

    pub(crate) fn send_manifest(&self, world: &World, manifest: Vec<u8>) -> Answer {
        world.send(&self.client(world), Method::Put, "/director/manifest", manifest)
    }

    /// Reports what it runs.
    pub(crate) fn report(&mut self, world: &World) -> Answer {
        let manifest = self.manifest(None);
        self.send_manifest(world, manifest)
    }

    /// Installs what it was told to, and reports success.
    pub(crate) fn install(&mut self, world: &World) -> Verified<UptaneTarget> {
        let target = self.update(world).expect("an update");
        self.image = InstalledImage {
            filepath: target.filepath.clone(),
            length: target.length,
            hashes: target.hashes.clone(),
        };
        let report = installation_report(&self.serial, &target, InstallationResult::ok("done"));
        let manifest = self.manifest(Some(report));
        self.send_manifest(world, manifest).expect(200);
        target
    }

    /// Tries to install what it was told to, and reports a failure.
    pub(crate) fn fail(&mut self, world: &World) -> Verified<UptaneTarget> {
        let target = self.update(world).expect("an update");
        let result = InstallationResult::failed("INSTALL_FAILED", "health check failed");
        let report = installation_report(&self.serial, &target, result);
        let manifest = self.manifest(Some(report));
        self.send_manifest(world, manifest).expect(200);
        target
    }

    /// Full verification; what it is told to install, if anything.
    pub(crate) fn update(&mut self, world: &World) -> Option<Verified<UptaneTarget>> {
        let ecus = [Ecu { serial: self.serial.clone(), hardware_id: HARDWARE.to_owned() }];
        let mut options = Options::new(Dialect::Uptane);
        options.first_root = FirstRoot::TrustOnFirstUse;
        options.vehicle_id = Some(self.id.clone());
        options.encrypted_images = EncryptedImages::Accept;
        options.installed = vec![InstalledTarget {
            ecu_serial: self.serial.clone(),
            filepath: self.image.filepath.clone(),
            hashes: self.image.hashes.clone(),
            release_counter: None,
        }];
        let now = world.environment().now();
        let client = self.client(world);
        let mut updater = UptaneUpdater::new(self.trusted.clone(), &ecus, now, &options, Verifier);
        loop {
            match updater.next().expect("the server's metadata is good") {
                Step::Fetch { repository, file_name, max_length, .. } => {
                    let base = match repository {
                        Repository::Director => "director",
                        Repository::Image => "repo",
                    };
                    let answer = world.get(&client, &format!("/{base}/{file_name}"));
                    match answer.status {
                        200 => {
                            assert!(answer.body.len() as u64 <= max_length);
                            updater.received(&answer.body).expect("good metadata");
                        }
                        404 => updater.absent().expect("may be absent"),
                        other => panic!("{file_name}: {other} {}", answer.text()),
                    }
                }
                Step::Persist { repository, role, bytes } => {
                    self.trusted.files_mut(repository).insert(role, bytes);
                }
                Step::Delete { repository, role } => {
                    self.trusted.files_mut(repository).remove(&role);
                }
                Step::Done(Outcome::UpToDate) => return None,
                Step::Done(Outcome::Update(targets)) => return targets.into_iter().next(),
            }
        }
    }
}

pub(crate) fn installation_report(
    serial: &str,
    target: &UptaneTarget,
    result: InstallationResult,
) -> InstallationReport {
    InstallationReport {
        correlation_id: target.correlation_id.clone().unwrap_or_default(),
        result: result.clone(),
        raw_report: String::new(),
        items: vec![(serial.to_owned(), result)],
    }
}

/// An image of this name and commit.
pub(crate) fn image(filepath: &str, sha256: &str) -> InstalledImage {
    InstalledImage { filepath: filepath.to_owned(), length: 0, hashes: Hashes::from_sha256(sha256) }
}

#[test]
fn a_test_device_signs_as_a_real_one() {
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).expect("key");
    let signature = updraft_tuf::Sign::sign(&key, b"x").expect("signed");
    assert!(Verifier.verify(key.public(), b"x", &signature));
}
