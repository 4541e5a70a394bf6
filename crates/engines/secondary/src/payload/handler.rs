//! An image that an action handler puts in place: the contract of Torizon's `torizon-generic`
//! secondaries, version 1.0.
//!
//! The handler is called with one argument and told the rest in its environment; it answers with
//! its exit code and, when that is 0, with a JSON object on stdout.
//!
//! ```text
//! get-firmware-info  {"status": "ok"|"failed", "name"?, "sha256"?, "length"?, "message"?}
//! install            {"status": "ok"|"failed"|"need-completion", "message"?}
//! complete-install   the same, after a restart
//! exit code          0 see stdout, 64 do the usual, 65 treat it as failed
//! always             SECONDARY_INTERFACE_MAJOR, _INTERFACE_MINOR, _FIRMWARE_PATH, _HARDWARE_ID,
//!                    _ECU_SERIAL
//! while installing   _FIRMWARE_PATH is the new file, _FIRMWARE_PATH_PREV the old one; also
//!                    _FIRMWARE_SHA256, _CUSTOM_METADATA, _UPDATE_TYPE, _INSTALL_DATA,
//!                    _CMPLINSTALL_DATA; _FWINFO_DATA otherwise
//! ```

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use updraft_error::Kind;
use updraft_fs::atomic_write_path;
use updraft_process::Command;
use updraft_task::Context;
use updraft_tuf::Ecu;

use super::file::{copy_into, folder_of, make_parent, with_suffix};
use super::{FilePayload, NewImage, Observed, Payload};
use crate::{Error, Installation, Result};

/// The usual is to be done.
const DO_THE_USUAL: i32 = 64;
/// The handler cannot do it.
const FAILED: i32 = 65;
const MAX_ANSWER: usize = 1 << 20;

/// What an action handler installs.
#[derive(Debug)]
pub struct HandlerPayload {
    handler: PathBuf,
    directory: PathBuf,
    firmware_path: PathBuf,
    name_path: PathBuf,
    ecu: Ecu,
    timeout: Duration,
}

/// What a handler came to.
enum Answer {
    /// It did its work and said this.
    Said(Value),
    /// The usual is to be done.
    DoTheUsual,
}

impl HandlerPayload {
    /// The handler of `ecu`, which is run in `directory`.
    #[must_use]
    pub fn new(
        handler: PathBuf,
        directory: PathBuf,
        (firmware_path, name_path): (PathBuf, PathBuf),
        ecu: Ecu,
        timeout: Duration,
    ) -> Self {
        Self { handler, directory, firmware_path, name_path, ecu, timeout }
    }

    fn call(
        &self,
        ctx: &Context,
        action: &'static str,
        variables: &[(&str, String)],
    ) -> Result<Answer> {
        let failed = |problem: String| Error::Payload {
            action: "call the action handler",
            problem: format!("{action}: {problem}"),
            kind: Kind::Conflict,
        };
        let mut command = Command::new(&self.handler)
            .arg(action)
            .directory(&self.directory)
            .timeout(self.timeout)
            .output_limit(MAX_ANSWER)
            .env("SECONDARY_INTERFACE_MAJOR", "1")
            .env("SECONDARY_INTERFACE_MINOR", "0")
            .env("SECONDARY_FIRMWARE_PATH", &self.firmware_path)
            .env("SECONDARY_HARDWARE_ID", &self.ecu.hardware_id)
            .env("SECONDARY_ECU_SERIAL", &self.ecu.serial);
        for (name, value) in variables {
            command = command.env(*name, value);
        }
        let finished = command
            .output(ctx)
            .map_err(|source| Error::Process { action: "call the action handler", source })?;
        match finished.status.code() {
            Some(0) => {}
            Some(DO_THE_USUAL) => return Ok(Answer::DoTheUsual),
            Some(FAILED) => return Err(failed("it says that it failed".to_owned())),
            _ => return Err(failed(format!("it ended with {}", finished.status))),
        }
        let said = finished.stdout.text();
        match serde_json::from_str::<Value>(&said) {
            Ok(answer) if answer.is_object() => {
                if let Some(message) = answer.get("message").and_then(Value::as_str) {
                    tracing::info!(action, message, "the action handler says");
                }
                Ok(Answer::Said(answer))
            }
            _ => Err(failed("it did not answer with a JSON object".to_owned())),
        }
    }

    fn new_firmware(&self) -> PathBuf {
        with_suffix(&self.firmware_path, ".new")
    }

    fn new_name(&self) -> PathBuf {
        with_suffix(&self.name_path, ".new")
    }

