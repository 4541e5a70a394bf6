//! OpenPGP signatures: made by one program, verified by the other, and described alike.

use std::fs;

use updraft_http::testing::Server;

use super::gnupg::Home;
use super::world::{Outcome, World};

/// Runs both, which must end and print alike, in what they refuse as well.
#[track_caller]
fn alike(world: &World, arguments: &[&str]) -> Outcome {
    let (ours, theirs) = (world.ours(arguments), world.peer(arguments));
    assert_eq!(errors(&ours), errors(&theirs), "{arguments:?}");
    assert_eq!(ours.code, theirs.code, "{arguments:?}");
    assert_eq!(ours.lines(), theirs.lines(), "{arguments:?}");
    ours
}

/// All of an error's lines but our hints.
fn errors(outcome: &Outcome) -> Vec<&str> {
    let start = outcome.stderr.lines().skip_while(|line| !line.starts_with("error:"));
    start.take_while(|line| !line.starts_with("hint:")).collect()
}

/// Pulls with each program into a repository of its own; both must end alike.
#[track_caller]
fn pull_alike(world: &World, number: &mut u32, add: &[&str], url: &str) -> Outcome {
    let mut outcomes = Vec::new();
    *number += 1;
    for name in ["ours", "peer"] {
        let repo = format!("--repo={name}{number}");
        world.peer_ok(&["init", &repo, "--mode=bare-user"]);
        world.peer_ok(&[&["remote", &repo, "add"], add, &["origin", url, "main"]].concat());
        let pull = ["pull", &repo, "origin", "main"];
        let outcome = if name == "ours" { world.ours(&pull) } else { world.peer(&pull) };
        let is_there = world.path(format!("{name}{number}/refs/remotes/origin/main")).exists();
        assert_eq!(is_there, outcome.code == 0, "a ref is written only for what is verified");
        outcomes.push(outcome);
    }
    assert_eq!(errors(&outcomes[0]), errors(&outcomes[1]), "{add:?} {url}");
    assert_eq!(outcomes[0].code, outcomes[1].code, "{add:?} {url}");
    outcomes.remove(0)
}

#[test]
fn each_verifies_what_the_other_signed() {
    let world = World::new("archive");
    let home = Home::new();
    let key = home.key("Alice <alice@example.com>", "ed25519", "never", &[]);
    let other = home.key("Mallory <m@example.com>", "rsa2048", "never", &[]);
    let keys = home.export("keys.gpg", &[&key]);
    let import = format!("--gpg-import={}", keys.display());
    let wrong = home.export("wrong.gpg", &[&other]);
    let wrong = format!("--gpg-import={}", wrong.display());
    let homedir = format!("--gpg-homedir={}", home.path().display());
    let (gpg_sign, mut number) = (format!("--gpg-sign={key}"), 0);
    let file = format!("file://{}", world.path("repo").display());
    let server = Server::files(world.path("repo"));
    for ours in [true, false] {
        let run = |arguments: &[&str]| {
            if ours { world.ours(arguments) } else { world.peer(arguments) }
        };
        // Signed afterwards, and while it is made.
        for at_once in [true, false] {
            let mut commit = vec!["commit", "--repo=repo", "--branch=main", "--tree=dir=tree"];
            if at_once {
                commit.extend([gpg_sign.as_str(), homedir.as_str()]);
            }
            assert_eq!(run(&commit).code, 0);
            if !at_once {
                let outcome = run(&["gpg-sign", "--repo=repo", &homedir, "main", &key]);
                assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
            }
            let update = ["summary", "--repo=repo", "--update", &gpg_sign, &homedir];
            let outcome = run(&update);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
            let summary = "--set=gpg-verify-summary=true";
            for url in [file.as_str(), server.url().as_str()] {
                for (add, code) in [
                    (&[import.as_str()][..], 0),
                    (&[import.as_str(), summary], 0),
                    (&[wrong.as_str()], 1),
                    (&[wrong.as_str(), "--no-gpg-verify", summary], 1),
                    (&[], 1),
                ] {
                    assert_eq!(pull_alike(&world, &mut number, add, url).code, code);
                }
            }
        }
    }
}

