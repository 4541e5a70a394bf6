//! Writes the page about the rules of TUF and Uptane anew.

#![allow(clippy::disallowed_methods, reason = "a developer's tool writes a page")]

use std::error::Error;

use tidy::{Workspace, conformance};

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Workspace::read()?;
    let path = workspace.metadata.workspace_root.join(conformance::PAGE);
    std::fs::write(path, conformance::page(&workspace.files))?;
    Ok(())
}
