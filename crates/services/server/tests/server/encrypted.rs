//! Images that are encrypted for one component: what operators bring, and what devices are told.

use serde_json::{Value, json};
use updraft_api::{EncryptedImage, Event, EventKind, Page, paths};
use updraft_crypto::{image_cipher, sha256_hex};
use updraft_http::Method;
use updraft_publish::encrypt_image;
use updraft_tuf::{Hashes, Target};

use crate::device::{Device, HARDWARE};
use crate::operator::{Operator, create_rollout, key, ostree_target, rollout};
use crate::world::{Answer, World};

const IMAGE: &[u8] = b"a secret firmware";
const TARGET: &str = "dir/fw";

/// A signed image, and a device for which it can be encrypted.
struct Site {
    world: World,
    device: Device,
    ciphertext: Vec<u8>,
    told: Value,
}

impl Site {
    fn new() -> Self {
        let world = World::new();
        let mut operator = Operator::new(&world);
        let targets = operator.draft_targets(&world, |targets| {
            for (name, hardware) in [(TARGET, HARDWARE), ("other-hardware", "else")] {
                let mut target = Target::new(IMAGE.len() as u64, Hashes::of(IMAGE));
                target.custom = Some(json!({
                    "hardwareIds": [hardware], "targetFormat": "BINARY", "version": "1",
                }));
                targets.targets.insert(name.to_owned(), target);
            }
            let commit = ostree_target(&"a".repeat(64), &[HARDWARE]);
            targets.targets.insert("commit".to_owned(), commit);
        });
        operator.upload_targets(&world, &targets).expect(200);
        let device = Device::new(&world, "vehicle-1");
        let (told, ciphertext) = encrypt(&device, IMAGE);
        Self { world, device, ciphertext, told }
    }

    fn upload(&self, bytes: &[u8]) -> Answer {
        let path = paths::ciphertext(&sha256_hex(bytes));
        self.world.send(&self.world.operator(), Method::Put, &path, bytes)
    }

    fn put(&self, told: &Value) -> Answer {
        self.put_for(TARGET, told)
    }

    fn put_for(&self, target: &str, told: &Value) -> Answer {
        let path = paths::encrypted_image("vehicle-1", &self.device.serial, target);
        self.world.send_json(&self.world.operator(), Method::Put, &path, told)
    }

    fn listed(&self) -> Vec<EncryptedImage> {
        let path = paths::encrypted_images("vehicle-1");
        let page: Page<EncryptedImage> = self.world.get(&self.world.operator(), &path).read();
        page.items
    }

    /// Tells the device to run the image.
    fn assign(&self, name: &str) {
        let release = json!({ "name": name, "encrypted": true, "targets": [{
            "filepath": TARGET, "hardware_ids": [HARDWARE], "format": "BINARY",
            "sha256": sha256_hex(IMAGE), "length": IMAGE.len(), "version": "1",
        }] });
        let operator = self.world.operator();
        self.world.send_json(&operator, Method::Post, paths::RELEASES, &release).expect(201);
        create_rollout(&self.world, &json!({ "name": name, "release": name })).expect(201);
        rollout(&self.world, name);
    }
}

fn encrypt(device: &Device, image: &[u8]) -> (Value, Vec<u8>) {
    let mut ciphertext = Vec::new();
    let public = device.key.public();
    let mut told = encrypt_image(public, "x", &mut &*image, &mut ciphertext).expect("encrypted");
    told.filename = format!("{}.enc", sha256_hex(&ciphertext));
    (told.to_members().into_iter().collect(), ciphertext)
}

