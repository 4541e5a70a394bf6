//! Making signatures with `gpg`.

use std::path::Path;
use std::time::Duration;

use updraft_process::Command;
use updraft_task::Context;

use crate::Error;

/// A person may have to type a passphrase.
const TIMEOUT: Duration = Duration::from_mins(5);
/// The least digits that mean a key.
const MIN_KEY_ID: usize = 8;

/// A detached binary signature of `data` with the secret key that `key_id` means, from the GnuPG
/// home at `home` or the user's own.
pub fn detached(
    ctx: &Context,
    home: Option<&Path>,
    key_id: &str,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    if key_id.len() < MIN_KEY_ID {
        return Err(Error::BadKeyId { id: key_id.to_owned() });
    }
    let found =
        gpg(home).args(["--list-secret-keys", "--with-colons", "--", key_id]).output(ctx)?;
    if !found.status.success() {
        let home = home.map_or_else(|| "<default>".to_owned(), |home| home.display().to_string());
        return Err(Error::NoSecretKey { id: key_id.to_owned(), home });
    }
    let signed = gpg(home)
        .args(["--detach-sign", "--no-armor", "--local-user", key_id, "--output", "-"])
        .input(data)
        .output(ctx)?;
    if signed.status.success() && !signed.stdout.bytes.is_empty() {
        return Ok(signed.stdout.bytes);
    }
    let said = signed.stderr.text();
    let last = said.lines().rev().find_map(|line| line.rsplit_once(": "));
    let reason = last.map_or_else(|| said.trim().to_owned(), |(_, reason)| reason.to_owned());
    Err(Error::NotSigned { reason })
}

/// `gpg` as a program that nobody talks to.
fn gpg(home: Option<&Path>) -> Command {
    let command = Command::new("gpg").timeout(TIMEOUT).args(["--batch", "--no-tty", "--quiet"]);
    match home {
        Some(home) => command.arg("--homedir").arg(home.as_os_str()),
        None => command,
    }
}
