//! Floors: a crate uses crates of lower floors only.
//!
//! Development dependencies are not looked at: tests may reach up for a real peer.

use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::Finding;

/// The folders below `crates/`, from the ground up.
pub const FLOORS: [&str; 6] =
    ["foundation", "formats", "platform", "engines", "services", "programs"];

/// Edges within one floor, each with its reason. Keep this short.
pub const SAME_FLOOR: &[(&str, &str, &str)] = &[
    ("updraft-task", "updraft-error", "a cancelled task is a kind of error"),
    ("updraft-http", "updraft-crypto", "one place installs the TLS provider"),
    ("updraft-http", "updraft-fs", "a download ends as a durable file"),
    ("updraft-repo", "updraft-delta", "a repository makes static deltas and pulls by them"),
    (
        "updraft-slots",
        "updraft-delta",
        "the patches of payloads are those of bsdiff, and packed by xz",
    ),
    ("updraft-recovery-engine", "updraft-delta", "patches read old content at any place"),
    (
        "updraft-recovery-engine",
        "updraft-slots",
        "recovery packages have the same patches as payloads",
    ),
    ("updraft-openpgp", "updraft-process", "signing runs gpg, which alone has the secret keys"),
    ("updraft-sysroot", "updraft-repo", "a deployment is a checkout of a commit"),
    ("updraft-image", "updraft-repo", "an image holds a commit of a repository"),
    ("updraft-image", "updraft-sysroot", "an image holds a deployment"),
    ("updraft-server-service", "updraft-api", "the server answers with the wire types"),
    ("updraft-server-service", "updraft-dashboard", "the server shows the dashboard"),
    ("vm", "harness", "the machines have a server, as other installations"),
    ("vm", "machine", "they are virtual machines"),
    ("xtask", "harness", "the demo plays the same installation as the end-to-end test"),
    ("xtask", "vm", "people play with the machines of the tests"),
    ("updraft-handover-bench", "machine", "it measures boots"),
    ("updraft-agent-bench", "harness", "it measures an agent that has a server"),
    ("updraft-server-bench", "peers", "it measures a server that has a PostgreSQL"),
    ("updraft-benches", "updraft-measure", "benches measure and tell in one way"),
    ("updraft-server-bench", "updraft-measure", "benches measure and tell in one way"),
    ("updraft-slots-bench", "updraft-measure", "benches measure and tell in one way"),
    ("xtask", "machine", "an initramfs for users is made as those of the tests are"),
    ("updraft", "updraft-terminal", "every program talks to people in one voice"),
    ("updraftd", "updraft-terminal", "every program talks to people in one voice"),
    ("updraft-server", "updraft-terminal", "every program talks to people in one voice"),
    ("updraft-sim", "updraft-terminal", "every program talks to people in one voice"),
];

/// Every edge that does not point down.
pub fn check(metadata: &Metadata, same_floor: &[(&str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(from) = floor(package) else {
            findings.push(Finding {
                place: package.name.to_string(),
                problem: format!("`{}` is on no floor", package.manifest_path),
                way_out: "put it below one of the folders of `crates/`, `tests/`, or `benches/`",
            });
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            let Some(target) = metadata.packages.iter().find(|p| *p.name == dependency.name) else {
                continue;
            };
            let listed =
                same_floor.iter().any(|(a, b, _)| *a == *package.name && *b == dependency.name);
            match floor(target) {
                Some(to) if to < from || (to == from && listed) => {}
                _ => findings.push(Finding {
                    place: package.name.to_string(),
                    problem: format!("uses `{}`, which is not on a lower floor", dependency.name),
                    way_out: "move the shared part down, pass it in as a parameter, or (same \
                              floor only) add the edge with its reason to SAME_FLOOR",
                }),
            }
        }
    }
    findings
}

/// The number of a package's floor; what stands outside the house is above all of it.
fn floor(package: &Package) -> Option<usize> {
    let folder = package.manifest_path.parent()?.parent()?;
    let name = folder.file_name()?;
    let inside = folder.parent().and_then(|up| up.file_name()) == Some("crates");
    if inside { FLOORS.iter().position(|known| *known == name) } else { Some(FLOORS.len()) }
}
