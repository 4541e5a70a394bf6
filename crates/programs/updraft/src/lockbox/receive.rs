//! `updraft lockbox receive`: what devices left on a medium, to the server.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use updraft_api::paths;
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind};
use updraft_http::Method;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::read;
use crate::server::Server;

/// What the server said to one receipt.
#[derive(Debug, Serialize)]
struct Received {
    device: String,
    counter: u64,
    /// `taken`, `late` or `known`.
    receipt: String,
}

pub(super) fn run(dir: &Path, terminal: &Terminal) -> Result {
    let server = Server::connect()?;
    let mut received = Vec::new();
    for (device, counter) in found(dir)? {
        let folder = dir.join("receipts").join(&device);
        let Some(manifest) = read(&folder, &format!("{counter}.json"))? else { continue };
        let path = format!("/api/v1/admin/devices/{}/receipts", paths::encode(&device));
        let answer: Value = server
            .send(Method::Post, &path, &manifest)
            .with_context(|| format!("failed to hand over receipt {counter} of {device}"))?;
        let receipt = answer["receipt"].as_str().unwrap_or_default().to_owned();
        received.push(Received { device, counter, receipt });
    }
    terminal.show(&received, |received| {
        for one in received {
            terminal.line(format!("{} {}: {}", one.device, one.counter, one.receipt))?;
        }
        if received.is_empty() {
            terminal.line("there are no receipts")?;
        }
        Ok(())
    })
}

/// The receipts by device, the oldest first.
fn found(dir: &Path) -> Result<Vec<(String, u64)>> {
    let path = dir.join("receipts");
    if !dir.is_dir() {
        let message = format!("there is no folder {}", dir.display());
        return Err(Failure::new(Kind::NotFound, message));
    }
    let mut found = Vec::new();
    if !path.is_dir() {
        return Ok(found);
    }
    let receipts = Dir::open(&path)?;
    for device in receipts.entries()? {
        if device.kind != FileKind::Directory {
            continue;
        }
        for file in receipts.open_dir(&device.name)?.entries()? {
            let name = file.name.to_string_lossy().into_owned();
            // A file that was being written has another name.
            let counter = name.strip_suffix(".json").and_then(|number| number.parse().ok());
            if let Some(counter) = counter {
                found.push((device.name.to_string_lossy().into_owned(), counter));
            }
        }
    }
    found.sort();
    Ok(found)
}
