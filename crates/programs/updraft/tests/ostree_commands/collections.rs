//! Refs of collections: listed, summarised, and copied to media that are carried around.

use std::fs;

use super::world::{Outcome, World};

/// A repository `s` of a collection with two refs.
fn world() -> World {
    let world = World::new("archive");
    let id = "--collection-id=org.example.Os";
    assert_eq!(world.ours(&["init", "--repo=s", "--mode=archive", id]).code, 0);
    for name in ["x", "y"] {
        let commit = ["commit", "--repo=s", "-b", name, "--timestamp=@1700000000", "tree"];
        let outcome = world.ours(&commit);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    world
}

#[test]
fn commits_are_of_the_collection_that_they_come_from() {
    let world = world();
    let summary = ["summary", "--repo=s", "--update"];
    let nameless =
        ["commit", "--repo=s", "-b", "bare", "--no-bindings", "--timestamp=@1700000000", "tree"];
    for command in [&nameless[..], &summary[..]] {
        assert_eq!(world.ours(command).code, 0);
    }
    let serve = ["trivial-httpd", "--autoexit", "--daemonize", "-p", "port", "s"];
    assert!(world.our_command(&serve).status().unwrap().success());
    let port = fs::read_to_string(world.path("port")).unwrap();
    let urls = [
        format!("http://127.0.0.1:{}", port.trim()),
        format!("file://{}", world.path("s").display()),
    ];
    let sum = |name: &str| world.peer_ok(&["rev-parse", "--repo=s", name]).trim().to_owned();
    let (bound, unbound) = (sum("x"), sum("bare"));
    for (url, collection) in [
        (&urls[0], None),
        (&urls[0], Some("org.example.Os")),
        (&urls[0], Some("org.example.Other")),
        (&urls[1], None),
        (&urls[1], Some("org.example.Os")),
    ] {
        for what in [bound.as_str(), &unbound, "x", "bare"] {
            let pull = |name: &str, run: &dyn Fn(&[&str]) -> Outcome| {
                let repo = format!("--repo={name}");
                let id = collection.map(|id| format!("--collection-id={id}"));
                drop(fs::remove_dir_all(world.path(name)));
                world.peer_ok(&["init", &repo, "--mode=archive"]);
                let mut add = vec!["remote", &repo, "add", "--no-gpg-verify", "o", url];
                add.extend(id.as_deref());
                world.peer_ok(&add);
                run(&["pull", &repo, "o", what])
            };
            let ours = pull("mine", &|words| world.ours(words));
            let theirs = pull("theirs", &|words| world.peer(words));
            let case = (url, collection, what);
            assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{case:?}");
        }
    }
    // A part of the table where the peer refuses, so that it cannot pass by chance.
    let refused = ["pull", "--repo=mine", "o", &unbound];
    assert_eq!(world.ours(&refused).code, 1);
}

#[test]
fn a_collection_publishes_its_metadata() {
    let world = world();
    assert_eq!(world.ours(&["summary", "--repo=s", "--update"]).code, 0);
    world.same_set(&["refs", "--repo=s", "--collections"]);
    world.same(&["summary", "--repo=s", "--view"]);
    world.same(&["show", "--repo=s", "--raw", "ostree-metadata"]);
    world.same(&["ls", "--repo=s", "-R", "ostree-metadata"]);
    world.peer_ok(&["fsck", "--repo=s", "--verify-bindings"]);
}

#[test]
fn a_medium_made_by_us_is_found_by_the_peer() {
    let world = world();
    fs::create_dir(world.path("usb")).unwrap();
    let copy = ["create-usb", "--repo=s", "usb", "org.example.Os", "x", "org.example.Os", "y"];
    let outcome = world.ours(&copy);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("Copied 2/2 refs successfully from ‘"), "{outcome:?}");
    let repo = "--repo=usb/.ostree/repo";
    world.peer_ok(&["fsck", repo]);
    world.same(&["summary", repo, "--view"]);
    world.same_set(&["refs", repo, "--collections"]);
    let pruned = world.ours(&["prune", repo, "--refs-only"]);
    assert!(pruned.stdout.contains("No unreachable objects"), "mirrored refs keep objects");
    // Once more changes nothing, and the peer can go on.
    assert_eq!(world.ours(&copy).code, 0);
    assert_eq!(world.peer_ok(&copy), outcome.stdout);
    // Elsewhere, with a link from where it is looked for.
    let elsewhere =
        ["create-usb", "--repo=s", "--destination-repo=a/b", "usb", "org.example.Os", "x"];
    for _ in 0..2 {
        assert_eq!(world.ours(&elsewhere).code, 0);
    }
    let links: Vec<_> = fs::read_dir(world.path("usb/.ostree/repos.d")).unwrap().collect();
    assert_eq!(links.len(), 1);
    world.peer_ok(&["fsck", "--repo=usb/a/b"]);
}