    /// Both new files take the old ones' places, or go.
    fn settle(&self, keep: bool) -> Result<()> {
        for (from, to) in
            [(self.new_firmware(), &self.firmware_path), (self.new_name(), &self.name_path)]
        {
            let (dir, old) = folder_of(to)?;
            let new = from.file_name().unwrap_or_default();
            if keep && dir.exists(new)? {
                dir.rename(new, &dir, old)?;
            } else {
                dir.try_unlink(new)?;
            }
            dir.sync()?;
        }
        Ok(())
    }

    fn judge(&self, answer: Result<Answer>) -> Result<Installation> {
        let status = answer.map(|answer| match answer {
            Answer::DoTheUsual => Some("ok".to_owned()),
            Answer::Said(said) => said.get("status").and_then(Value::as_str).map(str::to_owned),
        });
        match status {
            Ok(Some(status)) if status == "ok" => {
                self.settle(true)?;
                Ok(Installation::Done)
            }
            Ok(Some(status)) if status == "need-completion" => Ok(Installation::NeedsRestart),
            Ok(status) => {
                self.settle(false)?;
                let status = status.unwrap_or_else(|| "no status".to_owned());
                Err(Error::Payload {
                    action: "install by the action handler",
                    problem: format!("it answered {status}"),
                    kind: Kind::Conflict,
                })
            }
            Err(error) => {
                self.settle(false)?;
                Err(error)
            }
        }
    }

    fn image_variables(&self, image: &NewImage<'_>) -> Vec<(&'static str, String)> {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let custom = image.custom.map_or_else(|| "{}".to_owned(), Value::to_string);
        vec![
            ("SECONDARY_FIRMWARE_PATH_PREV", text(&self.firmware_path)),
            ("SECONDARY_FIRMWARE_PATH", text(&self.new_firmware())),
            ("SECONDARY_FIRMWARE_SHA256", image.sha256.to_owned()),
            ("SECONDARY_CUSTOM_METADATA", custom),
        ]
    }
}

impl Payload for HandlerPayload {
    fn observe(&mut self, ctx: &Context) -> Result<Option<Observed>> {
        let data = [("SECONDARY_FWINFO_DATA", "{}".to_owned())];
        let answer = self.call(ctx, "get-firmware-info", &data)?;
        // The usual: what the files say.
        let mut files = FilePayload::new(&self.firmware_path, Some(self.name_path.clone()));
        let usual = files.observe(ctx)?;
        let Answer::Said(said) = answer else { return Ok(usual) };
        if said.get("status").and_then(Value::as_str) != Some("ok") {
            return Err(Error::Payload {
                action: "ask the action handler what runs",
                problem: "it does not say `ok`".to_owned(),
                kind: Kind::Unavailable,
            });
        }
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let length = said.get("length").and_then(Value::as_u64);
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sha256 = text("sha256").filter(is_digest).map(|text| text.to_ascii_lowercase());
        let name = text("name");
        Ok(match (sha256, length, usual) {
            (Some(sha256), Some(length), usual) => {
                let name = name.or_else(|| usual.and_then(|usual| usual.name));
                Some(Observed { name, sha256, length })
            }
            (_, _, Some(usual)) => Some(Observed { name: name.or(usual.name.clone()), ..usual }),
            _ => None,
        })
    }

    fn install(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        make_parent(&self.firmware_path)?;
        make_parent(&self.name_path)?;
        let (dir, _) = folder_of(&self.firmware_path)?;
        let new = self.new_firmware();
        copy_into(&dir, image.path)?.persist_replace(&dir, new.file_name().unwrap_or_default())?;
        dir.sync()?;
        atomic_write_path(self.new_name(), image.filepath.as_bytes(), 0o644)?;
        let mut variables = self.image_variables(&image);
        variables.push(("SECONDARY_INSTALL_DATA", "{}".to_owned()));
        variables.push(("SECONDARY_UPDATE_TYPE", "online".to_owned()));
        self.judge(self.call(ctx, "install", &variables))
    }

    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        let mut variables = self.image_variables(&image);
        variables.push(("SECONDARY_CMPLINSTALL_DATA", "{}".to_owned()));
        self.judge(self.call(ctx, "complete-install", &variables))
    }

    fn revert(&mut self, _ctx: &Context, _previous: Option<NewImage<'_>>) -> Result<Installation> {
        Err(Error::Payload {
            action: "go back",
            problem: "an action handler has no way back".to_owned(),
            kind: Kind::Unsupported,
        })
    }
}
