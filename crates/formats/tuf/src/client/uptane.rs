//! Uptane's verification: the Director says what, the Image repository must agree.
//!
//! A Primary takes the defaults. A Secondary knows itself only (`OtherEcus::Ignore`), and one that
//! does partial verification sets `Verification::Partial`: then the run ends with the Director's
//! targets. A Secondary is driven as a Primary is, with the files that the Primary sent in place
//! of a server's.

use std::collections::VecDeque;

use jiff::Timestamp as Time;

use super::assignment::{Assignment, Told, Vehicle};
use super::repository::{Freshness, RepositoryClient};
use super::search::{Found, Search};
use super::{Ecu, Options, Step, TrustedMetadata, UptaneTarget, Verification};
use crate::{Reason, Refusal, Repository, RoleName, Verified, VerifySignature};

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The Director assigns nothing that is not installed. The Image repository was not asked.
    UpToDate,
    /// What the Director assigns and the Image repository confirms, without what is installed.
    Update(Vec<Verified<UptaneTarget>>),
}

#[derive(Debug)]
enum Stage {
    Director,
    Image,
    Done,
}

/// One run of verification. See the [crate documentation](crate) for its use.
pub struct UptaneUpdater<V> {
    director: RepositoryClient,
    image: RepositoryClient,
    vehicle: Vehicle,
    options: Options,
    verifier: V,
    stage: Stage,
    told: Told,
    to_match: VecDeque<Assignment>,
    search: Option<(Assignment, Search)>,
    agreed: Vec<Verified<UptaneTarget>>,
    refused: Option<Refusal>,
}

