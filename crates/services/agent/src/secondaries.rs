//! The other ECUs of the vehicle: who they are, what they report, and how they are updated.
//!
//! ```text
//! config file ─► Secondaries ─┬─ discover   who answers; what changed is registered
//!                             ├─ reports    signed reports of all, for the vehicle's manifest
//!                             └─ installers one for each ECU, for the update engine
//! ```
//! One that cannot be reached, or misbehaves, costs one time-out: all are asked at the same time.

mod added;
mod commit;
mod discovery;
mod gone;
mod handover;
mod installer;
mod ip;
mod local;
mod report;
mod roots;
pub(crate) mod seam;

use std::time::Duration;

use updraft_crypto::KeyAlgorithm;
use updraft_error::{Classify as _, Kind};
use updraft_secondary::Link;
use updraft_secondary::tls::{ClientTls, TlsFiles};
use updraft_task::Context;
use updraft_tuf::{Dialect, DirectorFiles, Envelope, PublicKey, UptaneTarget};
use updraft_update::{Component, Installer};

use discovery::Wait;
use installer::SecondaryInstaller;
use ip::IpSecondary;
use local::{BrokenSecondary, LocalSecondary};
use seam::Secondary;

use crate::config::{
    DirectorMetadata, MAX_SECONDARIES_FILE, SecondariesFile, SecondaryTls, UptaneKeyType,
    parse_secondaries,
};
use crate::gateway::RegisteredEcu;
use crate::medium::Medium;
use crate::session::Session;
use crate::store::SecondaryRecord;
use crate::{Error, Result};

pub(crate) use added::{Added, AddedSecondary};
pub(crate) use gone::Gone;
pub(crate) use seam::FromMedium;

/// How places in the configuration are called.
const IP: &str = "ip ";
const LOCAL: &str = "local ";
const ADDED: &str = "added ";
/// The largest manifest of one secondary that is passed on, in bytes.
const MAX_REPORT: usize = 1 << 20;

/// All secondaries of a vehicle.
pub(crate) struct Secondaries<'a> {
    session: &'a Session,
    ecus: Vec<SecondaryInstaller<'a>>,
    wait: Wait,
}

impl<'a> Secondaries<'a> {
    /// The secondaries that the settings name. Nobody is asked anything yet.
    pub(crate) fn open(session: &'a Session) -> Result<Self> {
        let file = read(session)?.unwrap_or_default();
        for warning in &file.warnings {
            tracing::warn!("{warning}");
        }
        let records = session.store.secondaries()?;
        let record = |slot: &String| records.iter().find(|record| record.slot == *slot).cloned();
        let mut ecus = Vec::new();
        for configured in &file.ip {
            let slot = slot_of_ip(configured);
            let tls = configured.tls.as_ref().map(|tls| client_tls(tls, &configured.addr));
            let ecu: Box<dyn Secondary> = match tls.transpose() {
                Ok(tls) => {
                    let link = Link::new(&configured.addr, tls);
                    Box::new(IpSecondary::new(link, configured.verification_type))
                }
                Err(error) => broken(&slot, &error),
            };
            ecus.push(SecondaryInstaller::new(session, record(&slot), slot, ecu));
        }
        for configured in &file.local {
            let slot = slot_of_local(configured);
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
            ecus.push(SecondaryInstaller::new(session, record(&slot), slot, ecu));
        }
        for (serial, ecu) in &session.added {
            let slot = format!("{ADDED}{serial}");
            let ecu: Box<dyn Secondary> = Box::new(AddedSecondary::of(ecu));
            ecus.push(SecondaryInstaller::new(session, record(&slot), slot, ecu));
        }
        let wait = Wait { time: Duration::from_secs(file.wait_sec), port: file.wait_port };
        Ok(Self { session, ecus, wait })
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
        let list = list_of(&ecus);
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

    /// Where images come from: a medium, or else the server. Those that have no rules for media are
    /// passed over; one that does not answer is waited for, as it is when the server assigns.
    pub(crate) fn take_from(&mut self, ctx: &Context, medium: Option<&'a Medium>) -> Result<()> {
        let answers = match medium {
            Some(_) => self.ask_all(|ecu| ecu.takes_from_medium(ctx)),
            None => Vec::new(),
        };
        ctx.check()?;
        for ecu in &mut self.ecus {
            ecu.medium = medium;
        }
        for (ecu, answer) in self.ecus.iter_mut().zip(answers) {
            ecu.from_medium = answer.unwrap_or_else(|error| match error.kind() {
                Kind::Unavailable => FromMedium::All,
                _ => FromMedium::Nothing,
            });
        }
        Ok(())
    }

    /// Those that the server knows and that a medium may have something for, and what.
    pub(crate) fn of_medium(&self) -> impl Iterator<Item = (&SecondaryRecord, FromMedium)> {
        let known = self.ecus.iter().filter(|ecu| ecu.from_medium != FromMedium::Nothing);
        let known = known.filter_map(|ecu| Some((ecu.record.as_ref()?, ecu.from_medium)));
        known.filter(|(record, _)| record.registered)
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

/// What the list of ECUs that the server is told is remembered by.
pub(crate) fn list_of(ecus: &[RegisteredEcu]) -> String {
    let lines: Vec<String> =
        ecus.iter().map(|ecu| format!("{} {} {}", ecu.serial, ecu.hardware_id, ecu.key)).collect();
    updraft_crypto::sha256_hex(lines.join("\n").as_bytes())
}

/// How the place of one behind a network is called.
pub(crate) fn slot_of_ip(configured: &crate::config::IpSecondary) -> String {
    format!("{IP}{}", configured.addr)
}

/// How the place of one on the primary is called.
pub(crate) fn slot_of_local(configured: &crate::config::LocalSecondary) -> String {
    format!("{LOCAL}{}", configured.full_client_dir.display())
}

/// What sort of secondary is at a place, in aktualizr's words where it has one.
pub(crate) fn kind_of(slot: &str) -> &'static str {
    match slot {
        slot if slot.starts_with(IP) => "IP",
        slot if slot.starts_with(LOCAL) => "virtual",
        _ => "added",
    }
}

/// Whether a secondary is none of ours on the primary, so that it knows itself what it installs.
pub(crate) fn is_remote(slot: &str) -> bool {
    slot.starts_with(IP) || slot.starts_with(ADDED)
}

/// The public key of a record, with its id.
pub(crate) fn key_of(record: &SecondaryRecord) -> Option<(String, String)> {
    let json = serde_json::from_str(&record.key).ok()?;
    let key = PublicKey::from_json(&json).ok().flatten()?;
    Some((key.key_id(Dialect::Uptane).to_string(), key.public_text()))
}