#[test]
fn what_is_not_signed_as_demanded_is_refused_with_the_same_words() {
    let world = World::new("archive");
    let home = Home::new();
    let key = home.key("Alice <alice@example.com>", "ed25519", "never", &[]);
    let keys = home.export("keys.gpg", &[]);
    let import = format!("--gpg-import={}", keys.display());
    let homedir = format!("--gpg-homedir={}", home.path().display());
    let server = Server::files(world.path("repo"));
    let (url, mut number) = (server.url(), 0);
    let demanding = [import.as_str(), "--set=gpg-verify-summary=true"];
    // Neither commit nor summary are signed; then there is no summary; then an old signature.
    pull_alike(&world, &mut number, &[&import], &url);
    pull_alike(&world, &mut number, &demanding, &url);
    let sign = format!("--gpg-sign={key}");
    world.peer_ok(&["summary", "--repo=repo", "--update", &sign, &homedir]);
    let old = fs::read(world.path("repo/summary.sig")).unwrap();
    keep_summary_alike(&world, &demanding, &url);
    let add = "--add-metadata=x=1";
    world.peer_ok(&["summary", "--repo=repo", "--update", add]);
    fs::write(world.path("repo/summary.sig"), old).unwrap();
    let stale = pull_alike(&world, &mut number, &demanding, &url);
    assert!(stale.stderr.contains("BAD signature from \"Alice <alice@example.com>\""));
    fs::remove_file(world.path("repo/summary")).unwrap();
    fs::remove_file(world.path("repo/summary.sig")).unwrap();
    pull_alike(&world, &mut number, &demanding, &url);
    // The signature of another commit.
    world.peer_ok(&["gpg-sign", "--repo=repo", &homedir, "main^", &key]);
    let path = |revision: &str| {
        let sum = world.peer_ok(&["rev-parse", "--repo=repo", revision]);
        let (first, rest) = sum.trim().split_at(2);
        world.path(format!("repo/objects/{first}/{rest}.commitmeta"))
    };
    fs::copy(path("main^"), path("main")).unwrap();
    let altered = pull_alike(&world, &mut number, &[&import], &url);
    assert_eq!(altered.code, 1);
    fs::write(path("main"), "").unwrap();
    assert_eq!(pull_alike(&world, &mut number, &[&import], &url).code, 1);
}

/// What was verified is kept in the folder that was named, or in the repository.
fn keep_summary_alike(world: &World, add: &[&str], url: &str) {
    let found = [("mine", World::ours as fn(&World, &[&str]) -> _), ("theirs", World::peer)].map(
        |(name, run)| {
            let (repo, cache) = (format!("keeps-{name}"), format!("cache-{name}"));
            let (option, cache_dir) = (format!("--repo={repo}"), format!("--cache-dir={cache}"));
            fs::create_dir(world.path(&cache)).unwrap();
            world.peer_ok(&["init", &option]);
            world.peer_ok(&[&["remote", "add", &option, "o", url], add].concat());
            for command in [
                &["remote", "summary", "--raw", &option, &cache_dir, "o"][..],
                &["remote", "refs", &option, "o"],
            ] {
                let outcome = run(world, command);
                assert_eq!(outcome.code, 0, "{name} {command:?}: {}", outcome.stderr);
            }
            let kept = [format!("{cache}/summaries"), format!("{repo}/tmp/cache/summaries")];
            kept.map(|folder| {
                ["o", "o.sig"].map(|file| fs::read(world.path(&folder).join(file)).unwrap())
            })
        },
    );
    assert_eq!(found[0], found[1]);
}