impl<V: VerifySignature> UptaneUpdater<V> {
    /// A run for a vehicle with these ECUs, which begins with the files `trusted` at `now`.
    pub fn new(
        trusted: TrustedMetadata,
        ecus: &[Ecu],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Self {
        let vehicle = Vehicle::new(ecus, options);
        let TrustedMetadata { director, image } = trusted;
        let rules = Some(vehicle.clone());
        Self {
            director: RepositoryClient::new(Repository::Director, director, rules, now, options),
            image: RepositoryClient::new(Repository::Image, image, None, now, options),
            vehicle,
            options: options.clone(),
            verifier,
            stage: Stage::Director,
            told: Told::default(),
            to_match: VecDeque::new(),
            search: None,
            agreed: Vec::new(),
            refused: None,
        }
    }

    /// A run that takes its files from a medium. `Step::Fetch` names them below
    /// `metadata/director` and `metadata/image-repo` of the medium:
    ///
    /// - Director: `N.root.json`, `offline-snapshot.json`, then each `NAME.json` that this lists
    ///   until one is there;
    /// - Image repository: `N.root.json`, `snapshot.json`, `targets.json`, `delegations/ROLE.json`
    ///   or `ROLE.json`.
    ///
    /// No timestamp is asked for; expiry counts at `now`, and nothing trusted goes back. A target
    /// is for each ECU whose hardware id is in its `custom.hardwareIds`. The roles
    /// [`RoleName::OfflineSnapshot`] and [`RoleName::OfflineUpdates`] are persisted beside the
    /// others. The correlation id is `urn:tdx-ota:lockbox:NAME:VERSION:TAG`, where TAG is the
    /// beginning of the hash of the medium's targets.
    pub fn from_medium(
        trusted: TrustedMetadata,
        ecus: &[Ecu],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Self {
        let mut updater = Self::new(trusted, ecus, now, options, verifier);
        updater.director.freshness = Freshness::Medium;
        updater.image.freshness = Freshness::Medium;
        updater
    }

    /// Verifies again what is stored, without any repository: before a download, before an
    /// installation, and when there is no network. Expired files are refused here too.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn verify_stored(
        trusted: &TrustedMetadata,
        ecus: &[Ecu],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Result<Outcome, Refusal> {
        Self::new(trusted.clone(), ecus, now, options, verifier).feed_stored(trusted)
    }

    /// Verifies again what a run of [`UptaneUpdater::from_medium`] stored.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn verify_stored_medium(
        trusted: &TrustedMetadata,
        ecus: &[Ecu],
        now: Time,
        options: &Options,
        verifier: V,
    ) -> Result<Outcome, Refusal> {
        Self::from_medium(trusted.clone(), ecus, now, options, verifier).feed_stored(trusted)
    }

    fn feed_stored(mut self, trusted: &TrustedMetadata) -> Result<Outcome, Refusal> {
        loop {
            match self.next()? {
                Step::Fetch { repository, role, .. } => {
                    let stored = trusted.files(repository).get(&role);
                    let stored = stored.filter(|bytes| match &role {
                        RoleName::Root => false,
                        RoleName::OfflineUpdates => {
                            let judge = self.director.judge(&self.verifier);
                            self.director.is_asked_for(judge, bytes)
                        }
                        _ => true,
                    });
                    match stored {
                        Some(bytes) => self.received(bytes)?,
                        None => self.absent()?,
                    }
                }
                Step::Persist { .. } | Step::Delete { .. } => {}
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }

    /// What to do next.
    ///
    /// # Errors
    /// The [`Refusal`] that ended the run; again and again once it did.
    #[expect(clippy::should_implement_trait, reason = "it is fallible and never ends by itself")]
    pub fn next(&mut self) -> Result<Step<Outcome>, Refusal> {
        self.guarded(Self::advance)
    }

    /// Hands over the file that [`Step::Fetch`] asked for.
    ///
    /// # Errors
    /// The [`Refusal`] that ends the run.
    pub fn received(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.guarded(|this| match this.stage {
            Stage::Director => this.director.received(bytes, &this.verifier),
            Stage::Image | Stage::Done => this.image.received(bytes, &this.verifier),
        })
    }

    /// Says that the server does not have the file that [`Step::Fetch`] asked for.
    ///
    /// # Errors
    /// The [`Refusal`] that ends the run.
    pub fn absent(&mut self) -> Result<(), Refusal> {
        self.guarded(|this| match this.stage {
            Stage::Director => this.director.absent(&this.verifier),
            Stage::Image | Stage::Done => this.image.absent(&this.verifier),
        })
    }

    fn guarded<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let result = action(self);
        self.refused = result.as_ref().err().cloned();
        result
    }

    fn advance(&mut self) -> Result<Step<Outcome>, Refusal> {
        loop {
            match self.stage {
                Stage::Director => {
                    if let Some(step) = self.director.next(&self.verifier)? {
                        return Ok(step);
                    }
                    self.read_assignments()?;
                }
                Stage::Image => {
                    if let Some(step) = self.image.next(&self.verifier)? {
                        return Ok(step);
                    }
                    self.match_next()?;
                }
                Stage::Done => return Ok(Step::Done(self.outcome())),
            }
        }
    }

    /// Takes from the Director's targets what is not installed.
    fn read_assignments(&mut self) -> Result<(), Refusal> {
        let Some(targets) = &self.director.targets else {
            return Err(self.director.refusal(&RoleName::Targets, Reason::Missing));
        };
        let (role, assignments, told) = match self.director.freshness {
            Freshness::Timestamp => {
                let correlation_id = targets.correlation_id().map(ToOwned::to_owned);
                let told = Told { correlation_id, order: targets.install_order() };
                (RoleName::Targets, self.vehicle.assignments(targets), told)
            }
            Freshness::Medium => {
                let correlation_id = self.director.offline.correlation_id.clone();
                let told = Told { correlation_id, ..Told::default() };
                (RoleName::OfflineUpdates, self.vehicle.by_hardware(targets), told)
            }
        };
        let assignments = assignments.map_err(|reason| self.director.refusal(&role, reason))?;
        self.told = told;
        for assignment in assignments {
            let installed = assignment
                .is_installed(&self.options.installed)
                .map_err(|reason| refuse(Repository::Director, &assignment.path, reason))?;
            match self.options.verification {
                _ if installed => {}
                Verification::Full => self.to_match.push_back(assignment),
                Verification::Partial => {
                    let target = assignment
                        .believe(&self.options.installed, &self.told)
                        .map_err(|reason| refuse(Repository::Director, &assignment.path, reason))?;
                    self.agreed.push(Verified::new(target));
                }
            }
        }
        self.stage = if self.to_match.is_empty() { Stage::Done } else { Stage::Image };
        Ok(())
    }

    /// Goes on with the search for one assigned target in the Image repository.
    fn match_next(&mut self) -> Result<(), Refusal> {
        let next = self.search.take().or_else(|| {
            self.to_match.pop_front().map(|assignment| {
                let hardware_id = Some(assignment.ecu.hardware_id.as_str());
                let search = Search::new(&assignment.path, hardware_id);
                (assignment, search)
            })
        });
        let Some((assignment, mut search)) = next else {
            self.stage = Stage::Done;
            return Ok(());
        };
        let image = match search.advance(&mut self.image, &self.verifier)? {
            Found::NotYet => {
                self.search = Some((assignment, search));
                return Ok(());
            }
            Found::Nothing => None,
            Found::Target(target) => Some(target),
        };
        let target = assignment
            .agree(image, &self.options.installed, &self.told)
            .map_err(|reason| refuse(Repository::Image, &assignment.path, reason))?;
        self.agreed.push(Verified::new(target));
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        if self.agreed.is_empty() {
            Outcome::UpToDate
        } else {
            Outcome::Update(self.agreed.clone())
        }
    }
}

fn refuse(repository: Repository, path: &str, reason: Reason) -> Refusal {
    Refusal { repository, subject: format!("target {path}"), reason }
}
