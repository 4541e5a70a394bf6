//! Random sequences of honest and hostile repository states. Whatever comes: a client never trusts
//! less than it did, never installs what the Image repository did not list, and goes on when the
//! repositories are honest again.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Server, World, director_target, image_target, key};
use proptest::prelude::*;
use serde_json::Value;
use updraft_tuf::{Dialect, Outcome, Repository, RoleName};

/// What happens before a run.
#[derive(Debug, Clone)]
enum Event {
    /// Everything one version up.
    Advance(bool),
    /// A new key for a role, in a new root.
    Rotate(bool, usize),
    /// A new image, listed by the Image repository and assigned by the Director.
    Release(u8),
    /// The Director's online keys are stolen: it assigns what nobody listed.
    StolenDirector(u8),
    /// One bit of one file is flipped on its way.
    Flip(usize, usize),
    /// One file is exchanged for any that was ever served.
    Exchange(usize, usize),
    /// One file is cut short.
    Cut(usize, usize),
    /// One file is not there.
    Remove(usize),
    /// A file of a role is signed by somebody else.
    Forge(bool, usize),
    /// Power fails after so many changes of the store.
    PowerCut(usize),
}

const ROLES: [&str; 3] = ["targets", "snapshot", "timestamp"];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(Event::Advance),
        (any::<bool>(), 0..3_usize).prop_map(|(director, role)| Event::Rotate(director, role)),
        any::<u8>().prop_map(Event::Release),
        any::<u8>().prop_map(Event::StolenDirector),
        (any::<usize>(), any::<usize>()).prop_map(|(file, bit)| Event::Flip(file, bit)),
        (any::<usize>(), any::<usize>()).prop_map(|(file, other)| Event::Exchange(file, other)),
        (any::<usize>(), any::<usize>()).prop_map(|(file, length)| Event::Cut(file, length)),
        any::<usize>().prop_map(Event::Remove),
        (any::<bool>(), 0..3_usize).prop_map(|(director, role)| Event::Forge(director, role)),
        (0..12_usize).prop_map(Event::PowerCut),
    ]
}

struct Story {
    world: World,
    /// Every file that was ever served.
    past: Vec<Vec<u8>>,
    /// Everything that the Image repository ever listed.
    listed: BTreeSet<String>,
    /// Roles whose stored files may go back, because their keys changed.
    rotated: BTreeSet<(Repository, RoleName)>,
    seed: u8,
}

impl Story {
    fn new(dialect: Dialect) -> Self {
        let mut world = match dialect {
            Dialect::Uptane => World::uptane(),
            Dialect::Tuf => World::tuf(),
        };
        world.delegate_to_team();
        let listed = BTreeSet::from([updraft_tuf::sha256_hex(b"firmware")]);
        Self { world, past: Vec::new(), listed, rotated: BTreeSet::new(), seed: 100 }
    }

    fn server(&mut self, director: bool) -> (&mut Server, Repository) {
        let is_director = director && self.world.image.dialect == Dialect::Uptane;
        let repository = if is_director { Repository::Director } else { Repository::Image };
        (self.world.server(repository), repository)
    }

    /// Names of all files that are served now.
    fn names(&self) -> Vec<(Repository, String)> {
        let names = |repository, server: &Server| {
            server.files.keys().map(|name| (repository, name.clone())).collect::<Vec<_>>()
        };
        let mut all = names(Repository::Image, &self.world.image);
        if self.world.image.dialect == Dialect::Uptane {
            all.extend(names(Repository::Director, &self.world.director));
        }
        all
    }

    fn pick(&mut self, file: usize) -> &mut Vec<u8> {
        let names = self.names();
        let (repository, name) = &names[file % names.len()];
        self.world.server(*repository).files.get_mut(name).unwrap()
    }

    /// Changes that last.
    fn honest(&mut self, event: &Event) {
        match *event {
            Event::Advance(director) => self.server(director).0.advance(),
            Event::Rotate(director, role) => {
                self.seed += 1;
                let new = key(self.seed);
                let (server, repository) = self.server(director);
                server.rotate(|server| server.set_role(ROLES[role], &[new], 1));
                server.advance();
                for role in [RoleName::Timestamp, RoleName::Snapshot] {
                    self.rotated.insert((repository, role));
                }
                let role = RoleName::of_file_name(&format!("{}.json", ROLES[role])).unwrap();
                self.rotated.insert((repository, role));
            }
            Event::Release(content) => {
                let target = image_target(&[content]);
                self.listed.insert(target.hashes.sha256().unwrap().to_owned());
                let team = self.world.image.delegated.get_mut("team").unwrap();
                team.targets.insert("fw.bin".to_owned(), target);
                self.world.image.advance();
                let target = director_target(&[content], "primary", "hw-1");
                self.world.director.targets.targets.insert("fw.bin".to_owned(), target);
                self.world.director.advance();
            }
            _ => {}
        }
        for (repository, name) in self.names() {
            let bytes = self.world.server(repository).file(&name);
            self.past.push(bytes);
        }
    }

