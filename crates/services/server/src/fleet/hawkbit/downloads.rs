//! Which files a device may have.

use updraft_hawkbit::management::{ActionStatus, Artifact};

use super::access::Presented;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::storage::hawkbit::actions::{self, NewReport};
use crate::storage::hawkbit::devices::{self, ActionDevice};
use crate::storage::hawkbit::{artifacts, modules};
use crate::storage::sql::Connection;

impl Fleet {
    /// A file that a device asks for: one of what it is told to install, or has installed.
    pub fn ddi_artifact(
        &self,
        id: &str,
        presented: &Presented,
        (module, filename): (i64, &str),
    ) -> Result<Artifact> {
        let device = if self.tenant()?.anonymous_download {
            self.database.read("read a device", |reader| devices::require(reader, id))?
        } else {
            self.ddi_device(id, presented)?
        };
        self.note_seen(id);
        self.database.read("find an artifact", |reader| {
            require_told(reader, &device, module)?;
            artifacts::by_name(reader, module, filename)?
                .ok_or_else(|| Error::not_found("artifact", filename))
        })
    }

    /// Notes that a device begins to download a file as a whole. Parts are not noted: a device may
    /// fetch thousands.
    pub fn ddi_note_download(&self, id: &str, module: i64, filename: &str) -> Result<()> {
        let now = self.now();
        self.write_for("note a download", id, |tx| {
            let action = actions::active(tx, id)?.into_iter().find(|action| {
                modules::of_set(tx, action.set)
                    .is_ok_and(|modules| modules.iter().any(|one| one.id == module))
            });
            let Some(action) = action else { return Ok(()) };
            let report = NewReport::of_server(
                ActionStatus::Download,
                &format!("Target downloads {filename}"),
            );
            let repeats = actions::last_report(tx, action.id)?
                .is_some_and(|last| last.messages == report.messages);
            let full = actions::count_reports(tx, action.id)? >= super::feedback::MAX_REPORTS;
            if repeats || full {
                return Ok(());
            }
            actions::append(tx, action.id, &report, now)
        })
    }
}

/// Refuses a module that is not of what a device is told to install, nor of what it has installed.
pub(super) fn require_told(reader: &Connection, device: &ActionDevice, module: i64) -> Result<()> {
    let active = actions::active(reader, &device.id)?;
    let told = active.iter().map(|action| action.set).chain(device.installed);
    for set in told {
        if modules::of_set(reader, set)?.iter().any(|one| one.id == module) {
            return Ok(());
        }
    }
    Err(Error::not_found("software module", module.to_string()))
}
