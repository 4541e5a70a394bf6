//! Finds what `cargo xtask web` has built, so that it becomes part of the program. Only looks:
//! without it the program is built all the same, and says how to build the dashboard.

#![allow(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]

use std::path::PathBuf;

fn main() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).unwrap_or_default();
    // Always there: what cargo watches and does not find would make it build anew each time.
    let watched = variable("CARGO_MANIFEST_DIR").join("../../../web/dist");
    let built = watched.join("ui");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", watched.display());
    let folder = if built.join("index.html").is_file() {
        built
    } else {
        let empty = variable("OUT_DIR").join("no-dashboard");
        if let Err(error) = std::fs::create_dir_all(&empty) {
            println!("cargo::error=failed to make {}: {error}", empty.display());
        }
        empty
    };
    println!("cargo::rustc-env=UPDRAFT_DASHBOARD={}", folder.display());
}
