//! Full verification of Uptane: the Director says what, the Image repository must agree.

use std::collections::VecDeque;

use jiff::Timestamp as Time;

use super::assignment::{Assignment, Vehicle};
use super::repository::RepositoryClient;
use super::search::{Found, Search};
use super::{Ecu, Options, Step, TrustedMetadata, UptaneTarget};
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

/// One run of full verification. See the [crate documentation](crate) for its use.
pub struct UptaneUpdater<V> {
    director: RepositoryClient,
    image: RepositoryClient,
    vehicle: Vehicle,
    options: Options,
    verifier: V,
    stage: Stage,
    correlation_id: Option<String>,
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
        let vehicle = Vehicle { id: options.vehicle_id.clone(), ecus: ecus.to_vec() };
        let TrustedMetadata { director, image } = trusted;
        let rules = Some(vehicle.clone());
        Self {
            director: RepositoryClient::new(Repository::Director, director, rules, now, options),
            image: RepositoryClient::new(Repository::Image, image, None, now, options),
            vehicle,
            options: options.clone(),
            verifier,
            stage: Stage::Director,
            correlation_id: None,
            to_match: VecDeque::new(),
            search: None,
            agreed: Vec::new(),
            refused: None,
        }
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
        let mut updater = Self::new(trusted.clone(), ecus, now, options, verifier);
        loop {
            match updater.next()? {
                Step::Fetch { repository, role, .. } => {
                    let stored = trusted.files(repository).get(&role);
                    match stored.filter(|_| role != RoleName::Root) {
                        Some(bytes) => updater.received(bytes)?,
                        None => updater.absent()?,
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
        let assignments = self
            .vehicle
            .assignments(targets)
            .map_err(|reason| self.director.refusal(&RoleName::Targets, reason))?;
        self.correlation_id = targets.correlation_id().map(ToOwned::to_owned);
        for assignment in assignments {
            let installed = assignment
                .is_installed(&self.options.installed)
                .map_err(|reason| refuse(Repository::Director, &assignment.path, reason))?;
            if !installed {
                self.to_match.push_back(assignment);
            }
        }
        self.stage = if self.to_match.is_empty() { Stage::Done } else { Stage::Image };
        Ok(())
    }

    /// Goes on with the search for one assigned target in the Image repository.
    fn match_next(&mut self) -> Result<(), Refusal> {
        let next = self.search.take().or_else(|| {
            self.to_match.pop_front().map(|assignment| {
                let search = Search::new(&assignment.path);
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
            .agree(image, &self.options.installed, self.correlation_id.as_deref())
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
