//! What the library's methods come to, in the terms of aktualizr's library.

use serde::Serialize;
use serde_json::Value;

use crate::store::Failed;
use crate::{CycleOutcome, CycleReport, TargetSummary};

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpdateCheck {
    /// What is assigned and not installed.
    pub updates: Vec<TargetSummary>,
    /// How many ECUs it concerns.
    pub ecus_count: usize,
    /// Whether there is anything.
    pub status: CheckStatus,
    /// The Director's signed targets, as they came.
    pub targets_meta: Option<Value>,
    /// More of it, for people.
    pub message: String,
}

/// Whether a check found anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum CheckStatus {
    /// It did.
    UpdatesAvailable,
    /// It did not.
    #[default]
    NoUpdatesAvailable,
    /// It failed.
    Error,
}

/// What a download came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Download {
    /// What is here now.
    pub updates: Vec<TargetSummary>,
    /// Whether all of it is.
    pub status: DownloadStatus,
    /// More of it, for people.
    pub message: String,
}

/// Whether everything was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DownloadStatus {
    /// All of it.
    Success,
    /// Some of it. An assignment is one transaction here, so this is never told.
    PartialSuccess,
    /// There was nothing to bring.
    NothingToDownload,
    /// It failed.
    Error,
}

/// What an installation came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// For the whole device.
    pub device: InstallResult,
    /// For each ECU: its target, its serial, and what it came to.
    pub ecus: Vec<(TargetSummary, String, InstallResult)>,
    /// The text of the installation report.
    pub raw_report: String,
}

/// How an installation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstallResult {
    /// Whether what should run runs.
    pub success: bool,
    /// The code.
    pub code: ResultCode,
    /// More of it, for people.
    pub description: String,
}

/// aktualizr's result codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResultCode {
    /// It runs.
    Ok,
    /// It ran already.
    AlreadyProcessed,
    /// A signature, hash or version is not right.
    VerificationFailed,
    /// It could not be put in place.
    InstallFailed,
    /// It could not be brought.
    DownloadFailed,
    /// A defect of the agent.
    InternalError,
    /// Anything else.
    GeneralError,
    /// A reboot is needed.
    NeedCompletion,
    /// It did not boot, or was not healthy.
    CustomError,
    /// Somebody stopped it.
    OperationCancelled,
    /// Not known.
    Unknown,
}

impl ResultCode {
    /// The code's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::AlreadyProcessed => "ALREADY_PROCESSED",
            Self::VerificationFailed => "VERIFICATION_FAILED",
            Self::InstallFailed => "INSTALL_FAILED",
            Self::DownloadFailed => "DOWNLOAD_FAILED",
            Self::InternalError => "INTERNAL_ERROR",
            Self::GeneralError => "GENERAL_ERROR",
            Self::NeedCompletion => "NEED_COMPLETION",
            Self::CustomError => "CUSTOM_ERROR",
            Self::OperationCancelled => "OPERATION_CANCELLED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The code's number in aktualizr.
    pub fn number(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::AlreadyProcessed => 1,
            Self::VerificationFailed => 3,
            Self::InstallFailed => 4,
            Self::DownloadFailed => 5,
            Self::InternalError => 18,
            Self::GeneralError => 19,
            Self::NeedCompletion => 21,
            Self::CustomError => 22,
            Self::OperationCancelled => 23,
            Self::Unknown => -1,
        }
    }

    /// The code that the server is told; what only this agent tells is a custom error.
    fn of_failure(name: &str) -> Self {
        [Self::VerificationFailed, Self::InstallFailed, Self::DownloadFailed]
            .into_iter()
            .find(|code| code.name() == name)
            .unwrap_or(Self::CustomError)
    }
}

/// Whether work stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PauseStatus {
    /// As was asked for.
    Success,
    /// It did before.
    AlreadyPaused,
    /// It did not before.
    AlreadyRunning,
    /// That cannot be done.
    Error,
}

impl UpdateCheck {
    /// What a cycle's report says of the check in it.
    pub(super) fn of(report: &CycleReport) -> Self {
        let found = !matches!(
            report.outcome,
            CycleOutcome::UpToDate | CycleOutcome::FailedBefore | CycleOutcome::Declined
        );
        let updates: Vec<_> = report.target.clone().filter(|_| found).into_iter().collect();
        let status = if updates.is_empty() {
            CheckStatus::NoUpdatesAvailable
        } else {
            CheckStatus::UpdatesAvailable
        };
        Self {
            ecus_count: updates.len(),
            updates,
            status,
            targets_meta: None,
            message: report.outcome.text().to_owned(),
        }
    }

    /// A check that failed.
    pub(super) fn failed(error: &crate::Error) -> Self {
        let message = format!("failed to {error}");
        Self { status: CheckStatus::Error, message, ..Self::default() }
    }
}

impl Install {
    /// What a cycle's report says of the installation in it. `None`: there was none.
    pub(super) fn of(report: &CycleReport, serial: &str, failed: Option<&Failed>) -> Option<Self> {
        let (code, description) = match report.outcome {
            CycleOutcome::UpToDate | CycleOutcome::Available | CycleOutcome::Fetched => {
                return None;
            }
            CycleOutcome::RebootRequired => (ResultCode::NeedCompletion, None),
            CycleOutcome::Confirmed => (ResultCode::Ok, None),
            CycleOutcome::Failed | CycleOutcome::FailedBefore => {
                let code = failed.map_or(ResultCode::GeneralError, |failed| {
                    ResultCode::of_failure(&failed.code)
                });
                (code, failed.map(|failed| failed.reason.clone()).or(report.problem.clone()))
            }
            CycleOutcome::Withheld
            | CycleOutcome::AwaitingConsent
            | CycleOutcome::Declined
            | CycleOutcome::Postponed
            | CycleOutcome::Locked
            | CycleOutcome::Interrupted => (ResultCode::OperationCancelled, None),
        };
        let description = description.unwrap_or_else(|| report.outcome.text().to_owned());
        Some(Self::new(code, description, report, serial))
    }

    /// There is nothing to install.
    pub(super) fn nothing(report: &CycleReport, serial: &str) -> Self {
        let description = report.outcome.text().to_owned();
        Self::new(ResultCode::AlreadyProcessed, description, report, serial)
    }

    fn new(code: ResultCode, description: String, report: &CycleReport, serial: &str) -> Self {
        let success = matches!(code, ResultCode::Ok | ResultCode::AlreadyProcessed);
        let raw_report = description.clone();
        let device = InstallResult { success, code, description };
        let ecus = report
            .target
            .iter()
            .map(|target| (target.clone(), serial.to_owned(), device.clone()))
            .collect();
        Self { device, ecus, raw_report }
    }
}
