//! What programs of the device's maker measure: each in a folder prints a JSON object of numbers, which
//! stands under the program's name without its ending.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use updraft_process::Command;
use updraft_task::Context;

use crate::folder::programs;
use crate::{Error, Result};

/// How long one may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What all of them say. One that fails is told of, and keeps none of the others from being heard.
pub(super) fn run(ctx: &Context, folder: &Path) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for program in programs(folder) {
        ctx.check()?;
        let Some(name) = program.file_stem().and_then(|name| name.to_str()) else { continue };
        match ask(ctx, &program) {
            Ok(Ok(numbers)) => {
                found.insert(name.to_owned(), Value::Object(numbers));
            }
            Ok(Err(problem)) => tracing::warn!(program = %program.display(), problem, "no metrics"),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn ask(ctx: &Context, program: &Path) -> Result<Result<Map<String, Value>, String>> {
    let answer = match Command::new(program).timeout(TIMEOUT).output(ctx) {
        Ok(answer) => answer,
        Err(updraft_process::Error::Cancelled(cancelled)) => {
            return Err(Error::Cancelled(cancelled));
        }
        Err(error) => return Ok(Err(error.to_string())),
    };
    if !answer.status.success() {
        return Ok(Err(format!("it ended with {}", answer.status)));
    }
    Ok(match serde_json::from_str(answer.stdout.text().trim()) {
        Ok(Value::Object(numbers)) => Ok(numbers),
        Ok(_) => Err("it printed no object".to_owned()),
        Err(error) => Err(format!("it printed no JSON: {error}")),
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn each_is_heard_and_one_that_fails_harms_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        };
        program("battery.sh", "echo '{\"percent\": 80}'", 0o755);
        program("fails", "echo '{\"a\": 1}'; exit 1", 0o755);
        program("talks", "echo hello", 0o755);
        program("list", "echo '[1]'", 0o755);
        program("not-executable", "echo '{\"a\": 1}'", 0o644);
        let found = run(&Context::silent(), folder.path()).expect("run");
        assert_eq!(Value::Object(found), json!({ "battery": { "percent": 80 } }));
        let none = run(&Context::silent(), Path::new("/nonexistent")).expect("run");
        assert!(none.is_empty());
    }
}
