//! What the library tells: aktualizr's events, with their fields.

use serde::Serialize;
use serde_json::Value;

use super::results::{CheckStatus, Download, DownloadStatus, Install, UpdateCheck};
use crate::TargetSummary;
use crate::campaign::Campaign;
use crate::store::Update;

/// Something that happened. Its JSON form is `{"NAME": {FIELDS}}`, and `"NAME"` where there are
/// no fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum LibraryEvent {
    /// The server has what the device tells of itself.
    SendDeviceDataComplete,
    /// A manifest was sent.
    PutManifestComplete {
        /// Whether the server took it.
        success: bool,
    },
    /// The server was asked.
    UpdateCheckComplete {
        /// What came of it.
        result: UpdateCheck,
    },
    /// A target is being brought.
    DownloadProgressReport {
        /// Its name.
        target: String,
        /// What is being done.
        description: String,
        /// How much of it is done, in percent.
        progress: u8,
    },
    /// A target was brought, or was not.
    DownloadTargetComplete {
        /// The target.
        update: TargetSummary,
        /// Whether all of it is here.
        success: bool,
    },
    /// All targets of an assignment were brought, or were not.
    AllDownloadsComplete {
        /// What came of it.
        result: Download,
    },
    /// An ECU has begun to install.
    InstallStarted {
        /// Its serial.
        serial: String,
    },
    /// An ECU runs what it should and is healthy, or does not: after the reboot, where one is
    /// needed.
    InstallTargetComplete {
        /// Its serial.
        serial: String,
        /// Whether it does.
        success: bool,
    },
    /// All that could be done without a reboot is done.
    AllInstallsComplete {
        /// What came of it.
        result: Install,
    },
    /// The server was asked for campaigns.
    CampaignCheckComplete {
        /// Those that it offers.
        campaigns: Vec<Campaign>,
    },
    /// A campaign was accepted.
    CampaignAcceptComplete,
    /// A campaign was declined.
    CampaignDeclineComplete,
    /// A campaign was postponed.
    CampaignPostponeComplete,
}

impl LibraryEvent {
    /// The event's name, as aktualizr has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SendDeviceDataComplete => "SendDeviceDataComplete",
            Self::PutManifestComplete { .. } => "PutManifestComplete",
            Self::UpdateCheckComplete { .. } => "UpdateCheckComplete",
            Self::DownloadProgressReport { .. } => "DownloadProgressReport",
            Self::DownloadTargetComplete { .. } => "DownloadTargetComplete",
            Self::AllDownloadsComplete { .. } => "AllDownloadsComplete",
            Self::InstallStarted { .. } => "InstallStarted",
            Self::InstallTargetComplete { .. } => "InstallTargetComplete",
            Self::AllInstallsComplete { .. } => "AllInstallsComplete",
            Self::CampaignCheckComplete { .. } => "CampaignCheckComplete",
            Self::CampaignAcceptComplete => "CampaignAcceptComplete",
            Self::CampaignDeclineComplete => "CampaignDeclineComplete",
            Self::CampaignPostponeComplete => "CampaignPostponeComplete",
        }
    }
}

/// Turns what the server is told into what the program around the agent is told. Within a cycle,
/// the end of the check and of all downloads shows by what follows them.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// What is being brought.
    pub(super) target: Option<TargetSummary>,
    /// The percents that were told last.
    pub(super) progress: Option<u8>,
    in_cycle: bool,
    checked: bool,
}

impl Teller {
    /// A cycle begins.
    pub(super) fn begin_cycle(&mut self) {
        *self = Self { in_cycle: true, ..Self::default() };
    }

    /// A cycle is over: what nobody was told of yet.
    pub(super) fn end_cycle(
        &mut self,
        check: UpdateCheck,
        install: Option<Install>,
    ) -> Vec<LibraryEvent> {
        let mut events = Vec::new();
        if !self.checked {
            events.push(LibraryEvent::UpdateCheckComplete { result: check });
        }
        events.extend(install.map(|result| LibraryEvent::AllInstallsComplete { result }));
        *self = Self::default();
        events
    }

