//! Runs what is to be done in the browser: Vitest with Playwright, in `web/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use harness::Answer;
use serde_json::Value;

/// Somebody with a browser.
pub(crate) struct Browser {
    world: String,
}

impl Browser {
    /// Somebody who knows this of the world: its address and tokens.
    pub(crate) fn new(world: &Value) -> Self {
        Self { world: world.to_string() }
    }

    /// Runs `web/e2e/NAME.test.ts` for each name, one after the other; all have to succeed.
    pub(crate) fn run(&self, names: &[&str]) -> Result<()> {
        let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../web");
        let vitest = web.join("node_modules/vitest/vitest.mjs");
        ensure!(vitest.is_file(), "web/ is not built; run `cargo xtask web`, and build the server");
        for name in names {
            let mut command = Command::new("node");
            command.arg(&vitest).args(["run", "--config", "vitest.e2e.config.ts"]);
            command.arg(format!("e2e/{name}.test.ts"));
            command.current_dir(&web).env("UPDRAFT_WORLD", &self.world).env("NO_COLOR", "1");
            let answer = Answer::of(&mut command)?;
            // For who reads what a test took.
            eprintln!("{}", answer.out);
            ensure!(answer.code == 0, "{name}: {}\n{}", answer.out, answer.err);
        }
        Ok(())
    }
}
