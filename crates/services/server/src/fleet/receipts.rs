//! Receipts: manifests of devices that took an update from a medium, brought by somebody else.
//!
//! A receipt proves itself: it is signed like every manifest. One that is newer than what the
//! device reported itself counts as if the device had sent it; of an older one only the fact that
//! it came is kept. The events that it brings along are kept once, whoever brings them first.

use std::collections::BTreeMap;

use updraft_api::EventKind;
use updraft_crypto::Verifier;
use updraft_tuf::manifest::{RegisteredEcu, VehicleManifest};

use super::Fleet;
use super::manifest::public_key;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::storage::devices;
use crate::storage::events::{self, NewEvent};

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is what the device reports now.
    Taken,
    /// The device has reported something newer since.
    Late,
    /// It was here before.
    Known,
}

impl Receipt {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Late => "late",
            Self::Known => "known",
        }
    }
}

/// The events that a receipt brings along: `custom.events`, of the form that devices send.
fn told_events(custom: Option<&serde_json::Value>) -> &[serde_json::Value] {
    let events = custom.and_then(|custom| custom.get("events")).and_then(|it| it.as_array());
    events.map(Vec::as_slice).unwrap_or_default()
}

impl Fleet {
    /// Judges a signed manifest of `device` that `operator` brings.
    pub fn receive_receipt(
        &self,
        operator: &Operator,
        device: &str,
        bytes: &[u8],
    ) -> Result<Receipt> {
        let (record, components) = self.database.read("read a device", |reader| {
            Ok((devices::require(reader, device)?, devices::components(reader, device)?))
        })?;
        let mut registered = BTreeMap::new();
        let mut newest = None;
        for component in &components {
            // Signatures first: whether it is late is worth knowing of a true one only.
            let key = public_key(component)?;
            registered.insert(component.serial.clone(), RegisteredEcu { key, last_counter: None });
            if record.primary_serial.as_ref() == Some(&component.serial) {
                let unwritten = self.seen.counter(device, &component.serial);
                newest = component.report_counter.max(unwritten);
            }
        }
        let rejected =
            |reason: String| Error::Rejected { code: "bad_signature", what: "the receipt", reason };
        let contents = VehicleManifest::verify(bytes, &registered, &Verifier)
            .map_err(|refusal| rejected(crate::error::chain(&refusal)))?
            .into_inner();
        let report = record.primary_serial.as_ref().and_then(|it| contents.reports.get(it));
        let counter = report
            .and_then(|report| report.report_counter)
            .ok_or_else(|| rejected("it has no counter of the primary component".to_owned()))?;
        // However old the report is: the steps that led to it are news until they are known.
        self.store_device_events(device, told_events(contents.custom.as_ref()))?;
        if newest == Some(counter) {
            return Ok(Receipt::Known);
        }
        let is_late = newest.is_some_and(|newest| counter < newest);
        if !is_late {
            self.receive_manifest(device, bytes)?;
        }
        let about = contents.installation_report.as_ref();
        let message = match (is_late, about) {
            (false, _) => format!("receipt {counter} of device {device} came on a medium"),
            (true, Some(about)) => format!(
                "receipt {counter} of device {device} came on a medium, older than what it \
                 reports: {}, {}",
                about.result.code, about.correlation_id
            ),
            (true, None) => format!(
                "receipt {counter} of device {device} came on a medium, older than what it reports"
            ),
        };
        let now = self.now();
        let actor = operator.actor();
        let message: String = message.chars().take(super::reports::MAX_TEXT).collect();
        let event = NewEvent::new(EventKind::InstallReported, &actor, message)
            .device(device)
            .data(serde_json::json!({ "receipt": counter, "late": is_late }));
        self.database.write("append an event", |tx| events::append(tx, now, &event))?;
        Ok(if is_late { Receipt::Late } else { Receipt::Taken })
    }
}
