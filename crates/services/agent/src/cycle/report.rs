//! What a cycle came to, for people and programs.

use serde::Serialize;
use updraft_tuf::UptaneTarget;
use updraft_update::{Assignment, Decision, Plan, Record};

/// How a cycle ended. The names in JSON are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CycleOutcome {
    /// This device runs what it should.
    UpToDate,
    /// Something else is assigned; the plan says what would be done.
    Available,
    /// All bytes of the assigned target are here.
    Fetched,
    /// What boots next has changed: reboot, then go on.
    RebootRequired,
    /// The assigned target is booted, healthy and confirmed.
    Confirmed,
    /// The assigned target failed, and this device runs what it ran before.
    Failed,
    /// The assigned target failed on this device before and is not tried again.
    FailedBefore,
    /// It is fetched, and the Director has ordered not to install it.
    Withheld,
    /// It is fetched, and waits until somebody on the device agrees.
    AwaitingConsent,
    /// Somebody on the device said no to it.
    Declined,
    /// It is fetched, and somebody on the device said: later.
    Postponed,
    /// It is fetched, and another program keeps updates from being installed.
    Locked,
    /// Assignments changed faster than they could be followed; the next cycle goes on.
    Interrupted,
}

impl CycleOutcome {
    /// One line for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::Available => "an update is available",
            Self::Fetched => "fetched; install it with `updraftd install`",
            Self::RebootRequired => "a reboot is required",
            Self::Confirmed => "installed and confirmed",
            Self::Failed => "the update failed; this device is back on what it ran before",
            Self::FailedBefore => {
                "this update failed here before and is not tried again; see --retry-failed"
            }
            Self::Withheld => "fetched; it is installed when the server says so",
            Self::AwaitingConsent => "fetched; agree with `updraftd accept`, or `updraftd decline`",
            Self::Declined => "this update was declined here; see `updraftd accept`",
            Self::Postponed => "fetched; its installation is postponed",
            Self::Locked => "fetched; another program holds the update lock",
            Self::Interrupted => "the assignment changed; the next cycle goes on",
        }
    }

    /// Whether the server should hear about it at once.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed)
    }
}

/// A target, named for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetSummary {
    /// Its name.
    pub filepath: String,
    /// Its SHA-256: the commit.
    pub sha256: String,
    /// The server's name for the assignment; may be empty.
    pub correlation_id: String,
}

/// What a cycle came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CycleReport {
    /// How it ended.
    pub outcome: CycleOutcome,
    /// The target it was about.
    pub target: Option<TargetSummary>,
    /// What was or would be done, step by step.
    pub plan: Vec<String>,
    /// Whether the device has to reboot before anything else can happen.
    pub reboot_required: bool,
    /// What went wrong.
    pub problem: Option<String>,
}

impl CycleReport {
    pub(crate) fn of(outcome: CycleOutcome) -> Self {
        Self {
            outcome,
            target: None,
            plan: Vec::new(),
            reboot_required: outcome == CycleOutcome::RebootRequired,
            problem: None,
        }
    }

    pub(crate) fn about(mut self, assignment: &Assignment<UptaneTarget>) -> Self {
        if let Some((_, image, _)) = assignment.targets.first() {
            self.target = Some(TargetSummary {
                filepath: image.name.clone(),
                sha256: image.digest.to_string(),
                correlation_id: assignment.id.clone(),
            });
        }
        self
    }

    pub(crate) fn with_plan(mut self, plan: &Plan) -> Self {
        self.plan = plan.actions.iter().map(ToString::to_string).collect();
        if let Some((_, image, _)) = plan.decisions.first()
            && self.target.is_none()
        {
            self.target = Some(TargetSummary {
                filepath: image.name.clone(),
                sha256: image.digest.to_string(),
                correlation_id: plan.id.clone(),
            });
        }
        self
    }

    pub(crate) fn with_failure(mut self, record: &Record) -> Self {
        self.problem = record
            .failure
            .as_ref()
            .map(|failure| format!("failed to {}: {}", failure.action, failure.message));
        self
    }
}

/// Why a plan does nothing although it should.
pub(super) fn refusal(plan: &Plan) -> Option<CycleOutcome> {
    let failed = |(_, _, decision): &(_, _, Decision)| *decision == Decision::KnownBad;
    plan.decisions.iter().any(failed).then_some(CycleOutcome::FailedBefore)
}