    /// Hears one event in the form that the server gets.
    pub(super) fn hear(&mut self, update: Option<&Update>, json: &str) -> Vec<LibraryEvent> {
        let Ok(event) = serde_json::from_str::<Value>(json) else { return Vec::new() };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let details = &event["event"];
        let serial = text(&details["ecu"]);
        let success = details["success"] == true;
        let mut events = Vec::new();
        match event["eventType"]["id"].as_str().unwrap_or_default() {
            "EcuDownloadStarted" => {
                let target = update.map(summary);
                self.check_is_over(target.clone(), &mut events);
                self.target = target;
                self.progress = None;
            }
            "EcuDownloadCompleted" => {
                let update = self.target.take().unwrap_or_else(|| TargetSummary {
                    filepath: text(&details["targetName"]),
                    sha256: String::new(),
                    correlation_id: text(&details["correlationId"]),
                });
                events
                    .push(LibraryEvent::DownloadTargetComplete { update: update.clone(), success });
                if self.in_cycle {
                    let status =
                        if success { DownloadStatus::Success } else { DownloadStatus::Error };
                    let result = Download { updates: vec![update], status, message: String::new() };
                    events.push(LibraryEvent::AllDownloadsComplete { result });
                }
            }
            "EcuInstallationStarted" => events.push(LibraryEvent::InstallStarted { serial }),
            "EcuInstallationCompleted" => {
                events.push(LibraryEvent::InstallTargetComplete { serial, success });
            }
            _ => {}
        }
        events
    }

    /// What is told of progress, if anything new.
    pub(super) fn advance(
        &mut self,
        phase: &str,
        done: u64,
        total: Option<u64>,
    ) -> Option<LibraryEvent> {
        let target = self.target.as_ref()?;
        let total = total.filter(|total| *total > 0)?;
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
        let progress = u8::try_from(percent).unwrap_or(100);
        if self.progress.is_some_and(|told| told >= progress) {
            return None;
        }
        self.progress = Some(progress);
        Some(LibraryEvent::DownloadProgressReport {
            target: target.filepath.clone(),
            description: phase.to_owned(),
            progress,
        })
    }

    fn check_is_over(&mut self, target: Option<TargetSummary>, events: &mut Vec<LibraryEvent>) {
        if !self.in_cycle || self.checked {
            return;
        }
        self.checked = true;
        let updates: Vec<_> = target.into_iter().collect();
        let result = UpdateCheck {
            ecus_count: updates.len(),
            updates,
            status: CheckStatus::UpdatesAvailable,
            targets_meta: None,
            message: String::new(),
        };
        events.push(LibraryEvent::UpdateCheckComplete { result });
    }
}

pub(super) fn summary(update: &Update) -> TargetSummary {
    TargetSummary {
        filepath: update.filepath.clone(),
        sha256: update.sha256.clone(),
        correlation_id: update.correlation_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{LibraryEvent, Teller};
    use crate::library::UpdateCheck;
    use crate::store::Update;

    fn event(id: &str, success: bool) -> String {
        let details =
            json!({ "ecu": "e", "correlationId": "c", "targetName": "t", "success": success });
        json!({ "eventType": { "id": id }, "event": details }).to_string()
    }

    #[test]
    fn a_cycle_is_told_in_the_order_in_which_it_happens() {
        let update = Update {
            filepath: "t".to_owned(),
            sha256: "00".to_owned(),
            length: 0,
            release_counter: None,
            correlation_id: "c".to_owned(),
        };
        let mut teller = Teller::default();
        teller.begin_cycle();
        let mut told = Vec::new();
        told.extend(teller.hear(Some(&update), &event("EcuDownloadStarted", false)));
        for done in [0, 5, 5, 10] {
            told.extend(teller.advance("fetching", done, Some(10)));
        }
        told.extend(teller.advance("fetching", 3, None));
        for id in ["EcuDownloadCompleted", "EcuInstallationStarted", "EcuInstallationCompleted"] {
            told.extend(teller.hear(None, &event(id, true)));
        }
        told.extend(teller.end_cycle(UpdateCheck::default(), None));
        let names: Vec<_> = told.iter().map(LibraryEvent::name).collect();
        assert_eq!(
            names,
            [
                "UpdateCheckComplete",
                "DownloadProgressReport",
                "DownloadProgressReport",
                "DownloadProgressReport",
                "DownloadTargetComplete",
                "AllDownloadsComplete",
                "InstallStarted",
                "InstallTargetComplete",
            ]
        );
        // Nothing was assigned: that is told, too.
        teller.begin_cycle();
        let told = teller.end_cycle(UpdateCheck::default(), None);
        assert_eq!(
            told.iter().map(LibraryEvent::name).collect::<Vec<_>>(),
            ["UpdateCheckComplete"]
        );
    }
}
