//! A device that speaks Uptane over mutual TLS, as aktualizr and `updraftd` do.
//!
//! ```text
//! POST /devices ─► POST /director/ecus ─► PUT /director/manifest ─► metadata, verified
//!      ▲ once, with the shared credentials        ▲                      │ an update
//!      └ kept in the state file                   └── report ◄── target ◄┘
//! ```
//! Manifests are signed with the ECU's own key and metadata is verified in full, by the same code
//! as in the agent. Of an OSTree target only the commit object is fetched.

mod identity;
mod metadata;

use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use updraft_crypto::SigningKey;
use updraft_terminal::Result as Outcome;
use updraft_tuf::manifest::{
    EcuVersionReport, InstallationReport, InstallationResult, InstalledImage, VehicleManifest,
};
use updraft_tuf::{
    Dialect, Hashes, PublicKey, Sign, SigningFailed, TargetFormat, TrustedMetadata, UptaneTarget,
    Verified,
};

pub(crate) use identity::{Credentials, Known, State};

use crate::device::{Drawn, Life, Next, World, retry_after};
use crate::link::{Answer, Ask, Link, Reuse, Target, Trouble};
use crate::model::Fate;
use crate::tally::Kind;
use crate::tls::{self, Connector, Handshakes};

/// How long a device waits when the server says nothing about it, and nobody else does.
pub(crate) const INTERVAL: Duration = Duration::from_mins(5);
/// How long a device waits after something went wrong, at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between an installation and the report of it: the device starts again.
const SOON: Duration = Duration::from_millis(200);

/// What a device does with metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verify {
    /// Verifies it and does what it says, as real devices do. Each device keeps about 10 KB.
    Full,
    /// Fetches the Director's four files and throws them away: an idle fleet, for little memory.
    FetchOnly,
}

/// What all Uptane devices of a run have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) target: std::sync::Arc<Target>,
    pub(crate) credentials: Credentials,
    pub(crate) state: State,
    pub(crate) hardware: String,
    pub(crate) prefix: String,
    pub(crate) reuse: Reuse,
    pub(crate) handshakes: Handshakes,
    pub(crate) verify: Verify,
    pub(crate) tally: std::sync::Arc<crate::tally::Tally>,
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    id: String,
    registered: Option<Registered>,
}

/// A device that the server knows.
#[derive(Debug)]
struct Registered {
    serial: String,
    key: SigningKey,
    link: Link,
    counter: u64,
    installed: InstalledImage,
    trusted: TrustedMetadata,
    report: Option<InstallationReport>,
    work: Option<Work>,
}

/// An update that is being installed.
#[derive(Debug)]
struct Work {
    target: UptaneTarget,
    drawn: Drawn,
    until: Instant,
    failed: Option<String>,
}

impl Shared {
    pub(crate) fn device(&self, index: u32, generation: u32) -> Device {
        Device { id: crate::ddi::name(&self.prefix, index, generation), registered: None }
    }

    /// A device that is known, before its first visit in this run.
    fn registered(&self, known: Known) -> Outcome<Registered> {
        let roots = tls::roots(&known.ca_pem)?;
        let connector = tls::connector(&roots, Some(&known.identity), self.handshakes)?;
        Ok(Registered {
            link: self.link(connector),
            serial: known.serial,
            key: SigningKey::from_pkcs8_pem(&known.ecu_key_pem)?,
            // A counter that was never used, also after a run that ended without a word.
            counter: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default(),
            installed: InstalledImage::unknown(),
            trusted: TrustedMetadata::default(),
            report: None,
            work: None,
        })
    }

    fn link(&self, connector: Connector) -> Link {
        Link::new(&self.target, Some(connector), &self.tally, self.reuse)
    }
}

impl Device {
    /// Closes its connection.
    pub(crate) fn cut(&mut self) {
        if let Some(registered) = &mut self.registered {
            registered.link.cut();
        }
    }

    pub(crate) async fn visit(&mut self, life: &mut Life, world: &World, shared: &Shared) -> Next {
        if self.registered.is_none() {
            match shared.introduce(&self.id).await {
                Ok(registered) => self.registered = Some(registered),
                Err(error) => {
                    shared.tally.said(&error.lines().join("; "));
                    return Next::After(life.sleep(&world.model, PATIENCE));
                }
            }
        }
        let Some(registered) = &mut self.registered else { return Next::Silent };
        let next = registered.cycle(&self.id, life, world, shared).await;
        registered.link.end_visit();
        // What went wrong is in the tally.
        next.unwrap_or_else(|_| Next::After(life.sleep(&world.model, PATIENCE)))
    }
}