#[test]
fn expired_and_revoked_keys_are_refused_and_described_alike() {
    let world = World::new("archive");
    let home = Home::new();
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(240);
    let faked = format!("--faked-system-time={}!", past.strftime("%Y%m%dT%H%M%S"));
    let expired = home.key("Expired <e@example.com>", "ed25519", "2d", &[&faked]);
    let revoked = home.key("Revoked <r@example.com>", "rsa2048", "never", &[]);
    let named = home.key("Nameless", "nistp256", "1y", &[]);
    home.gpg(&["--quick-gen-key", "Sub (c) <Sub.Key@Example.com>", "rsa2048", "cert", "2y"]);
    let primary = home.gpg(&["--list-keys", "--with-colons", "Sub.Key@Example.com"]);
    let primary = String::from_utf8(primary).unwrap();
    let primary = primary.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
    let primary = primary.trim_end_matches(':').to_owned();
    home.gpg(&["--quick-add-key", &primary, "ed25519", "sign", "1y"]);
    home.gpg(&["--quick-add-key", &primary, "cv25519", "encr", "never"]);
    let sum = world.peer_ok(&["rev-parse", "--repo=repo", "main"]);
    let (first, rest) = sum.trim().split_at(2);
    let object = world.path(format!("repo/objects/{first}/{rest}.commit"));
    let object = object.to_str().unwrap();
    let sign = |key: &str, more: &[&str]| {
        let last = ["--local-user", key, "--detach-sign", "--output", "-", object];
        home.gpg(&[more, &last].concat())
    };
    let soon = past + jiff::SignedDuration::from_hours(1);
    let soon = format!("--faked-system-time={}!", soon.strftime("%Y%m%dT%H%M%S"));
    let signatures = [
        ("expired", sign(&expired, &[&soon])),
        ("revoked", sign(&revoked, &[])),
        ("named", sign(&named, &["--default-sig-expire", "3d"])),
        ("subkey", sign(&primary, &[])),
    ];
    home.revoke(&revoked);
    let keys = home.export("all.gpg", &[]);
    let import = format!("--gpg-import={}", keys.display());
    let url = format!("file://{}", world.path("repo").display());
    let mut number = 0;
    for (name, signature) in &signatures {
        let value = updraft_ostree::gvariant::Value::byte_arrays([signature.clone()]);
        let metadata: updraft_ostree::Metadata =
            [("ostree.gpgsigs".to_owned(), value)].into_iter().collect();
        let path = world.path(format!("repo/objects/{first}/{rest}.commitmeta"));
        fs::write(path, metadata.encode()).unwrap();
        let outcome = pull_alike(&world, &mut number, &[&import], &url);
        assert_eq!(outcome.code == 0, matches!(*name, "named" | "subkey"), "{name}");
        let folder = format!("--gpg-homedir={}", keys.parent().unwrap().display());
        alike(&world, &["show", "--repo=repo", &folder, "main"]);
        alike(&world, &["show", "--repo=repo", "main"]);
    }
    let pulled = format!("--repo=ours{number}");
    alike(&world, &["show", &pulled, "origin:main"]);
    alike(&world, &["show", &pulled, "--gpg-verify-remote=origin", "origin:main"]);
    alike(&world, &["remote", &pulled, "gpg-list-keys", "origin"]);
    alike(&world, &["remote", &pulled, "gpg-list-keys", "nope"]);
}

#[test]
fn keys_of_a_remote_are_imported_alike() {
    let world = World::new("archive");
    let home = Home::new();
    let one = home.key("One <one@example.com>", "ed25519", "never", &[]);
    let two = home.key("Two <two@example.com>", "ed25519", "never", &[]);
    let first = home.export("one.gpg", &[&one]).display().to_string();
    let all = home.export("all.gpg", &[]).display().to_string();
    let garbage = home.path().join("garbage");
    fs::write(&garbage, "garbage").unwrap();
    world.copy("copy");
    let both = |arguments: &[&str]| {
        let ours = world.ours(&[arguments, &["--repo=repo"]].concat());
        let theirs = world.peer(&[arguments, &["--repo=copy"]].concat());
        assert_eq!(errors(&ours), errors(&theirs), "{arguments:?}");
        assert_eq!((ours.code, &ours.stdout), (theirs.code, &theirs.stdout), "{arguments:?}");
    };
    let import = format!("--gpg-import={first}");
    both(&["remote", "add", &import, "new", "http://example.com"]);
    both(&["remote", "gpg-import", "-k", &first, "new"]);
    both(&["remote", "gpg-import", "-k", &all, "new", &one]);
    both(&["remote", "gpg-import", "-k", &all, "new", &two]);
    both(&["remote", "gpg-import", "-k", &all, "new"]);
    both(&["remote", "gpg-import", "-k", &all, "nope"]);
    both(&["remote", "gpg-import", "-k", "/nonexistent", "new"]);
    both(&["remote", "gpg-list-keys", "new"]);
    both(&["remote", "gpg-list-keys", "origin"]);
    both(&["remote", "add", "--no-sign-verify", "unsigned", "http://example.com"]);
    both(&["config", "get", "remote \"unsigned\".sign-verify"]);
    both(&["remote", "delete", "new"]);
    assert!(!world.path("repo/new.trustedkeys.gpg").exists());
    // What one wrote the other reads.
    both(&["remote", "add", &format!("--gpg-import={all}"), "again", "http://example.com"]);
    alike(&world, &["remote", "--repo=repo", "gpg-list-keys", "again"]);
    alike(&world, &["remote", "--repo=copy", "gpg-list-keys", "again"]);
}

