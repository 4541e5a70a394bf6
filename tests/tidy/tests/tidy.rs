//! The rules of the house, held against the repository as it is.

use std::sync::LazyLock;

use tidy::{Finding, Workspace, conformance, files, floors, guide, manifests};

static WORKSPACE: LazyLock<Workspace> =
    LazyLock::new(|| Workspace::read().expect("the workspace can be read"));

#[track_caller]
fn none(findings: &[Finding]) {
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} broken:\n{}", list.len(), list.join("\n"));
}

#[test]
fn every_crate_uses_lower_floors_only() {
    none(&floors::check(&WORKSPACE.metadata, floors::SAME_FLOOR));
}

#[test]
fn the_floor_check_sees_edges() {
    let found = floors::check(&WORKSPACE.metadata, &[]);
    assert!(found.iter().any(|f| f.place == "updraft-task"), "without exceptions one edge shows");
}

#[test]
fn no_file_is_too_long() {
    let files: Vec<_> = WORKSPACE.rust_files().chain(WORKSPACE.web_files()).collect();
    none(&files::sizes(&files, files::LONG_FILES));
}

#[test]
fn every_file_says_what_it_is_for() {
    none(&files::module_docs(&WORKSPACE.rust_files().collect::<Vec<_>>()));
}

#[test]
fn every_crate_takes_its_settings_from_the_workspace() {
    none(&manifests::check(&WORKSPACE.metadata, &WORKSPACE.files));
}

#[test]
fn no_file_says_what_none_may_say() {
    none(&files::words(&WORKSPACE.files, files::FORBIDDEN));
}

#[test]
fn every_rule_of_tuf_and_uptane_has_its_test_on_the_page() {
    none(&conformance::check(&WORKSPACE.files));
}

#[test]
fn every_page_of_the_guide_can_be_found() {
    none(&guide::pages(&WORKSPACE.files));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = WORKSPACE.metadata.workspace_root.as_std_path();
    none(&guide::dead_links(&WORKSPACE.files, |path| root.join(path).exists()));
}