impl Registered {
    /// One cycle of an agent: what is installed is told, and what there is to install is asked.
    async fn cycle(
        &mut self,
        id: &str,
        life: &mut Life,
        world: &World,
        shared: &Shared,
    ) -> Result<Next, Trouble> {
        if let Some(work) = &self.work {
            let rest = work.until.saturating_duration_since(Instant::now());
            if !rest.is_zero() {
                return Ok(Next::After(rest));
            }
        }
        let ended = self.work.take().map(|work| self.end(work));
        let answer = self.send_manifest().await?;
        if let Some(wait) = retry_after(&answer.headers) {
            return Ok(Next::After(wait));
        }
        if !answer.status.is_success() {
            return Err(Trouble::Answer(format!("HTTP {}", answer.status.as_u16())));
        }
        if let Some(report) = self.report.take() {
            world.tally.actions(|actions| {
                let count =
                    if report.result.success { &mut actions.finished } else { &mut actions.failed };
                *count += 1;
            });
        }
        let update = match shared.verify {
            Verify::FetchOnly => {
                metadata::fetch(&mut self.link).await?;
                None
            }
            Verify::Full => metadata::verify(self, id, &shared.hardware).await?,
        };
        if ended.is_some() {
            return Ok(Next::Ended(SOON));
        }
        match update {
            None => Ok(Next::After(life.sleep(&world.model, INTERVAL))),
            Some(target) => self.begin(life, world, target).await,
        }
    }

    async fn send_manifest(&mut self) -> Result<Answer, Trouble> {
        self.counter += 1;
        let signed = |error: SigningFailed| Trouble::Answer(error.to_string());
        let version = EcuVersionReport::new(&self.serial, self.installed.clone(), self.counter);
        let mut manifest = VehicleManifest::new(&self.serial);
        let version = version.sign(&self.key).map_err(signed)?;
        manifest.ecu_version_manifests.insert(self.serial.clone(), version);
        manifest.installation_report.clone_from(&self.report);
        let bytes = manifest.sign(&self.key).map_err(signed)?;
        let ask = Ask::send(Method::PUT, "/director/manifest", bytes);
        self.link.ask(Kind::Manifest, ask).await
    }

    /// Fetches a target and installs it for as long as the model says.
    async fn begin(
        &mut self,
        life: &mut Life,
        world: &World,
        target: Verified<UptaneTarget>,
    ) -> Result<Next, Trouble> {
        let target = target.into_inner();
        let drawn = life.draw(&world.model);
        world.tally.actions(|actions| actions.begun += 1);
        if drawn.fate == Fate::GoesSilent {
            world.tally.actions(|actions| actions.silent += 1);
            return Ok(Next::Silent);
        }
        let failed = self.fetch(world, &target).await?;
        let until = Instant::now() + drawn.takes;
        self.work = Some(Work { target, drawn, until, failed });
        Ok(Next::After(drawn.takes))
    }

    /// What is wrong with what was fetched.
    async fn fetch(
        &mut self,
        world: &World,
        target: &UptaneTarget,
    ) -> Result<Option<String>, Trouble> {
        let digest = target.hashes.sha256().unwrap_or_default().to_owned();
        let path = match target.format {
            TargetFormat::Binary => format!("/repo/targets/{}", target.filepath),
            TargetFormat::Ostree => {
                let (folder, rest) = digest.split_at_checked(2).unwrap_or_default();
                format!("/treehub/objects/{folder}/{rest}.commit")
            }
        };
        let mut ask = Ask::get(path);
        let hardware = HeaderValue::try_from(target.hardware_id.as_str());
        if let Ok(hardware) = hardware {
            ask = ask.header(hyper::header::HeaderName::from_static("x-ats-hardware"), hardware);
        }
        let got = self.link.download(ask, world.model.download_rate).await?;
        world.tally.devices(|devices| devices.downloaded_bytes += got.bytes);
        let is_good = got.status.is_redirection()
            || (got.status == StatusCode::OK && digest == hex::encode(got.sha256));
        if is_good {
            return Ok(None);
        }
        world.tally.devices(|devices| devices.wrong_content += 1);
        Ok(Some(format!("{}: HTTP {}, not the promised content", target.filepath, got.status)))
    }

    /// The installation is over: what runs, and what is reported.
    fn end(&mut self, work: Work) {
        let Work { target, drawn, failed, .. } = work;
        let result = match (failed, drawn.fate) {
            (Some(reason), _) => InstallationResult::failed("DOWNLOAD_FAILED", &reason),
            (None, Fate::Fails) => {
                InstallationResult::failed("INSTALL_FAILED", "the simulated installation failed")
            }
            (None, _) => InstallationResult::ok("installed"),
        };
        if result.success {
            let hashes = Hashes::from_digest(target.hashes.sha256().unwrap_or_default());
            let (filepath, length) = (target.filepath.clone(), target.length);
            self.installed = InstalledImage { filepath, length, hashes };
        }
        let of_vehicle = if result.success {
            result.clone()
        } else {
            let code = format!("{}:{}", target.hardware_id, result.code);
            InstallationResult::failed(&code, &result.description)
        };
        self.report = Some(InstallationReport {
            correlation_id: target.correlation_id.unwrap_or_default(),
            result: of_vehicle,
            raw_report: result.description.clone(),
            items: vec![(self.serial.clone(), result)],
        });
    }
}

/// The public key as the server wants it.
fn public(key: &SigningKey) -> serde_json::Value {
    let key: &PublicKey = key.public_key();
    key.to_json(Dialect::Uptane)
}