#[test]
fn signing_is_refused_with_the_same_words() {
    let world = World::new("archive");
    let home = Home::new();
    let key = home.key("Key <k@example.com>", "ed25519", "never", &[]);
    let homedir = format!("--gpg-homedir={}", home.path().display());
    home.revoke(&key);
    for arguments in [
        &["gpg-sign", "--repo=repo", &homedir, "main", "DEADBEEF"][..],
        &["gpg-sign", "--repo=repo", &homedir, "nope", &key],
        &["gpg-sign", "--repo=repo", "--gpg-homedir=/nonexistent", "main", &key],
        &["gpg-sign", "--repo=repo", &homedir, "main", &key],
        &["commit", "--repo=repo", "-b", "z", "tree", "--gpg-sign=FOO", &homedir],
        &["sign", "--repo=repo", "-s", "rot13", "main", "k"],
        &["sign", "--repo=repo", "-s", "dummy", "main", "k"],
        &["commit", "--repo=repo", "-b", "z", "tree", "--sign=k", "--sign-type=rot13"],
        &["pull-local", "--repo=repo", "--gpg-verify", "repo", "main"],
    ] {
        let (ours, theirs) = (world.ours(arguments), world.peer(arguments));
        let words = |outcome: &Outcome| outcome.error().replace("opendir(", "").replace(')', "");
        if !arguments.contains(&"--gpg-homedir=/nonexistent") {
            assert_eq!(words(&ours), words(&theirs), "{arguments:?}");
        }
        assert_eq!((ours.code, theirs.code), (1, 1), "{arguments:?}");
    }
    assert!(!world.path("repo/refs/heads/z").exists());
    for arguments in [&["sign", "--repo=repo"][..], &["sign", "--repo=repo", "main"]] {
        assert_eq!(world.ours(arguments).error(), world.peer(arguments).error());
    }
}

#[test]
fn plain_keys_sign_verify_and_are_taken_away() {
    const SECRET: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
    const PUBLIC: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    const HEX: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    let world = World::new("archive");
    let ok = |arguments: &[&str]| {
        let outcome = world.ours(&[arguments, &["--repo=repo"]].concat());
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    };
    fs::write(world.path("secret"), format!("{SECRET}\n")).unwrap();
    fs::write(world.path("public"), format!("{PUBLIC}\n")).unwrap();
    fs::create_dir(world.path("etc")).unwrap();
    fs::copy(world.path("public"), world.path("etc/trusted.ed25519")).unwrap();
    assert_eq!(ok(&["sign", "main", SECRET]), "");
    let verified = format!("ed25519: Signature verified successfully with key '{HEX}'\n");
    for with in [PUBLIC, "--keys-file=public", "--keys-dir=etc"] {
        assert_eq!(ok(&["sign", "--verify", "main", with]), verified, "{with}");
    }
    assert_eq!(ok(&["sign", "--delete", "main", PUBLIC]), "Signatures deleted: 1\n");
    let refused = world.ours(&["sign", "--repo=repo", "--verify", "main", PUBLIC]);
    assert_eq!((refused.code, refused.error()), (1, "error: No valid signatures found"));
    ok(&["commit", "-b", "signed", "tree", "--sign-from-file=secret"]);
    assert_eq!(ok(&["sign", "--verify", "signed", PUBLIC]), verified);
    ok(&["summary", "--update", &format!("--sign={SECRET}")]);
    let url = format!("file://{}", world.path("repo").display());
    let verify = format!("--sign-verify=ed25519=inline:{PUBLIC}");
    let add = ["remote", "--repo=device", "add", "--no-gpg-verify", &verify];
    let summary = "--set=sign-verify-summary=ed25519";
    assert_eq!(world.ours(&["init", "--repo=device", "--mode=bare-user"]).code, 0);
    assert_eq!(world.ours(&[&add[..], &[summary, "origin", &url]].concat()).code, 0);
    let pulled = world.ours(&["pull", "--repo=device", "origin", "signed"]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    let refused = world.ours(&["pull", "--repo=device", "origin", "main"]);
    assert_eq!(
        (refused.code, refused.error()),
        (1, "error: Can't verify commit: No signatures found")
    );
    let anyway = ["pull", "--repo=device", "--disable-sign-verify", "origin", "main"];
    assert_eq!(world.ours(&anyway).code, 0);
}
