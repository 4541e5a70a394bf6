//! Manifests: what every crate takes from the workspace.

use cargo_metadata::Metadata;

use crate::{Finding, SourceFile};

/// Crates that do not take lints, edition, version or licence from the workspace, or that name a
/// version of a dependency by themselves.
pub fn check(metadata: &Metadata, files: &[SourceFile]) -> Vec<Finding> {
    let root = &metadata.workspace_root;
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let relative = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
        let Some(file) = files.iter().find(|file| file.path == relative.as_str()) else {
            continue;
        };
        let Ok(manifest) = file.text.parse::<toml::Table>() else { continue };
        findings.extend(problems(&manifest).into_iter().map(|problem| Finding {
            place: file.path.clone(),
            problem,
            way_out: "inherit it: `lints.workspace = true`, `edition.workspace = true`, \
                      `NAME.workspace = true`",
        }));
    }
    findings
}

fn problems(manifest: &toml::Table) -> Vec<String> {
    let inherits = |value: Option<&toml::Value>| {
        value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    let mut problems = Vec::new();
    if !inherits(manifest.get("lints")) {
        problems.push("does not inherit the workspace's lints".to_owned());
    }
    for key in ["version", "edition", "rust-version", "license"] {
        if !inherits(manifest.get("package").and_then(|package| package.get(key))) {
            problems.push(format!("does not inherit `package.{key}`"));
        }
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for (name, value) in table {
            // A crate may name itself in its own tests, to turn a test feature on.
            let is_itself = value.get("path").and_then(toml::Value::as_str) == Some(".");
            if !is_itself && !inherits(Some(value)) {
                problems.push(format!("`{section}.{name}` does not come from the workspace"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::problems;

    #[test]
    fn a_crate_that_goes_its_own_way_is_found() {
        let manifest = "[package]\nname = \"a\"\nversion.workspace = true\nedition = \"2021\"\n\
                        rust-version.workspace = true\nlicense.workspace = true\n\
                        [dependencies]\nserde = \"1\"\ntoml.workspace = true\n";
        assert_eq!(
            problems(&manifest.parse().unwrap()),
            [
                "does not inherit the workspace's lints",
                "does not inherit `package.edition`",
                "`dependencies.serde` does not come from the workspace",
            ]
        );
    }
}