#[test]
fn a_component_is_told_the_ciphertext_and_opens_it() {
    let mut site = Site::new();
    // Objects before what names them.
    site.put(&site.told).expect(404);
    site.upload(&site.ciphertext).expect(201);
    site.upload(&site.ciphertext).expect(204);
    let shown: EncryptedImage = site.put(&site.told).expect(200).read();
    assert_eq!(shown.sha256, sha256_hex(IMAGE));
    assert_eq!(site.listed(), std::slice::from_ref(&shown));
    site.assign("first");
    let target = site.device.update(&site.world).expect("assigned");
    let encrypted = target.encrypted.clone().expect("encrypted");
    assert_eq!(target.hashes.sha256(), Some(&*sha256_hex(IMAGE)));
    // Only a device finds it, and under that name.
    let path = format!("/repo/targets/{}", encrypted.filename);
    let fetched = site.world.get(&site.device.client(&site.world), &path).expect(200).body;
    assert!(encrypted.verify(&fetched));
    site.world.get(&site.world.client(None, None), &path).expect(401);
    let key = site.device.key.image_key(&encrypted).expect("opened");
    let mut image = Vec::new();
    image_cipher::open(&key, &mut &*fetched, &mut image).expect("opened");
    assert_eq!(image, IMAGE);

    // Encrypted anew, the device is told so although it fetched the assignment before.
    let (told, ciphertext) = encrypt(&site.device, IMAGE);
    site.upload(&ciphertext).expect(201);
    site.put(&told).expect(200);
    let target = site.device.update(&site.world).expect("assigned");
    let again = target.encrypted.clone().expect("encrypted");
    assert!(again.filename != encrypted.filename && again.verify(&ciphertext));
    let own = paths::encrypted_image("vehicle-1", &site.device.serial, TARGET);
    let operator = site.world.operator();
    site.world.send(&operator, Method::Delete, &own, "").expect(204);
    site.world.send(&operator, Method::Delete, &own, "").expect(404);
    assert_eq!(site.device.update(&site.world).expect("assigned").encrypted, None);
    site.world.get(&site.device.client(&site.world), &path).expect(404);
    let events: Page<Event> = site.world.get(&operator, &paths::device_events("vehicle-1")).read();
    let told = events.items.iter().filter(|event| event.kind == EventKind::EncryptedImageChanged);
    assert_eq!(told.count(), 3);
    // With the device goes what was encrypted for it.
    site.put(&site.told).expect(200);
    site.world.send(&operator, Method::Delete, &paths::device("vehicle-1"), "").expect(204);
    assert_eq!(site.world.fleet().ciphertext_hash(&shown.filename).expect("asked"), None);
}

#[test]
fn what_no_device_would_take_is_refused() {
    let site = Site::new();
    site.upload(&site.ciphertext).expect(201);
    let bent = |place: &str, value: Value| {
        let mut told = site.told.clone();
        *told.pointer_mut(place).expect("a member") = value;
        site.put(&told)
    };
    let member = "/encryptedSymmetricKey";
    let said = |answer: Answer, says: &str| {
        let answer = answer.expect(400);
        assert!(answer.text().contains(says), "{}", answer.text());
    };
    said(bent(&format!("{member}/keyEncryption"), json!("rsa-oaep-sha256")), "rsa-oaep-sha256");
    said(bent(&format!("{member}/contentEncryption"), json!("none")), "content encryption");
    said(bent(&format!("{member}/encryptedSymmetricKeyType"), json!("aes128")), "cipher");
    said(bent(&format!("{member}/encryptedSymmetricKeyValue"), json!("!")), "base64");
    said(bent("/encryptedTarget/length", json!(1)), "33 bytes");
    said(bent("/encryptedTarget/hashes", json!({ "sha512": "a".repeat(128) })), "SHA-256");
    said(bent("/encryptedTarget/filename", json!("../x")), "target name");
    bent("/encryptedTarget/hashes", json!({ "sha256": "a".repeat(64) })).expect(404);
    // Another file has the name: a signed one, or another ciphertext.
    bent("/encryptedTarget/filename", json!(TARGET)).expect(409);
    said(site.put_for("other-hardware", &site.told), "not for hardware");
    said(site.put_for("commit", &site.told), "only files");
    site.put_for("nothing", &site.told).expect(404);
    for (device, serial, status) in
        [("vehicle-2", site.device.serial.as_str(), 404), ("vehicle-1", "none", 404)]
    {
        let path = paths::encrypted_image(device, serial, TARGET);
        let operator = site.world.operator();
        site.world.send_json(&operator, Method::Put, &path, &site.told).expect(status);
    }
    assert_eq!(site.listed(), []);
    site.put(&site.told).expect(200);
    Device::new(&site.world, "vehicle-2");
    let path = paths::encrypted_image("vehicle-2", "vehicle-2-primary", TARGET);
    let (mut other, ciphertext) = encrypt(&site.device, IMAGE);
    site.upload(&ciphertext).expect(201);
    other["encryptedTarget"]["filename"] = site.told["encryptedTarget"]["filename"].clone();
    let operator = site.world.operator();
    site.world.send_json(&operator, Method::Put, &path, &other).expect(409);
    // A ciphertext is what its name says, and names are hashes.
    for name in [sha256_hex(b"other"), "..%2Fx".to_owned()] {
        let path = format!("/api/v1/ciphertexts/{name}");
        let answer = site.world.send(&operator, Method::Put, &path, &*site.ciphertext);
        assert!([400, 403].contains(&answer.status), "{}", answer.text());
    }
    // A wrong key is of no use to the server, which cannot know; it never has the image's.
    let stranger = key();
    let mut sealed = Vec::new();
    let told = encrypt_image(stranger.public(), "y", &mut &*IMAGE, &mut sealed).expect("sealed");
    site.upload(&sealed).expect(201);
    site.put(&told.to_members().into_iter().collect()).expect(200);
}
