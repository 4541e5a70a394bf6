//! `updraft slots log`.

use jiff::Timestamp;
use updraft_terminal::{Result, Table, Terminal};

use super::device::{DeviceOptions, failure};

pub(super) fn run(device: &DeviceOptions, terminal: &Terminal) -> Result {
    let log = device.open()?.log().map_err(failure)?;
    terminal.show(&log, |log| {
        let mut table = Table::new(["when", "what", "more"]);
        for entry in log {
            let time = entry.time.and_then(|time| i64::try_from(time).ok());
            let time = time.and_then(|time| Timestamp::from_second(time).ok());
            let time = time.map_or("-".to_owned(), |time| time.to_string());
            table.row([time, entry.event.clone(), entry.message.clone()]);
        }
        terminal.table(&table)
    })
}
