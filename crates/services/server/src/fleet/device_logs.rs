//! Logs of devices, on demand: an operator asks, the device hears of it with the answer to its next
//! manifest and sends what it has.

use jiff::{SignedDuration, Timestamp};
use updraft_api::{DeviceLog, EventKind};

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::Connection;
use crate::storage::{device_logs, devices};

/// The longest log, in bytes.
pub const MAX_LOG: u64 = 4 << 20;
/// How many logs are kept of each device.
const KEPT: u32 = 10;
/// How strongly logs are packed: zstd's own choice.
const PACKING: i32 = 0;

impl Fleet {
    /// Has a device send its log with its next poll. One that is asked for already is the answer to
    /// asking again.
    pub fn request_log(&self, operator: &Operator, device: &str) -> Result<DeviceLog> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("ask for a log", |tx| {
            // Only devices with components send manifests, and hear of it.
            if devices::require(tx, device)?.primary_serial.is_none() {
                return Err(Error::Conflict {
                    code: "sends_no_logs",
                    action: format!("ask device {device} for its log"),
                    reason: "it has not reported as devices with Updraft's agent do, and no \
                             others send logs when they are asked"
                        .to_owned(),
                });
            }
            let id = if let Some(id) = device_logs::wanted(tx, device)? {
                id
            } else {
                let id = device_logs::request(tx, device, &actor, now)?;
                device_logs::keep_newest(tx, device, KEPT)?;
                let message = format!("device {device} is to send its log");
                let event = NewEvent::new(EventKind::DeviceLogRequested, &actor, message);
                events::append(tx, now, &event.device(device))?;
                id
            };
            device_logs::get(tx, device, id)?.ok_or_else(|| no_log(device, id))
        })
    }

    /// The logs that a device was asked for, newest first.
    pub fn device_logs(&self, device: &str) -> Result<Vec<DeviceLog>> {
        self.database.read("list a device's logs", |reader| {
            devices::require(reader, device)?;
            device_logs::list(reader, device)
        })
    }

    /// What a device sent.
    pub fn device_log(&self, device: &str, id: u64) -> Result<Vec<u8>> {
        let packed = self.database.read("read a device's log", |reader| {
            devices::require(reader, device)?;
            device_logs::content(reader, device, id)?.ok_or_else(|| no_log(device, id))
        })?;
        let limit = usize::try_from(MAX_LOG).unwrap_or(usize::MAX);
        zstd::bulk::decompress(&packed, limit)
            .map_err(|error| Error::Stored { what: "a device's log", reason: error.to_string() })
    }

    /// Takes the log that a device was asked for. Once it is there, another one changes nothing: the
    /// answer was lost.
    pub fn receive_log(&self, device: &str, id: u64, log: &[u8]) -> Result<()> {
        let now = self.now();
        let packed = zstd::bulk::compress(log, PACKING)
            .map_err(|error| Error::Internal { action: "pack a log", reason: error.to_string() })?;
        self.database.write_together("store a log", |tx| {
            let wanted = device_logs::get(tx, device, id)?.ok_or_else(|| no_log(device, id))?;
            if wanted.received_at.is_some() {
                return Ok(());
            }
            device_logs::receive(tx, id, log.len() as u64, &packed, now)?;
            let actor = format!("device:{device}");
            let message = format!("device {device} has sent its log of {} bytes", log.len());
            let event = NewEvent::new(EventKind::DeviceLogReceived, &actor, message);
            events::append(tx, now, &event.device(device))
        })
    }

    /// Removes logs, and requests, that were kept for long enough.
    pub fn prune_logs(&self) -> Result<()> {
        let kept = SignedDuration::from_hours(24 * i64::from(self.config.telemetry.log_days));
        let before = self.now().checked_sub(kept).unwrap_or(Timestamp::MIN);
        let has_old = |reader: &Connection| device_logs::has_old(reader, before);
        if self.database.read("look for old logs", has_old)? {
            self.database.write("remove old logs", |tx| device_logs::prune(tx, before))?;
        }
        Ok(())
    }

    /// The configuration that a device reported, as it sent it: TOML of our agent and of aktualizr.
    pub fn device_configuration(&self, device: &str) -> Result<Vec<u8>> {
        self.database.read("read a device's configuration", |reader| {
            devices::require(reader, device)?;
            let missing = || Error::not_found("configuration of device", device);
            devices::document(reader, device, "config")?.ok_or_else(missing)
        })
    }
}

fn no_log(device: &str, id: u64) -> Error {
    Error::not_found("log", format!("{id} of device {device}"))
}
