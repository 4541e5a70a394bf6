//! `updraft keys init`: begin an Image repository.

use std::path::PathBuf;

use clap::Args;
use updraft_api::{OnlineKeys, paths};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_publish::{Draft, ImageRepository, RootPlan, TopLevelKeys};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::{public_keys, read_public};
use crate::server::Server;
use crate::signing::{self, DIALECT, KeyFolder};

/// Make the keys of an Image repository, sign its first root, and publish both root and empty
/// targets.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What sort of keys: ed25519, ecdsa-p256, rsa-2048, rsa-3072, rsa-4096.
    #[arg(long, default_value = "ed25519")]
    algorithm: KeyAlgorithm,
    /// How many root keys to make.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    root_keys: u8,
    /// How many of them must sign a root.
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_threshold: u8,
    /// How many targets keys to make.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    targets_keys: u8,
    /// How many of them must sign targets.
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_threshold: u8,
    /// A targets key that lives elsewhere (its public half, from `keys export`); repeat for more.
    /// Then none are made here.
    #[arg(long, value_name = "FILE")]
    targets_key: Vec<PathBuf>,
    /// For how many days root and targets are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    expires_days: u16,
    /// The server's online keys, from `updraft keys online`, for a machine without network.
    #[arg(long, value_name = "FILE", requires = "sign_request")]
    online_keys: Option<PathBuf>,
    /// Publish nothing: write the signed root as a request, for `updraft release import`.
    #[arg(long, value_name = "FILE")]
    sign_request: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        self.check(folder)?;
        let server = match &self.online_keys {
            Some(_) => None,
            None => Some(Server::connect()?),
        };
        if let Some(server) = &server
            && server.get_bytes(paths::IMAGE_ROOT)?.is_some()
        {
            return Err(Failure::new(Kind::Conflict, "the server's Image repository has a root")
                .hint("change its keys with `updraft keys rotate`"));
        }
        let online = self.online(server.as_ref())?;
        let mut draft = self.plan(folder, &online)?.first_root(DIALECT, self.expires()?);
        folder.sign(&mut draft)?;
        let root = draft.finish().context("failed to sign the first root")?;
        let repository = ImageRepository::new(DIALECT, &root, jiff::Timestamp::now())?;
        match (&self.sign_request, server) {
            (Some(path), _) => {
                signing::write_request(&draft, path)?;
                folder.trust(&root)?;
                terminal.say(format!("wrote the signed root to {}", path.display()));
                terminal.say("publish it where the server is: `updraft release import FILE`");
                Ok(())
            }
            (None, Some(server)) => {
                let published = signing::publish(&server, &draft)?;
                folder.trust(&root)?;
                published.show(terminal)?;
                self.publish_targets(folder, &server, &repository, terminal)
            }
            (None, None) => Ok(()),
        }
    }

    fn check(&self, folder: &KeyFolder) -> Result {
        if folder.trusted_root()?.is_some() {
            let path = folder.store.path().display();
            return Err(Failure::new(
                Kind::Conflict,
                format!("the folder `{path}` belongs to an Image repository already"),
            )
            .hint("give another folder with --keys, or change keys with `updraft keys rotate`"));
        }
        let targets = match self.targets_key.len() {
            0 => usize::from(self.targets_keys),
            given => given,
        };
        let fits = |threshold: u8, keys: usize| threshold > 0 && usize::from(threshold) <= keys;
        if fits(self.root_threshold, usize::from(self.root_keys))
            && fits(self.targets_threshold, targets)
        {
            return Ok(());
        }
        Err(Failure::new(Kind::Invalid, "a threshold is between 1 and the number of keys"))
    }

    fn online(&self, server: Option<&Server>) -> Result<OnlineKeys> {
        match (&self.online_keys, server) {
            (Some(path), _) => {
                let failed = || format!("failed to read the online keys `{}`", path.display());
                let text = std::fs::read_to_string(path).with_context(failed)?;
                serde_json::from_str(&text)
                    .map_err(|error| Failure::of(Kind::Invalid, error).context(failed()))
            }
            (None, Some(server)) => server.get(paths::ONLINE_KEYS),
            (None, None) => Err(Failure::new(Kind::Bug, "neither a server nor a file was given")),
        }
    }

    fn plan(&self, folder: &KeyFolder, online: &OnlineKeys) -> Result<RootPlan> {
        let make = |count: u8| {
            (0..count)
                .map(|_| Ok(folder.store.generate(self.algorithm)?.public().clone()))
                .collect::<Result<Vec<_>>>()
        };
        let targets = if self.targets_key.is_empty() {
            make(self.targets_keys)?
        } else {
            self.targets_key.iter().map(read_public).collect::<Result<_>>()?
        };
        Ok(RootPlan {
            root: TopLevelKeys {
                keys: make(self.root_keys)?,
                threshold: self.root_threshold.into(),
            },
            targets: TopLevelKeys { keys: targets, threshold: self.targets_threshold.into() },
            snapshot: TopLevelKeys { keys: public_keys(&online.snapshot)?, threshold: 1 },
            timestamp: TopLevelKeys { keys: public_keys(&online.timestamp)?, threshold: 1 },
        })
    }

    fn publish_targets(
        &self,
        folder: &KeyFolder,
        server: &Server,
        repository: &ImageRepository,
        terminal: &Terminal,
    ) -> Result {
        let mut draft: Draft = repository.draft_targets(
            self.expires()?,
            vec!["begins with no targets".into()],
            |_| {},
        );
        folder.sign(&mut draft)?;
        if draft.shortfalls()?.is_empty() {
            signing::publish(server, &draft)?;
        } else {
            terminal.say("the targets keys live elsewhere: sign the first release there");
        }
        terminal.say(format!("made the keys in {}", folder.store.path().display()));
        Ok(())
    }

    fn expires(&self) -> Result<jiff::Timestamp> {
        signing::in_days(self.expires_days)
    }
}