#[test]
fn a_mirror_keeps_refs_under_the_collection_that_the_summary_names() {
    let world = world();
    let url = format!("file://{}", world.path("s").display());
    for (index, refs, has_summary) in
        [(0, &["x"][..], false), (1, &["x"], true), (2, &[], true), (3, &["x", "y"], true)]
    {
        if has_summary {
            world.peer_ok(&["summary", "--repo=s", "--update"]);
        }
        let found = ["mine", "theirs"].map(|name| {
            let run = if name == "mine" { World::ours } else { World::peer };
            let repo = format!("--repo={name}-{index}");
            world.peer_ok(&["init", &repo, "--mode=archive"]);
            world.peer_ok(&["remote", "add", &repo, "--no-gpg-verify", "o", &url]);
            let outcome = run(&world, &[&["pull", &repo, "--mirror", "o"], refs].concat());
            assert_eq!(outcome.code, 0, "{name} {refs:?}: {}", outcome.stderr);
            let listed = [&["refs", &repo][..], &["refs", "--collections", &repo]]
                .map(|list| world.peer_ok(list));
            listed.map(|text| {
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines.retain(|line| !line.contains("ostree-metadata"));
                lines.sort();
                lines
            })
        });
        assert_eq!(found[0], found[1], "{refs:?}, summary: {has_summary}");
    }
}