    /// Changes that end with the run.
    fn hostile(&mut self, event: &Event) {
        match *event {
            Event::StolenDirector(content) => {
                let target = director_target(&[content, 1], "primary", "hw-1");
                self.world.director.targets.targets.insert("fw.bin".to_owned(), target);
                self.world.director.publish();
            }
            Event::Flip(file, bit) => {
                let bytes = self.pick(file);
                let index = bit / 8 % bytes.len();
                bytes[index] ^= 1 << (bit % 8);
            }
            Event::Exchange(file, other) => {
                let other = self.past[other % self.past.len()].clone();
                *self.pick(file) = other;
            }
            Event::Cut(file, length) => {
                let bytes = self.pick(file);
                bytes.truncate(length % bytes.len());
            }
            Event::Remove(file) => {
                let names = self.names();
                let (repository, name) = &names[file % names.len()];
                self.world.server(*repository).files.remove(name);
            }
            Event::Forge(director, role) => {
                let (server, _) = self.server(director);
                server.signers.insert(ROLES[role].to_owned(), vec![key(99)]);
                server.advance();
            }
            _ => {}
        }
    }

    fn versions(&self) -> BTreeMap<(Repository, RoleName), u64> {
        let mut versions = BTreeMap::new();
        for repository in [Repository::Director, Repository::Image] {
            for (role, bytes) in self.world.store.files(repository).iter() {
                let file: Value = serde_json::from_slice(bytes).unwrap();
                let version = file["signed"]["version"].as_u64().unwrap();
                versions.insert((repository, role.clone()), version);
            }
        }
        versions
    }

    /// What a run would install, as digests. Refusals are results too.
    fn run(&mut self, crash_after: usize) -> Option<Result<Vec<String>, String>> {
        let digests = match self.world.image.dialect {
            Dialect::Uptane => self.world.run_until(crash_after)?.map(|outcome| match outcome {
                Outcome::UpToDate => Vec::new(),
                Outcome::Update(targets) => targets
                    .iter()
                    .map(|target| target.hashes.sha256().unwrap().to_owned())
                    .collect(),
            }),
            Dialect::Tuf => self.world.run_tuf_until(&["fw.bin"], crash_after)?.map(|outcome| {
                let found = outcome.wanted["fw.bin"].iter();
                found.map(|target| target.hashes.sha256().unwrap().to_owned()).collect()
            }),
        };
        Some(digests.map_err(|refusal| refusal.to_string()))
    }

    fn step(&mut self, event: &Event) -> Result<(), TestCaseError> {
        self.rotated.clear();
        let before = self.versions();
        self.honest(event);
        let honest = self.world.clone();
        self.hostile(event);
        let crash_after = if let Event::PowerCut(after) = event { *after } else { usize::MAX };
        if let Some(Ok(installed)) = self.run(crash_after) {
            for digest in installed {
                prop_assert!(self.listed.contains(&digest), "unlisted content");
            }
        }
        self.check_not_less(&before)?;
        // The repositories are honest again.
        let before = self.versions();
        self.world.director = honest.director;
        self.world.image = honest.image;
        if let Event::Forge(director, _) = event {
            // The forger signed newer snapshots and timestamps with keys that were in order.
            let (server, _) = self.server(*director);
            server.advance();
            server.advance();
        }
        let result = self.run(usize::MAX).unwrap();
        prop_assert!(result.is_ok(), "after {event:?}: {result:?}");
        self.check_not_less(&before)
    }

    fn check_not_less(
        &self,
        before: &BTreeMap<(Repository, RoleName), u64>,
    ) -> Result<(), TestCaseError> {
        let after = self.versions();
        for (place, version) in before {
            if self.rotated.contains(place) {
                continue;
            }
            let now = after.get(place);
            prop_assert!(now.is_some_and(|now| now >= version), "{place:?}: {version} {now:?}");
        }
        Ok(())
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_uptane_client_never_trusts_less(events in prop::collection::vec(event(), 1..16)) {
        let mut story = Story::new(Dialect::Uptane);
        for event in &events {
            story.step(event)?;
        }
    }

    #[test]
    fn a_tuf_client_never_trusts_less(events in prop::collection::vec(event(), 1..16)) {
        let mut story = Story::new(Dialect::Tuf);
        for event in &events {
            story.step(event)?;
        }
    }
}
