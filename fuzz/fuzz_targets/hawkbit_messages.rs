//! Messages of devices that speak DDI, JSON and CBOR: what was read is written and read again in both
//! forms.
#![no_main]
use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_hawkbit::ddi::{ActionFeedback, ActivateAutoConfirm, ConfigData, ConfirmationFeedback};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check::<ActionFeedback>(data);
    check::<ConfirmationFeedback>(data);
    check::<ConfigData>(data);
    check::<ActivateAutoConfirm>(data);
});

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let from_json = serde_json::from_slice::<T>(data).ok();
    let from_cbor = ciborium::from_reader::<T, _>(data).ok();
    for message in [from_json, from_cbor].into_iter().flatten() {
        let json = serde_json::to_vec(&message).expect("JSON");
        assert_eq!(serde_json::from_slice::<T>(&json).ok().as_ref(), Some(&message));
        let mut cbor = Vec::new();
        ciborium::into_writer(&message, &mut cbor).expect("CBOR");
        assert_eq!(ciborium::from_reader::<T, _>(cbor.as_slice()).ok().as_ref(), Some(&message));
    }
}
