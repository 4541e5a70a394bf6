//! Deltas that leave large files to be fetched by themselves.

use std::fs;
use std::path::Path;

use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::delta::DeltaName;
use updraft_repo::Repo;
use updraft_repo::delta::{GenerateOptions, generate};
use updraft_repo::pull::Deltas;
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

use crate::deltas::apply;
use crate::ops;
use crate::tree::World;

/// A delta from nothing that leaves out all but the smallest files.
fn world() -> (World, DeltaName) {
    let (world, ctx) = (World::new("archive"), Context::silent());
    let name = DeltaName::new(None, world.new);
    let options = GenerateOptions { min_fallback_size: 4000, ..GenerateOptions::default() };
    let made = generate(&ctx, &world.source, &name, 0, &options).unwrap();
    assert!(made.fallbacks >= 2 && made.parts >= 1, "{made:?}");
    summary::update(&ctx, &world.source, 0, &SummaryOptions::default()).unwrap();
    (world, name)
}

fn receiver(world: &World, name: &str) -> Repo {
    let path = world.path(name);
    drop(fs::remove_dir_all(&path));
    ops::init(&path, "bare-user")
}

/// What a server does to a file that it is asked for.
type Row = (&'static str, fn(Vec<u8>) -> Answer);

fn is_file(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "filez")
}

#[test]
fn what_a_delta_leaves_out_is_fetched_as_objects() {
    let (world, name) = world();
    let server = Server::files(world.source.path());
    let repo = receiver(&world, "receiver");
    ops::pull(&repo, &ops::http(&server.url()), "main", Deltas::Require).unwrap();
    ops::whole("with fallbacks", &repo, &world.new);
    ops::peer_fsck("with fallbacks", &repo);
    let paths = server.paths();
    assert!(paths.iter().any(|path| path.ends_with(&name.part_path(0))), "{paths:?}");
    let files = paths.iter().filter(|path| is_file(path)).count();
    assert!(files >= 2, "{paths:?}");
    let others = [".dirtree", ".dirmeta", ".commit"];
    assert!(!paths.iter().any(|path| others.iter().any(|end| path.ends_with(end))), "{paths:?}");
    // Without a network there is nowhere to fetch them from.
    let repo = receiver(&world, "offline");
    let said = apply(&repo, &world.source.path().join(name.path())).unwrap_err();
    assert!(said.contains("nonempty http fallback entries"), "{said}");
    ops::untouched("offline", &repo, 0);
}

#[test]
fn a_bad_fallback_object_is_named_and_nothing_shows() {
    let (world, _) = world();
    let bad: [Row; 5] = [
        ("missing", |_| Answer::Bytes(404, Vec::new())),
        ("empty", |_| Answer::Resource(Vec::new())),
        ("cut", |bytes| Answer::Resource(bytes[..bytes.len() / 2].to_vec())),
        ("longer", |bytes| Answer::Resource([bytes, vec![0]].concat())),
        ("flipped", |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            Answer::Resource(bytes)
        }),
    ];
    for (what, answer) in bad {
        let root = world.source.path().to_owned();
        let server =
            Server::start(move |exchange: &Exchange| match Answer::file(&root, exchange) {
                Answer::Resource(bytes) if is_file(&exchange.path) => answer(bytes),
                other => other,
            });
        let repo = receiver(&world, "receiver");
        let from = ops::http(&server.url());
        let said = ops::pull(&repo, &from, "main", Deltas::Require).unwrap_err();
        let objects = repo.list_objects().unwrap();
        assert!(objects.is_empty(), "{what}: {objects:?}");
        assert!(said.contains(".file"), "{what}: {said}");
        ops::untouched(what, &repo, 0);
        // What came with the delta is kept for the next time.
        let good = Server::files(world.source.path());
        ops::pull(&repo, &ops::http(&good.url()), "main", Deltas::Require).unwrap();
        ops::whole(what, &repo, &world.new);
    }
}
