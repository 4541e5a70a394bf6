//! Vehicle manifests: the wire form, and what is refused.

use std::collections::BTreeMap;

use crate::common::{ToyKey, ToyVerifier, key};
use serde_json::{Value, json};
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, InstalledImage, RegisteredEcu,
    VehicleManifest,
};
use updraft_tuf::{Dialect, Hashes, Sign};

fn registered(counter: Option<u64>) -> BTreeMap<String, RegisteredEcu> {
    let ecu = |key: &ToyKey| RegisteredEcu { key: key.public_key().clone(), last_counter: counter };
    [("primary".to_owned(), ecu(&key(1))), ("second".to_owned(), ecu(&key(2)))].into()
}

fn report(serial: &str, counter: u64) -> EcuVersionReport {
    let image = InstalledImage {
        filepath: "fw.bin".to_owned(),
        length: 8,
        hashes: Hashes::of(b"firmware"),
    };
    EcuVersionReport::new(serial, image, counter)
}

fn manifest() -> VehicleManifest {
    let mut manifest = VehicleManifest::new("primary");
    for (serial, signer) in [("primary", key(1)), ("second", key(2))] {
        let signed = report(serial, 5).sign(&signer).unwrap();
        manifest.ecu_version_manifests.insert(serial.to_owned(), signed);
    }
    manifest
}

#[track_caller]
fn refused(bytes: &[u8], counter: Option<u64>, name: &str) {
    let refusal = VehicleManifest::verify(bytes, &registered(counter), &ToyVerifier).unwrap_err();
    assert_eq!(refusal.name(), name, "{refusal}");
}

#[test]
fn a_manifest_arrives_as_it_was_sent() {
    let mut manifest = manifest();
    manifest.installation_report = Some(InstallationReport {
        correlation_id: "urn:1".to_owned(),
        result: InstallationResult::failed("hw-1:INSTALL_FAILED", "no space"),
        raw_report: "log".to_owned(),
        items: vec![("primary".to_owned(), InstallationResult::ok("fine"))],
    });
    manifest.custom = Some(json!({ "a": 1 }));
    let bytes = manifest.sign(&key(1)).unwrap();
    let read = VehicleManifest::verify(&bytes, &registered(Some(4)), &ToyVerifier).unwrap();
    assert_eq!(read.primary_ecu_serial, "primary");
    assert_eq!(read.reports["second"], report("second", 5));
    assert_eq!(read.installation_report, manifest.installation_report);
    assert_eq!(read.custom, manifest.custom);
}

