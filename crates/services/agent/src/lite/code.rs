//! The exit codes that scripts around aktualizr-lite rely on.

use crate::Error;

/// How a command ended; the numbers are its exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StatusCode {
    /// Done.
    Ok = 0,
    /// Something that has no code of its own.
    UnknownError = 1,
    /// Checked, with the metadata that is stored.
    CheckinOkCached = 3,
    /// The metadata could not be handled.
    CheckinFailure = 4,
    /// Done; a reboot brings new boot firmware.
    OkNeedsRebootForBootFw = 5,
    /// No target is for this hardware id and these tags.
    CheckinNoMatchingTargets = 6,
    /// The bundle holds the content of no target.
    CheckinNoTargetContent = 8,
    /// Metadata is not trusted.
    CheckinSecurityError = 11,
    /// Metadata has expired.
    CheckinExpiredMetadata = 12,
    /// Metadata could not be fetched.
    CheckinMetadataFetchFailure = 13,
    /// The bundle lacks metadata.
    CheckinMetadataNotFound = 14,
    /// The bundle's own metadata is not trusted, or not for this device.
    CheckinInvalidBundleMetadata = 15,
    /// There is a newer target.
    CheckinUpdateNewVersion = 16,
    /// No target has this name or version.
    TufTargetNotFound = 20,
    /// There is nothing to go back to.
    RollbackTargetNotFound = 21,
    /// An installation waits to be finalized.
    InstallationInProgress = 30,
    /// There is nothing to finalize.
    NoPendingInstallation = 40,
    /// The target could not be fetched.
    DownloadFailure = 50,
    /// There is no room for the target.
    DownloadFailureNoSpace = 60,
    /// What was fetched is not what was signed.
    DownloadFailureVerificationFailed = 70,
    /// The bundle's target is what runs.
    InstallAlreadyInstalled = 75,
    /// The target is to be pulled first.
    InstallTargetNotPulled = 80,
    /// A reboot has to bring boot firmware before anything else can be installed.
    InstallNeedsRebootForBootFw = 90,
    /// An offline update failed, and was taken back.
    InstallOfflineRollbackOk = 99,
    /// Installed; reboot, then finalize.
    InstallNeedsReboot = 100,
    /// The bundle's target is older than what runs.
    InstallDowngradeAttempt = 102,
    /// The update failed, and was taken back.
    InstallRollbackOk = 110,
    /// The update failed, and a reboot takes it back.
    InstallRollbackNeedsReboot = 120,
    /// The update failed, and could not be taken back.
    InstallRollbackFailed = 130,
}

impl StatusCode {
    /// The exit code.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether nothing failed.
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Self::Ok
                | Self::CheckinOkCached
                | Self::CheckinUpdateNewVersion
                | Self::OkNeedsRebootForBootFw
                | Self::InstallNeedsReboot
        )
    }

    /// One line for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::UnknownError => "an error occurred",
            Self::CheckinOkCached => "the stored metadata is used",
            Self::CheckinFailure => "the metadata could not be handled",
            Self::OkNeedsRebootForBootFw => "done; reboot to confirm new boot firmware",
            Self::CheckinNoMatchingTargets => "no target is for this device's hardware id and tags",
            Self::CheckinNoTargetContent => "the bundle holds the content of no target",
            Self::CheckinSecurityError => "the metadata is not trusted",
            Self::CheckinExpiredMetadata => "the metadata has expired",
            Self::CheckinMetadataFetchFailure => "the metadata could not be fetched",
            Self::CheckinMetadataNotFound => "the bundle lacks metadata",
            Self::CheckinInvalidBundleMetadata => {
                "the bundle is not signed as it must be, or is not for this device"
            }
            Self::CheckinUpdateNewVersion => "there is a new version",
            Self::TufTargetNotFound => "no target has this name or version",
            Self::RollbackTargetNotFound => "there is no target to go back to",
            Self::InstallationInProgress => {
                "an installation waits: reboot, then `aktualizr-lite finalize`"
            }
            Self::NoPendingInstallation => "no installation waits to be finalized",
            Self::DownloadFailure => "the target could not be fetched",
            Self::DownloadFailureNoSpace => "there is no room for the target",
            Self::DownloadFailureVerificationFailed => "what was fetched is not what was signed",
            Self::InstallAlreadyInstalled => "the target is installed already",
            Self::InstallTargetNotPulled => {
                "the target is not here: `aktualizr-lite pull` fetches it"
            }
            Self::InstallNeedsRebootForBootFw => {
                "reboot to confirm new boot firmware, then begin anew"
            }
            Self::InstallOfflineRollbackOk | Self::InstallRollbackOk => {
                "the update failed, and was taken back"
            }
            Self::InstallNeedsReboot => "installed: reboot, then `aktualizr-lite finalize`",
            Self::InstallDowngradeAttempt => "the target is older than what runs: refused",
            Self::InstallRollbackNeedsReboot => "the update failed: reboot to go back",
            Self::InstallRollbackFailed => "the update failed, and could not be taken back",
        }
    }
}

/// Why a command ended without doing what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Halt {
    /// What scripts are told.
    pub code: StatusCode,
    /// What people are told.
    pub problem: String,
    /// The way out, where there is one to name.
    pub hint: Option<String>,
}

impl Halt {
    /// An end with the code's own text.
    pub(super) fn of(code: StatusCode) -> Self {
        Self { code, problem: code.text().to_owned(), hint: None }
    }

    /// An end with this code because of an error.
    pub(super) fn with(code: StatusCode, error: &Error) -> Self {
        Self { code, problem: chain(error), hint: error.hint() }
    }

    /// An end with this code and text.
    pub(super) fn saying(code: StatusCode, problem: impl Into<String>) -> Self {
        Self { code, problem: problem.into(), hint: None }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        let code = match error {
            // Stored metadata that somebody changed, or another program's.
            Error::Refused(_) => StatusCode::CheckinSecurityError,
            _ => StatusCode::UnknownError,
        };
        Self::with(code, &error)
    }
}

impl From<updraft_task::Cancelled> for Halt {
    fn from(cancelled: updraft_task::Cancelled) -> Self {
        Error::from(cancelled).into()
    }
}

/// An error and its causes on one line.
fn chain(error: &Error) -> String {
    let mut text = format!("failed to {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let said = source.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = source.source();
    }
    text
}
