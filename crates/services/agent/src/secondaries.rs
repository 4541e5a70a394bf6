//! The other ECUs of the vehicle: who they are, what they report, and how they are updated.
//!
//! ```text
//! config file ─► Secondaries ─┬─ discover   who answers; what changed is registered
//!                             ├─ reports    signed reports of all, for the vehicle's manifest
//!                             └─ installers one for each ECU, for the update engine
//! ```
//! One that cannot be reached, or misbehaves, costs one time-out: all are asked at the same time.

mod gone;
mod installer;
mod ip;
mod local;
mod report;
mod seam;

use std::time::Duration;

use updraft_crypto::KeyAlgorithm;
use updraft_secondary::Link;
use updraft_secondary::tls::{ClientTls, TlsFiles};
use updraft_task::Context;
use updraft_tuf::{Dialect, DirectorFiles, Envelope, PublicKey, UptaneTarget};
use updraft_update::{Component, Installer};

use installer::SecondaryInstaller;
use ip::IpSecondary;
use local::{BrokenSecondary, LocalSecondary};
use seam::{Known, Secondary};

use crate::config::{
    DirectorMetadata, MAX_SECONDARIES_FILE, SecondariesFile, SecondaryTls, UptaneKeyType,
    parse_secondaries,
};
use crate::gateway::RegisteredEcu;
use crate::session::Session;
use crate::store::SecondaryRecord;
use crate::{Error, Result};

pub(crate) use gone::Gone;

/// Between two looks for secondaries that are waited for.
const PAUSE: Duration = Duration::from_millis(500);
/// The largest manifest of one secondary that is passed on, in bytes.
const MAX_REPORT: usize = 1 << 20;

/// All secondaries of a vehicle.
pub(crate) struct Secondaries<'a> {
    session: &'a Session,
    ecus: Vec<SecondaryInstaller<'a>>,
    wait: Duration,
}

impl<'a> Secondaries<'a> {
    /// The secondaries that the settings name. Nobody is asked anything yet.
    pub(crate) fn open(session: &'a Session) -> Result<Self> {
        let Some(file) = read(session)? else {
            return Ok(Self { session, ecus: Vec::new(), wait: Duration::ZERO });
        };
        for warning in &file.warnings {
            tracing::warn!("{warning}");
        }
        let records = session.store.secondaries()?;
        let record = |slot: &String| records.iter().find(|record| record.slot == *slot).cloned();
        let mut ecus = Vec::new();
        for configured in &file.ip {
            let slot = format!("ip {}", configured.addr);
            let tls = configured.tls.as_ref().map(|tls| client_tls(tls, &configured.addr));
            let ecu: Box<dyn Secondary> = match tls.transpose() {
                Ok(tls) => {
                    let link = Link::new(&configured.addr, tls);
                    Box::new(IpSecondary::new(link, configured.verification_type))
                }
                Err(error) => broken(&slot, &error),
            };
            ecus.push(SecondaryInstaller { session, record: record(&slot), slot, ecu });
        }
        for configured in &file.local {
            let slot = format!("local {}", configured.full_client_dir.display());
            let director = match session.settings.uptane.director_metadata {
                DirectorMetadata::Full => DirectorFiles::All,
                _ => DirectorFiles::RootAndTargets,
            };
            let algorithm = algorithm(session.settings.uptane.key_type);
            let opened =
                LocalSecondary::open(configured, director, algorithm, session.clock.clone());
            let ecu: Box<dyn Secondary> = match opened {
                Ok(ecu) => Box::new(ecu),
                Err(error) => broken(&slot, &error),
            };
            ecus.push(SecondaryInstaller { session, record: record(&slot), slot, ecu });
        }
        Ok(Self { session, ecus, wait: Duration::from_secs(file.wait_sec) })
    }

    /// Asks all who they are, and tells the server when the vehicle has other ECUs than it knows.
    /// Secondaries that never answered are waited for the first time.
    pub(crate) fn discover(&mut self, ctx: &Context) -> Result<()> {
        if self.ecus.is_empty() && self.session.store.sent_hash("ecus")?.is_none() {
            return Ok(());
        }
        let slots: Vec<String> = self.ecus.iter().map(|ecu| ecu.slot.clone()).collect();
        self.session.store.keep_secondaries(&slots)?;
        let is_new = self.session.store.sent_hash("ecus")?.is_none();
        let mut waited = Duration::ZERO;
        loop {
            self.ask_who(ctx)?;
            let all_known = self.ecus.iter().all(|ecu| ecu.record.is_some());
            if all_known || !is_new || waited >= self.wait {
                break;
            }
            self.session.clock.wait(ctx, PAUSE)?;
            waited = waited.saturating_add(PAUSE);
        }
        self.register(ctx)
    }

