//! `/api/v1` holds what its description says, whatever is asked: schemathesis, from PyPI, makes requests
//! from the description and looks at the answers. It is installed below Cargo's target folder, once;
//! that needs Debian's python3-venv.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::world::World;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// What is looked for in each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";

fn installed() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SCHEMATHESIS);
        let ready = folder.join("ready");
        if !ready.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            run(Command::new(folder.join("bin/python3")).args(install).arg(SCHEMATHESIS));
            std::fs::write(&ready, b"").expect("written");
        }
        folder.join("bin/st")
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_request_that_is_made_from_the_description_is_answered_otherwise_than_it_says() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("folder");
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, updraft_server_service::http::openapi::json()).expect("written");
    let output = Command::new(installed())
        .arg("run")
        .arg(&description)
        .current_dir(folder.path())
        .args(["--url", &world.plain_url("")])
        .args(["-H", &format!("Authorization: Bearer {}", world.token)])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "5", "--seed", "7", "--generation-database", "none"])
        // It would take the token away, a stream has no end, and there is no provider to send to.
        .args(["--exclude-operation-id", "revoke_token"])
        .args(["--exclude-operation-id", "follow_events"])
        .args(["--exclude-path-regex", "session/oidc"])
        .output()
        .expect("schemathesis runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(" passed"), "{text}");
}