#[test]
fn what_cannot_be_copied_is_named() {
    let world = world();
    fs::create_dir(world.path("usb")).unwrap();
    let commit = world.peer_ok(&["rev-parse", "--repo=s", "y"]);
    let other = format!("--commit={}", commit.trim());
    for words in [
        &["usb", "org.example.Os", "nope"][..],
        &["usb", "org.example.Os"],
        &["usb", "org.example.Os", "x", "org.example.Os"],
        &["usb"],
        &[],
        &[&other, "usb", "org.example.Os", "x"],
    ] {
        let command = [&["create-usb", "--repo=s"][..], words].concat();
        let (ours, theirs) = (world.ours(&command), world.peer(&command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{words:?}");
    }
    let outside =
        ["create-usb", "--repo=s", "--destination-repo=../x", "usb", "org.example.Os", "x"];
    assert_eq!(world.ours(&outside).code, 1);
    assert!(!world.path("x").exists());
}

#[test]
fn remotes_with_refs_are_found_alike() {
    let world = world();
    assert_eq!(world.ours(&["summary", "--repo=s", "--update"]).code, 0);
    world.peer_ok(&["init", "--repo=c", "--mode=bare-user"]);
    let url = format!("file://{}", world.path("s").display());
    let id = "--collection-id=org.example.Os";
    world.peer_ok(&["remote", "--repo=c", "add", "--no-gpg-verify", id, "o", &url]);
    let find = ["find-remotes", "--repo=c", "--finders=config"];
    for refs in [
        &["org.example.Os", "x"][..],
        &["org.example.Os", "nope", "org.example.Os", "x"],
        &["org.example.Other", "x"],
    ] {
        world.same_set(&[&find[..], refs].concat());
    }
    for refs in [&["org.example.Os"][..], &[], &["--finders=moon", "org.example.Os", "x"]] {
        let command = [&["find-remotes", "--repo=c"][..], refs].concat();
        let (ours, theirs) = (world.ours(&command), world.peer(&command));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{refs:?}");
    }
    let pulled = world.ours(&[&find[..], &["--pull", "org.example.Os", "x"]].concat());
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert_eq!(
        world.peer_ok(&["rev-parse", "--repo=c", "o:x"]),
        world.peer_ok(&["rev-parse", "--repo=s", "x"])
    );
}

const SECRET: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

#[test]
fn a_peer_on_the_network_is_found_and_has_to_have_what_is_signed() {
    let world = World::new("archive");
    let ok = |words: &[&str]| {
        let outcome = world.ours(words);
        assert_eq!(outcome.code, 0, "{words:?}: {}", outcome.stderr);
        outcome.stdout
    };
    // Others on the same network may run this test, too.
    let id = format!("org.example.T{}", std::process::id());
    let collection = format!("--collection-id={id}");
    fs::create_dir(world.path("served")).unwrap();
    ok(&["init", "--repo=served/0", "--mode=archive", &collection]);
    let sign = ["--sign-type=ed25519", &format!("--sign={SECRET}")];
    let commit = ["commit", "--repo=served/0", "-b", "x", "--timestamp=@1700000000"];
    let commit = ok(&[&commit[..], &sign, &["tree"]].concat());
    let nothing = world.ours(&["trivial-httpd", "--advertise", "served"]);
    assert!(nothing.error().contains("nothing to advertise"), "{}", nothing.stderr);
    ok(&["summary", "--repo=served/0", "--update"]);
    ok(&[
        "trivial-httpd",
        "--daemonize",
        "--autoexit",
        "--advertise",
        "--port-file=port",
        "served",
    ]);
    let port = fs::read_to_string(world.path("port")).unwrap();

    let careful = format!("--sign-verify=ed25519=inline:{PUBLIC}");
    for (name, demand) in [("careful", careful.as_str()), ("careless", "--no-sign-verify")] {
        let repo = format!("--repo={name}");
        ok(&["init", &repo, "--mode=bare-user"]);
        let url = "http://127.0.0.1:1/nobody";
        ok(&["remote", &repo, "add", "--no-gpg-verify", demand, &collection, "o", url]);
    }
    let find = ["find-remotes", "--repo=careful", "--finders=lan", &id, "x", &id, "nope"];
    let text = ok(&find);
    assert!(
        text.contains(&format!(":{}/0\n - Finder: OstreeRepoFinderAvahi\n", port.trim())),
        "{text}"
    );
    assert!(text.contains(" - Priority: 60\n"), "{text}");
    assert!(text.contains(&format!("    - ({id}, x) = {}\n", commit.trim())), "{text}");
    assert!(text.contains("1/2 refs were found."), "{text}");

    let pull = |repo: &str| {
        let repo = format!("--repo={repo}");
        world.ours(&["find-remotes", &repo, "--finders=lan", "--pull", &id, "x"])
    };
    let refused = pull("careless");
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("demands no signatures"), "{}", refused.stderr);
    assert_eq!(ok(&["refs", "--repo=careless"]), "");
    // As the configuration says, without the option.
    ok(&["config", "--repo=careful", "set", "core.default-repo-finders", "lan"]);
    let pulled = ok(&["find-remotes", "--repo=careful", "--pull", &id, "x"]);
    assert!(pulled.ends_with("Pulled 1/1 refs successfully.\n"), "{pulled}");
    assert_eq!(ok(&["rev-parse", "--repo=careful", "o:x"]), commit);
    // Without its folder it ends.
    fs::remove_dir_all(world.path("served")).unwrap();
    // What would keep the repository from being opened is not written.
    let wrong = ["config", "--repo=careful", "set", "core.default-repo-finders", "lan;moon"];
    let outcome = world.ours(&wrong);
    assert!(outcome.error().contains("Invalid configured repo-finder 'moon'"), "{outcome:?}");
    let get = ["config", "--repo=careful", "get", "core.default-repo-finders"];
    assert_eq!(ok(&get), "lan\n");
}