    fn ask_who(&mut self, ctx: &Context) -> Result<()> {
        let answers = self.ask_all(|ecu| ecu.info(ctx));
        for (ecu, answer) in self.ecus.iter_mut().zip(answers) {
            match answer {
                Ok(known) => remember(ecu, &known)?,
                Err(updraft_secondary::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    secondary = ecu.slot,
                    "a secondary does not answer"
                ),
            }
        }
        Ok(())
    }

    /// Asks all at the same time.
    fn ask_all<T: Send>(
        &mut self,
        ask: impl Fn(&mut dyn Secondary) -> updraft_secondary::Result<T> + Sync,
    ) -> Vec<updraft_secondary::Result<T>> {
        let ask = &ask;
        std::thread::scope(|scope| {
            let asked: Vec<_> = self
                .ecus
                .iter_mut()
                .map(|ecu| {
                    let ecu = &mut ecu.ecu;
                    scope.spawn(move || ask(ecu.as_mut()))
                })
                .collect();
            let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|_| {
                    Err(updraft_secondary::Error::Payload {
                        action: "ask the secondary",
                        problem: "the thread died".to_owned(),
                        kind: updraft_error::Kind::Bug,
                    })
                })
            };
            asked.into_iter().map(ended).collect()
        })
    }

    /// Tells the server of all ECUs, when it was told of others before.
    fn register(&mut self, ctx: &Context) -> Result<()> {
        let Session { store, ecu, key, gateway, .. } = self.session;
        let mut ecus = vec![RegisteredEcu {
            serial: ecu.serial.clone(),
            hardware_id: ecu.hardware_id.clone(),
            key: key.public().to_json(Dialect::Uptane),
        }];
        for record in self.ecus.iter().filter_map(|ecu| ecu.record.as_ref()) {
            ecus.push(RegisteredEcu {
                serial: record.serial.clone(),
                hardware_id: record.hardware_id.clone(),
                key: serde_json::from_str(&record.key)
                    .map_err(|_| Error::Damaged { what: "a secondary's key" })?,
            });
        }
        let told = store.sent_hash("ecus")?;
        if told.is_none() && ecus.len() == 1 {
            return Ok(());
        }
        let text: String = ecus
            .iter()
            .map(|ecu| format!("{} {} {}\n", ecu.serial, ecu.hardware_id, ecu.key))
            .collect();
        let list = updraft_crypto::sha256_hex(text.as_bytes());
        if told.as_ref() == Some(&list) {
            return Ok(());
        }
        match gateway.register_ecus(ctx, &ecu.serial, &ecus) {
            Ok(true) => {
                tracing::info!(ecus = ecus.len(), "the server knows the vehicle's ECUs");
                store.secondaries_registered(&list)?;
                for record in self.ecus.iter_mut().filter_map(|ecu| ecu.record.as_mut()) {
                    record.registered = true;
                }
                Ok(())
            }
            // The primary and those that the server knows go on; the others wait.
            Ok(false) => {
                tracing::error!("the server knows an ECU of this vehicle with another key");
                Ok(())
            }
            Err(error @ Error::Registration { .. }) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the server does not take the vehicle's ECUs");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Those that the server knows.
    pub(crate) fn registered(&self) -> impl Iterator<Item = &SecondaryRecord> {
        self.ecus.iter().filter_map(|ecu| ecu.record.as_ref()).filter(|record| record.registered)
    }

    /// The installer of each that has answered once.
    pub(crate) fn installers<'s>(
        &'s mut self,
    ) -> impl Iterator<Item = (Component, &'s mut dyn Installer<Target = UptaneTarget>)> + use<'a, 's>
    {
        self.ecus.iter_mut().filter_map(|ecu| {
            let component = Component::new(ecu.record.as_ref()?.serial.clone());
            let installer: &mut dyn Installer<Target = UptaneTarget> = ecu;
            Some((component, installer))
        })
    }

    /// Asks all for their reports. Gives those that the server can take, with their counters: of
    /// one that does not answer the last one, unless the server has it and would call it a replay.
    pub(crate) fn reports(
        &mut self,
        ctx: &Context,
    ) -> Result<Vec<(String, Envelope, Option<u64>)>> {
        let answers = self.ask_all(|ecu| ecu.manifest(ctx));
        for (ecu, answer) in self.ecus.iter_mut().zip(answers) {
            let noted = match answer {
                Ok(manifest) => ecu.note(&manifest),
                Err(error) => Err(error.into()),
            };
            match noted {
                Ok(()) => {}
                Err(error @ (Error::Cancelled(_) | Error::State { .. })) => return Err(error),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    secondary = ecu.slot,
                    "a secondary gives no report"
                ),
            }
        }
        let mut reports = Vec::new();
        for record in self.registered() {
            let Some(bytes) = &record.manifest else { continue };
            // It was verified when it came.
            let Ok(read) = report::verified(bytes, record) else { continue };
            let is_new = match (read.counter, record.sent_counter) {
                (Some(counter), Some(sent)) => counter > sent,
                (None, Some(_)) => false,
                (_, None) => true,
            };
            let envelope = Envelope::parse(Dialect::Uptane, bytes, MAX_REPORT);
            if let (true, Ok(envelope)) = (is_new, envelope) {
                reports.push((record.serial.clone(), envelope, read.counter));
            }
        }
        Ok(reports)
    }

    /// The server took these reports.
    pub(crate) fn reported(&mut self, reports: &[(String, Option<u64>)]) -> Result<()> {
        for (serial, counter) in reports {
            let Some(counter) = counter else { continue };
            self.session.store.set_sent_counter(serial, *counter)?;
            for record in self.ecus.iter_mut().filter_map(|ecu| ecu.record.as_mut()) {
                if record.serial == *serial {
                    record.sent_counter = Some(*counter);
                }
            }
        }
        Ok(())
    }
}