#[test]
fn the_wire_form_is_that_of_aktualizr() {
    let mut manifest = VehicleManifest::new("primary");
    let first = EcuVersionReport::new("primary", InstalledImage::unknown(), 1);
    manifest.ecu_version_manifests.insert("primary".to_owned(), first.sign(&key(1)).unwrap());
    let value: Value = serde_json::from_slice(&manifest.sign(&key(1)).unwrap()).unwrap();
    let inner = &value["signed"]["ecu_version_manifests"]["primary"];
    assert_eq!(
        inner["signed"],
        json!({
            "attacks_detected": "",
            "ecu_serial": "primary",
            "installed_image": { "filepath": "unknown", "fileinfo": {
                "length": 0,
                "hashes": { "sha256":
                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
            } },
            "previous_timeserver_time": "1970-01-01T00:00:00Z",
            "timeserver_time": "1970-01-01T00:00:00Z",
            "report_counter": "1",
        })
    );
    assert_eq!(inner["signatures"][0]["method"], "ed25519");
    assert_eq!(value["signatures"][0]["keyid"], inner["signatures"][0]["keyid"]);
    assert_eq!(value["signed"]["primary_ecu_serial"], "primary");
    assert_eq!(value["signed"].get("installation_report"), None);
}

#[test]
fn signatures_of_the_primary_and_of_each_ecu_are_needed() {
    refused(&manifest().sign(&key(2)).unwrap(), None, "bad-signature");
    let mut forged = manifest();
    let signed = report("second", 5).sign(&key(1)).unwrap();
    forged.ecu_version_manifests.insert("second".to_owned(), signed);
    refused(&forged.sign(&key(1)).unwrap(), None, "bad-signature");
    let mut bytes = manifest().sign(&key(1)).unwrap();
    let at = bytes.windows(6).position(|six| six == b"fw.bin").unwrap();
    bytes[at] = b'g';
    refused(&bytes, None, "bad-signature");
}

#[test]
fn strangers_and_exchanged_reports_are_refused() {
    let mut stranger = manifest();
    let signed = report("third", 5).sign(&key(3)).unwrap();
    stranger.ecu_version_manifests.insert("third".to_owned(), signed);
    refused(&stranger.sign(&key(1)).unwrap(), None, "wrong-ecu");
    let mut exchanged = manifest();
    let signed = report("primary", 5).sign(&key(2)).unwrap();
    exchanged.ecu_version_manifests.insert("second".to_owned(), signed);
    refused(&exchanged.sign(&key(1)).unwrap(), None, "wrong-ecu");
    let other = VehicleManifest::new("third");
    refused(&other.sign(&key(1)).unwrap(), None, "wrong-ecu");
}

#[test]
fn replayed_reports_are_refused() {
    let bytes = manifest().sign(&key(1)).unwrap();
    refused(&bytes, Some(5), "replayed-report");
    refused(&bytes, Some(9), "replayed-report");
    assert!(VehicleManifest::verify(&bytes, &registered(Some(4)), &ToyVerifier).is_ok());
}

#[test]
fn malformed_manifests_are_refused() {
    for bytes in ["", "{}", "{\"signatures\":[],\"signed\":{}}", "[1]"] {
        refused(bytes.as_bytes(), None, "malformed");
    }
}

#[test]
fn a_secondary_may_be_quoted_again_but_never_from_before() {
    let counters = |last| {
        let mut known = registered(Some(4));
        known.get_mut("second").unwrap().last_counter = Some(last);
        known
    };
    let mut manifest = manifest();
    let signed = report("second", 5).sign(&key(2)).unwrap();
    manifest.ecu_version_manifests.insert("second".to_owned(), signed);
    let bytes = manifest.sign(&key(1)).unwrap();
    let verify = |last| VehicleManifest::verify(&bytes, &counters(last), &ToyVerifier);
    assert!(verify(4).is_ok() && verify(5).is_ok());
    assert_eq!(verify(6).unwrap_err().name(), "replayed-report");
}

#[test]
fn older_forms_are_understood() {
    let mut inner = report("primary", 7).sign(&key(1)).unwrap();
    inner.signed["custom"] = json!({
        "operation_result": { "id": "urn:x", "result_code": 4, "result_text": "no room" },
    });
    let inner = updraft_tuf::Envelope::sign(Dialect::Uptane, inner.signed, &[&key(1)]).unwrap();
    let list = json!({
        "primary_ecu_serial": "primary",
        "ecu_version_manifest": [inner.to_value(Dialect::Uptane)],
        "installation_report": { "content_type": "other", "report": {} },
    });
    let bytes = updraft_tuf::Envelope::sign(Dialect::Uptane, list, &[&key(1)]).unwrap();
    let bytes = bytes.to_bytes(Dialect::Uptane).unwrap();
    let contents =
        VehicleManifest::verify(&bytes, &registered(None), &ToyVerifier).unwrap().into_inner();
    let operation = contents.reports["primary"].operation.as_ref().unwrap();
    assert_eq!((operation.id.as_str(), operation.is_success()), ("urn:x", false));
    // What cannot be read of a report does not make the rest of it untrue.
    assert_eq!(contents.installation_report, None);
    assert!(contents.report_problem.unwrap().contains("content_type"));
}
