//! `updraft lockbox show`: what a medium holds.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, Terminal};

use super::{read, sha256, targets};

/// One list of offline updates.
#[derive(Debug, Serialize)]
struct List {
    name: String,
    version: u64,
    expires: String,
    targets: Vec<Target>,
}

/// One of its targets.
#[derive(Debug, Serialize)]
struct Target {
    name: String,
    sha256: String,
    hardware_ids: Vec<String>,
    /// Whether the commit or the file is on the medium; its content is not read.
    present: bool,
}

pub(super) fn run(dir: &Path, terminal: &Terminal) -> Result {
    let folder = dir.join("metadata/director");
    let snapshot = read(&folder, "offline-snapshot.json")?.ok_or_else(|| {
        let message = format!("{} is no medium: it has no offline-snapshot.json", dir.display());
        Failure::new(Kind::NotFound, message)
            .hint("make one with `updraft lockbox create NAME --output DIR`")
    })?;
    let mut lists = Vec::new();
    let meta = snapshot.pointer("/signed/meta").and_then(Value::as_object);
    for file_name in meta.into_iter().flat_map(|meta| meta.keys()) {
        if file_name.contains('/') {
            continue;
        }
        let Some(file) = read(&folder, file_name)? else { continue };
        let mut found = Vec::new();
        for (name, target) in targets(&file) {
            let sha256 = sha256(name, target)?.to_owned();
            let hardware = target.pointer("/custom/hardwareIds").and_then(Value::as_array);
            let hardware = hardware.into_iter().flatten().filter_map(Value::as_str);
            let (start, rest) = sha256.split_at(2);
            let commit = format!("ostree/objects/{start}/{rest}.commit");
            let images = dir.join("images");
            let present = images.join(&sha256).is_file()
                || [images.as_path(), dir].iter().any(|folder| folder.join(&commit).is_file());
            found.push(Target {
                name: name.clone(),
                hardware_ids: hardware.map(str::to_owned).collect(),
                present,
                sha256,
            });
        }
        lists.push(List {
            name: file_name.strip_suffix(".json").unwrap_or(file_name).to_owned(),
            version: file.pointer("/signed/version").and_then(Value::as_u64).unwrap_or_default(),
            expires: file
                .pointer("/signed/expires")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            targets: found,
        });
    }
    terminal.show(&lists, |lists| {
        for list in lists {
            let (name, version) = (&list.name, list.version);
            terminal.line(format!("{name} version {version}, valid until {}", list.expires))?;
            for target in &list.targets {
                let hardware = target.hardware_ids.join(", ");
                let missing = if target.present { "" } else { "  (not on the medium)" };
                terminal
                    .line(format!("  {hardware}: {} {}{missing}", target.name, target.sha256))?;
            }
        }
        Ok(())
    })
}