/// Remembers who is at a place.
fn remember(ecu: &mut SecondaryInstaller<'_>, known: &Known) -> Result<()> {
    let key = known.key.to_json(Dialect::Uptane).to_string();
    let store = &ecu.session.store;
    if let Some(record) = &ecu.record
        && record.serial == known.serial
        && record.hardware_id == known.hardware_id
        && record.key == key
    {
        return Ok(());
    }
    // Nobody takes the primary's place, or that of another secondary that is there.
    let is_taken = known.serial == ecu.session.ecu.serial
        || store
            .secondaries()?
            .iter()
            .any(|other| other.serial == known.serial && other.slot != ecu.slot);
    if is_taken {
        tracing::error!(serial = known.serial, secondary = ecu.slot, "the serial is taken");
        return Ok(());
    }
    tracing::info!(serial = known.serial, hardware = known.hardware_id, "a secondary is new here");
    store.put_secondary(&ecu.slot, &known.serial, &known.hardware_id, &key)?;
    ecu.record = store.secondaries()?.into_iter().find(|record| record.slot == ecu.slot);
    Ok(())
}

fn read(session: &Session) -> Result<Option<SecondariesFile>> {
    let path = &session.settings.uptane.secondary_config_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let failed = |source| Error::Read { path: path.clone(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    let bytes = if length > MAX_SECONDARIES_FILE {
        Vec::new()
    } else {
        std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?
    };
    parse_secondaries(&bytes).map(Some).map_err(|problem| Error::Config {
        place: path.display().to_string(),
        problem,
        hint: "the guide's page on secondaries shows such a file".to_owned(),
    })
}

fn broken(slot: &str, error: &updraft_secondary::Error) -> Box<dyn Secondary> {
    let cause = error as &dyn std::error::Error;
    tracing::error!(error = cause, secondary = slot, "a secondary cannot be used");
    Box::new(BrokenSecondary::new(error))
}

fn client_tls(tls: &SecondaryTls, address: &str) -> updraft_secondary::Result<ClientTls> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            updraft_secondary::Error::Fs(updraft_fs::Error::new("read", path, error))
        })
    };
    let files = TlsFiles {
        ca_pem: read(&tls.ca)?,
        certificate_pem: read(&tls.certificate)?,
        private_key_pem: read(&tls.private_key)?,
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ClientTls::new(&files, if tls.name.is_empty() { host } else { &tls.name })
}

fn algorithm(key_type: UptaneKeyType) -> KeyAlgorithm {
    match key_type {
        UptaneKeyType::Ed25519 => KeyAlgorithm::Ed25519,
        UptaneKeyType::EcdsaP256 => KeyAlgorithm::EcdsaP256,
        UptaneKeyType::Rsa2048 => KeyAlgorithm::Rsa2048,
        UptaneKeyType::Rsa3072 => KeyAlgorithm::Rsa3072,
        UptaneKeyType::Rsa4096 => KeyAlgorithm::Rsa4096,
    }
}

/// The public key of a record, with its id.
pub(crate) fn key_of(record: &SecondaryRecord) -> Option<(String, String)> {
    let json = serde_json::from_str(&record.key).ok()?;
    let key = PublicKey::from_json(&json).ok().flatten()?;
    Some((key.key_id(Dialect::Uptane).to_string(), key.public_text()))
}
