//! Objects: fsck, pulls, checkouts and deltas of a repository in which one is damaged.

use updraft_http::testing::Server;
use updraft_ostree::delta::DeltaName;
use updraft_repo::Repo;
use updraft_repo::checkout::{CheckoutOptions, Hardlinks};
use updraft_repo::delta::{GenerateOptions, Target, generate};
use updraft_repo::pull::Deltas;
use updraft_task::Context;

use crate::damage::{Damage, Damaged};
use crate::ops;
use crate::tree::World;
use crate::victim::{Kind, Victim};

/// One row of the table.
struct Row<'a> {
    world: &'a World,
    mode: &'static str,
    kind: Kind,
    damage: Damage,
    victim: Victim,
}

impl Row<'_> {
    fn name(&self) -> String {
        format!("{} {:?} {:?}", self.mode, self.kind, self.damage)
    }

    /// Whether the object is still what its name says.
    fn is_harmless(&self) -> bool {
        let is_content = matches!(self.kind, Kind::File | Kind::Symlink);
        match self.damage {
            // Only in bare repositories a file's attributes are part of the object.
            Damage::Attributes => self.mode == "archive" || !is_content,
            _ => false,
        }
    }

    /// Whether over HTTP the right bytes arrive: a server follows links.
    fn is_served(&self) -> bool {
        self.damage == Damage::Link
    }

    #[track_caller]
    fn must_be_named(&self, operation: &str, result: Result<(), String>) {
        let name = self.name();
        match result {
            Err(said) => assert!(self.victim.is_named(&said), "{name}: {operation} says: {said}"),
            Ok(()) => assert!(self.is_harmless(), "{name}: {operation} does not mind"),
        }
    }

    fn run(&self) {
        let aside = self.world.path("aside");
        let files = (self.victim.other.as_path(), self.victim.wrong.as_path());
        let damaged = Damaged::new(self.damage, &self.victim.path, files, aside);
        let source = Repo::open(self.world.source.path()).unwrap();
        self.fsck(&source);
        ops::forget_marks(&source);
        let receivers = self.pulls(&source);
        self.checkouts(&source);
        self.deltas(&source);
        self.delete(&source);
        drop(damaged);
        for receiver in receivers {
            let name = self.name();
            ops::pull(&receiver, &ops::local(&source), "main", Deltas::Prefer)
                .unwrap_or_else(|said| panic!("{name}: then: {said}"));
            ops::whole(&name, &receiver, &self.world.new);
        }
    }

    fn fsck(&self, source: &Repo) {
        let name = self.name();
        let found =
            ops::fsck(source).unwrap_or_else(|said| panic!("{name}: fsck gives up: {said}"));
        let found = found.join("\n");
        assert!(self.victim.is_named(&found) || self.is_harmless(), "{name}: fsck finds: {found}");
    }

    /// fsck can remove it, whatever it is.
    fn delete(&self, source: &Repo) {
        let name = self.name();
        let left = ops::fsck_delete(source).unwrap_or_else(|said| panic!("{name}: delete: {said}"));
        assert_eq!(left, Vec::<String>::new(), "{name}: after fsck deleted");
        assert!(self.is_harmless() || !self.victim.path.exists(), "{name}: still there");
        ops::forget_marks(source);
    }

    /// Pulls from the damaged repository; the receivers, which must not have changed.
    fn pulls(&self, source: &Repo) -> Vec<Repo> {
        let other = if self.mode == "archive" { "bare" } else { "archive" };
        let server = Server::files(source.path());
        let mut receivers = Vec::new();
        let mut ways = vec![(ops::local(source), self.mode), (ops::local(source), other)];
        if self.mode == "archive" {
            ways.push((ops::http(&server.url()), "bare-user"));
            ways.push((ops::http(&server.url()), "archive"));
        }
        for (number, (from, to)) in ways.iter().enumerate() {
            let path = self.world.path(&format!("to-{number}"));
            drop(std::fs::remove_dir_all(&path));
            let repo = ops::init(&path, to);
            let pulled = ops::pull(&repo, from, "main", Deltas::Prefer);
            if pulled.is_ok() && number > 1 && self.is_served() {
                ops::whole(&self.name(), &repo, &self.world.new);
                continue;
            }
            if pulled.is_err() {
                ops::untouched(&self.name(), &repo, 0);
            } else {
                ops::whole(&self.name(), &repo, &self.world.new);
            }
            self.must_be_named(&format!("pull {number} into {to}"), pulled);
            receivers.push(repo);
        }
        receivers
    }

    fn checkouts(&self, source: &Repo) {
        let copies = CheckoutOptions { hardlinks: Hardlinks::Never, ..CheckoutOptions::default() };
        let result = ops::checkout(source, &self.world.new, &copies);
        // What a bare-user-only repository keeps of a file need not be all that was hashed.
        let is_unread = self.mode == "bare-user-only"
            && matches!(self.kind, Kind::File | Kind::Symlink)
            && self.damage != Damage::Missing;
        match result {
            Ok(()) if is_unread => {}
            result => self.must_be_named("checkout of copies", result),
        }
        // A hard link does not read what it links: only fsck and pull see what is in it.
        if let Err(said) = ops::checkout(source, &self.world.new, &CheckoutOptions::default()) {
            assert!(self.victim.is_named(&said), "{}: checkout says: {said}", self.name());
        }
    }

    fn deltas(&self, source: &Repo) {
        // Only the file is not in the commit before.
        let from = Some(self.world.old).filter(|_| self.kind == Kind::File);
        let name = DeltaName::new(from, self.world.new);
        let options = GenerateOptions {
            target: Target::File(self.world.path("delta")),
            inline: true,
            ..GenerateOptions::default()
        };
        let made = ops::calm("delta", || generate(&Context::silent(), source, &name, 0, &options));
        self.must_be_named("making a delta", made.map(drop));
    }
}

/// Runs all rows of a mode and tells of all that failed.
fn all_rows(mode: &'static str) {
    let mut failures = Vec::new();
    let world = World::new(mode);
    for kind in Kind::ALL {
        for damage in Damage::ALL {
            let victim = Victim::of(&world.source, kind, &world.new, &world.old);
            let row = Row { world: &world, mode, kind, damage, victim };
            failures.extend(ops::attempt(|| row.run()).err());
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    ops::peer_fsck(mode, &world.source);
}

#[test]
fn damage_in_an_archive_is_named_and_stays_there() {
    all_rows(crate::MODES[0]);
}

#[test]
fn damage_in_a_bare_repository_is_named_and_stays_there() {
    all_rows(crate::MODES[1]);
}

#[test]
fn damage_in_a_bare_user_repository_is_named_and_stays_there() {
    all_rows(crate::MODES[2]);
}

#[test]
fn damage_in_a_bare_user_only_repository_is_named_and_stays_there() {
    all_rows(crate::MODES[3]);
}
