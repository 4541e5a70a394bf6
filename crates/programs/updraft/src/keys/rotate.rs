//! `updraft keys rotate`: other keys for a role, vouched for by the old root keys.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use updraft_api::{OnlineKeys, paths};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_publish::{ImageRepository, RootPlan, TopLevelKeys};
use updraft_terminal::{Failure, Result, Terminal};
use updraft_tuf::RoleName;

use super::{list, public_keys, read_public};
use crate::server::Server;
use crate::signing::{self, DIALECT, KeyFolder};

/// The roles that a root names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Root,
    Targets,
    Snapshot,
    Timestamp,
}

/// Give a role other keys, by a new root that the old and the new root keys sign.
///
/// Without --add and --remove each key of root or targets is replaced by a new one, and snapshot
/// and timestamp get the server's present online keys.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The role.
    role: Role,
    /// What sort of keys to make.
    #[arg(long, default_value = "ed25519")]
    algorithm: KeyAlgorithm,
    /// Add this key (its public half, from `keys export`); repeat for more.
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// Remove this key (its id or first digits); repeat for more.
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,
    /// How many of the role's keys must sign; without it as before.
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// For how many days the new root, and targets signed anew, are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    expires_days: u16,
    /// Publish nothing: write the new root as a sign request.
    #[arg(long, value_name = "FILE")]
    sign_request: Option<PathBuf>,
}

impl Rotate {
    pub(super) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        let mut repository = folder.repository(&server)?;
        let mut plan = RootPlan::of(repository.root());
        let name = self.role.name();
        let keys = plan.role_mut(&name).ok_or_else(|| Failure::new(Kind::Bug, "no such role"))?;
        self.change(keys, folder, &server)?;
        let draft = repository.draft_root(&plan, signing::in_days(self.expires_days)?);
        let mut draft = signing::in_its_forms(&server, draft)?;
        folder.sign(&mut draft)?;
        for change in draft.changes() {
            terminal.say(change);
        }
        let Some(root) = signing::finish(&draft, self.sign_request.as_deref(), terminal)? else {
            return Ok(());
        };
        let published = signing::publish(&server, &draft)?;
        repository.accept_root(&root, jiff::Timestamp::now())?;
        if self.role == Role::Targets {
            self.sign_targets_anew(folder, &server, &repository, terminal)?;
        }
        folder.trust(&root)?;
        published.show(terminal)
    }

    fn change(&self, keys: &mut TopLevelKeys, folder: &KeyFolder, server: &Server) -> Result {
        let is_explicit =
            !self.add.is_empty() || !self.remove.is_empty() || self.threshold.is_some();
        if !is_explicit {
            self.replace(keys, folder, server)?;
        }
        for text in &self.remove {
            list::check_digits(text)?;
            let before = keys.keys.len();
            keys.keys.retain(|key| !key.key_id(DIALECT).as_str().starts_with(text));
            if before != keys.keys.len() + 1 {
                return Err(Failure::new(
                    Kind::NotFound,
                    format!("`{text}` is not the beginning of exactly one key of this role"),
                ));
            }
        }
        for path in &self.add {
            keys.keys.push(read_public(path)?);
        }
        keys.threshold = self.threshold.unwrap_or(keys.threshold);
        let count = u64::try_from(keys.keys.len()).unwrap_or(u64::MAX);
        if keys.threshold == 0 || keys.threshold > count {
            return Err(Failure::new(
                Kind::Invalid,
                format!("a threshold of {} does not fit {count} key(s)", keys.threshold),
            )
            .hint("set it with --threshold"));
        }
        Ok(())
    }

    fn replace(&self, keys: &mut TopLevelKeys, folder: &KeyFolder, server: &Server) -> Result {
        match self.role {
            Role::Root | Role::Targets => {
                for key in &mut keys.keys {
                    *key = folder.store.generate(self.algorithm)?.public().clone();
                }
            }
            Role::Snapshot | Role::Timestamp => {
                let online: OnlineKeys = server.get(paths::ONLINE_KEYS)?;
                let role =
                    if self.role == Role::Snapshot { online.snapshot } else { online.timestamp };
                keys.keys = public_keys(&role)?;
            }
        }
        Ok(())
    }

    /// The old targets no longer count: the same ones again, signed by the new keys.
    fn sign_targets_anew(
        &self,
        folder: &KeyFolder,
        server: &Server,
        repository: &ImageRepository,
        terminal: &Terminal,
    ) -> Result {
        let expires = signing::in_days(self.expires_days)?;
        let changes = vec!["the same targets, signed by new keys".to_owned()];
        let draft = repository.draft_targets(expires, changes, |_| {});
        let mut draft = signing::in_its_forms(server, draft)?;
        folder.sign(&mut draft)?;
        if draft.shortfalls()?.is_empty() {
            let published = signing::publish(server, &draft)?;
            terminal.say(format!("signed the targets anew: version {}", published.version));
            return Ok(());
        }
        terminal.say("the targets still need signatures of the new keys:");
        terminal.say("  updraft release renew --sign-request FILE");
        Ok(())
    }
}

impl Role {
    fn name(self) -> RoleName {
        match self {
            Self::Root => RoleName::Root,
            Self::Targets => RoleName::Targets,
            Self::Snapshot => RoleName::Snapshot,
            Self::Timestamp => RoleName::Timestamp,
        }
    }
}
