//! A medium of arbitrary files, separated by a line `--`: the client always ends.
#![no_main]
use updraft_tuf::{
    Dialect, Ecu, FirstRoot, Options, PublicKey, Step, TrustedMetadata, UptaneUpdater,
    VerifySignature,
};

/// Believes every signature, so that the files behind the root are reached.
struct Credulous;

impl VerifySignature for Credulous {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut files = text.split("\n--\n");
    let mut options = Options::new(Dialect::Uptane);
    options.first_root = FirstRoot::TrustOnFirstUse;
    let ecu = Ecu { serial: "e".into(), hardware_id: "h".into() };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let trusted = TrustedMetadata::default();
    let mut updater = UptaneUpdater::from_medium(trusted, &[ecu], now, &options, Credulous);
    for _ in 0..100_000 {
        let fed = match updater.next() {
            Ok(Step::Fetch { .. }) => match files.next() {
                Some("") | None => updater.absent(),
                Some(file) => updater.received(file.as_bytes()),
            },
            Ok(Step::Persist { .. } | Step::Delete { .. }) => Ok(()),
            Ok(Step::Done(_)) | Err(_) => return,
        };
        if fed.is_err() {
            return;
        }
    }
    panic!("the client does not end");
});
