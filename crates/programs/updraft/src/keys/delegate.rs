//! `updraft keys delegate`: let other keys speak for some of the targets.

use std::path::{Path, PathBuf};

use clap::Args;
use updraft_api::paths;
use updraft_error::Kind;
use updraft_publish::{Delegation, Draft, ImageRepository};
use updraft_terminal::{Failure, Result, Terminal};
use updraft_tuf::{Envelope, RoleName};

use super::read_public;
use crate::server::Server;
use crate::signing::{self, DIALECT, KeyFolder, Published, TufRepository};

/// Let a role with keys of its own sign the targets whose names fit patterns.
///
/// The delegation is added, or takes the place of the one of that name. It is published together
/// with first, empty targets of the role, or with the targets it has, signed anew, when its keys
/// change.
#[derive(Debug, Args)]
pub(crate) struct Delegate {
    /// The delegated role's name: 1 to 128 of A-Z a-z 0-9 . _ -
    name: String,
    /// A key that may sign (its public half, from `keys export`); repeat for more.
    #[arg(long, value_name = "FILE", required_unless_present = "revoke")]
    key: Vec<PathBuf>,
    /// A pattern of target names, such as `team-*`; `*` stands for `/` too. Repeat for more.
    #[arg(long, value_name = "PATTERN", required_unless_present = "revoke")]
    path: Vec<String>,
    /// How many of the keys must sign.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u64,
    /// For names that fit, ask no role that comes after this one.
    #[arg(long)]
    terminating: bool,
    /// Take the delegation back; devices then refuse the targets of the role.
    #[arg(long, conflicts_with_all = ["key", "path", "threshold", "terminating"])]
    revoke: bool,
    /// For how many days the targets are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    expires_days: u16,
    /// Publish nothing: write the targets as a sign request, and those of the role, when they are
    /// needed, as another one beside it.
    #[arg(long, value_name = "FILE")]
    sign_request: Option<PathBuf>,
}

impl Delegate {
    pub(super) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        check_name(&self.name)?;
        let server = Server::connect()?;
        let repository = folder.repository_with_delegations(&server)?;
        let forms = TufRepository::of(&server)?;
        let drafts = self.drafts(&repository, &server, terminal)?.into_iter();
        let mut drafts =
            drafts.map(|draft| forms.prepare(draft)).collect::<Result<Vec<Draft>>>()?;
        for draft in &mut drafts {
            folder.sign(draft)?;
            draft.changes().iter().for_each(|change| terminal.say(change));
        }
        match &self.sign_request {
            Some(path) => request(&drafts, path, terminal),
            None => publish(&drafts, folder, &server, terminal),
        }
    }

    /// The top-level targets, and those of the role when it has none that will count.
    fn drafts(
        &self,
        repository: &ImageRepository,
        server: &Server,
        terminal: &Terminal,
    ) -> Result<Vec<Draft>> {
        let expires = signing::in_days(self.expires_days)?;
        let name = &self.name;
        if self.revoke {
            return Ok(vec![repository.draft_revocation(name, expires)?]);
        }
        let delegation = Delegation {
            name: name.clone(),
            keys: self.key.iter().map(read_public).collect::<Result<_>>()?,
            threshold: self.threshold,
            terminating: self.terminating,
            paths: self.path.clone(),
        };
        let targets = repository.draft_delegation(&delegation, expires)?;
        let next = repository.assuming(&targets)?;
        let listed = next.delegated(name).into_iter().flat_map(|file| file.payload.targets.keys());
        for path in listed.filter(|path| next.check_reach(name, path).is_err()) {
            terminal.say(format!("devices will not find {path} in {name} any more"));
        }
        let mut drafts = vec![targets];
        if !next.has_valid_delegated(name) {
            let (change, version) = match next.delegated(name) {
                Some(file) => {
                    let change = format!("the same targets of {name}, signed by its new keys");
                    (change, file.payload.header.version)
                }
                None => (format!("{name} begins with no targets"), last_version(name, server)?),
            };
            drafts.push(next.draft_delegated(name, expires, vec![change], |targets| {
                targets.header.version = version.saturating_add(1);
            })?);
        }
        Ok(drafts)
    }
}

/// The last version of a role that was revoked: devices remember it. Nothing else of its file
/// counts any more.
fn last_version(name: &str, server: &Server) -> Result<u64> {
    let Some(bytes) = server.get_bytes(&paths::image_delegation(name))? else { return Ok(0) };
    let envelope = Envelope::parse(DIALECT, &bytes, bytes.len())?;
    Ok(envelope.signed.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0))
}

fn request(drafts: &[Draft], path: &Path, terminal: &Terminal) -> Result {
    let mut names = Vec::new();
    for draft in drafts {
        let path = match draft.role() {
            RoleName::Delegated(name) => beside(path, name),
            _ => path.to_owned(),
        };
        signing::write_request(draft, &path)?;
        terminal.say(format!("wrote the sign request {}", path.display()));
        names.push(path.display().to_string());
    }
    terminal.say("sign each where its keys are: `updraft keys sign FILE`");
    let names = names.join(" ");
    terminal.say(format!("then bring them back together: `updraft release import {names}`"));
    Ok(())
}

fn publish(drafts: &[Draft], folder: &KeyFolder, server: &Server, terminal: &Terminal) -> Result {
    for draft in drafts {
        signing::finish(draft, None, terminal)?;
    }
    let published = signing::publish_together(server, &drafts.iter().collect::<Vec<_>>())?;
    if let Some(targets) = drafts.iter().find(|draft| *draft.role() == RoleName::Targets) {
        folder.remember_targets(&targets.finish()?)?;
    }
    terminal.show(&published, |published| {
        published.iter().map(Published::text).try_for_each(|line| terminal.line(line))
    })
}

/// `team.json` beside `delegation.json` is `delegation.team.json`.
fn beside(path: &Path, role: &str) -> PathBuf {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => path.with_extension(format!("{role}.{extension}")),
        None => path.with_added_extension(role),
    }
}

/// The server's own rule, said before anything is signed.
fn check_name(name: &str) -> Result {
    const LONGEST: usize = 128;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_good = !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits);
    if is_good && name.len() <= LONGEST {
        return Ok(());
    }
    let message = format!("a role's name has 1 to {LONGEST} characters of A-Z a-z 0-9 . _ -");
    Err(Failure::new(Kind::Invalid, message).hint("it does not begin with a dot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_the_role_lies_beside_that_of_the_targets() {
        assert_eq!(beside(Path::new("a/d.json"), "team"), Path::new("a/d.team.json"));
        assert_eq!(beside(Path::new("d"), "team"), Path::new("d.team"));
    }

    #[test]
    fn names_are_those_that_the_server_takes() {
        assert!(check_name("team-1.x_y").is_ok());
        for bad in ["", ".team", "a/b", "ä", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
