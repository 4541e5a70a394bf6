//! Signatures with plain keys: vectors of libostree, keys of OpenSSL, and what a pull refuses.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::{Checksum, Metadata, RemoteName, RepoMode};
use updraft_repo::Repo;
use updraft_repo::pull::{self, PullOptions, RemoteConfig};
use updraft_repo::sign::{
    self, Places, PublicKeys, SecretKey, SignType, Signer, sign_commit, sign_summary,
};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

use crate::mirrors::list;
use crate::world::{World, http, object_files, options, text, write};

/// The commit of the vector, as libostree wrote it.
const SECRET: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const OTHER: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const NOW: u64 = 1_800_000_000;

fn places(world: &World) -> Places {
    let mut places = Places::of_system(NOW).with_key_dir(&world.path("etc"));
    places.gpg_dir = world.path("no-keyrings");
    places.remotes_dir = world.path("no-remotes");
    places
}

fn signer(kind: SignType, key: &str) -> Signer {
    Signer::Key(Arc::new(SecretKey::parse(kind, key).unwrap()))
}

fn public(kind: SignType, key: &str) -> PublicKeys {
    let mut keys = PublicKeys::new(kind);
    keys.add(key).unwrap();
    keys
}

/// An archive with one commit, signed by the vector's key.
fn signed(world: &World) -> (Repo, Checksum) {
    let (path, commit) = world.archive("archive");
    let repo = Repo::open(path).unwrap();
    let signer = signer(SignType::Ed25519, SECRET);
    sign_commit(&Context::silent(), &repo, &places(world), &commit, &signer).unwrap();
    (repo, commit)
}

/// Pulls `main` from a remote with these keys of its section.
fn pull_checked(
    world: &World,
    into: &Repo,
    url: &str,
    settings: &[(&str, &str)],
) -> Result<(), pull::Error> {
    let name = RemoteName::new("origin").unwrap();
    into.edit_config(|file| {
        file.remove_group("remote \"origin\"");
        file.set("remote \"origin\"", "url", url);
        for (key, value) in settings {
            file.set("remote \"origin\"", key, value);
        }
    })
    .unwrap();
    let config = RemoteConfig::read(into.config().key_file(), &name)?;
    let options = PullOptions {
        policy: config.policy(into, &places(world))?,
        remote: Some(name),
        ..options(&["main"])
    };
    pull::pull(&Context::silent(), into, &http(url), &options).map(drop)
}

#[test]
fn the_vector_of_libostree_is_made_bit_for_bit() {
    let commit = hex::decode(concat!(
        "d9862036a29c959c11be4f4651b5a04a15bdc5e36b315746581e3007deda12df",
        "b72fb44cf7221348cb41cacdd836720d8dd8487139bc94891af49307cf30520b"
    ))
    .unwrap();
    let value = updraft_ostree::gvariant::Value::byte_arrays([commit]);
    let metadata: Metadata = [("ostree.sign.ed25519".to_owned(), value)].into_iter().collect();
    assert_eq!(
        Checksum::of(&metadata.encode()).to_string(),
        "86ea8668b3f36602186a215b6c3410546fbe343b1c9de7dfe96b1942bf595bb3"
    );
    // Both forms of the secret key are the same key.
    let world = World::new();
    let (repo, commit) = signed(&world);
    let before = repo.read_commit_meta(&commit).unwrap().unwrap();
    let seed = BASE64.encode(&BASE64.decode(SECRET).unwrap()[..32]);
    let again = signer(SignType::Ed25519, &seed);
    sign_commit(&Context::silent(), &repo, &places(&world), &commit, &again).unwrap();
    let after = repo.read_commit_meta(&commit).unwrap().unwrap();
    let of = |metadata: &Metadata| {
        metadata.get("ostree.sign.ed25519").unwrap().as_array().unwrap().to_vec()
    };
    assert_eq!(of(&after), [of(&before), of(&before)].concat());
    let keys = public(SignType::Ed25519, PUBLIC);
    let deleted = sign::delete_signatures(&Context::silent(), &repo, &commit, &keys).unwrap();
    assert_eq!(deleted, 2);
    assert!(repo.read_commit_meta(&commit).unwrap().unwrap().is_empty());
}

#[test]
fn a_pull_takes_what_a_trusted_key_signed_and_nothing_else() {
    let world = World::new();
    let (archive, commit) = signed(&world);
    let server = Server::files(archive.path());
    let none = ("gpg-verify", "false");
    let listed = ("sign-verify", "ed25519");
    let hex = |key: &str| hex::encode(BASE64.decode(key).unwrap());
    for (number, (settings, refusal)) in [
        (vec![none, listed, ("verification-ed25519-key", PUBLIC)], None),
        (
            vec![none, listed, ("verification-ed25519-key", OTHER)],
            Some(format!(
                "Can't verify commit: ed25519: Signature couldn't be verified with: key '{}'",
                hex(OTHER)
            )),
        ),
        (vec![none, listed], Some("No keys found for required signapi type ed25519".to_owned())),
        (
            vec![none, listed, ("verification-ed25519-key", "AAAA")],
            Some("Failed loading 'ed25519' keys from inline `verification-key`".to_owned()),
        ),
        (
            vec![none, listed, ("verification-ed25519-file", "/nonexistent")],
            Some("Failed loading 'ed25519' keys from '/nonexistent".to_owned()),
        ),
        (
            vec![none, ("sign-verify", "true")],
            Some("Can't verify commit: ed25519: no signatures found".to_owned()),
        ),
        (
            vec![none, ("sign-verify", "dummy"), ("verification-dummy-key", "k")],
            Some("dummy signature type is only for ostree testing".to_owned()),
        ),
        (
            vec![],
            Some(format!(
                "Commit {commit}: GPG verification enabled, but no signatures found (use \
                 gpg-verify=false in remote config to disable)"
            )),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let repo = world.repo(&format!("device{number}"), RepoMode::BareUser);
        let pulled = pull_checked(&world, &repo, &server.url(), &settings);
        match (pulled, refusal) {
            (Ok(()), None) => assert_eq!(repo.refs().unwrap().len(), 1),
            (Err(error), Some(refusal)) => {
                assert_eq!(text(&error), refusal, "{settings:?}");
                assert!(object_files(repo.path()).is_empty(), "nothing of it is stored");
                assert!(repo.refs().unwrap().is_empty());
            }
            (pulled, _) => panic!("{settings:?}: {pulled:?}"),
        }
    }
}

#[test]
fn keys_of_the_system_count_unless_they_are_revoked() {
    let world = World::new();
    let (archive, _) = signed(&world);
    let server = Server::files(archive.path());
    let settings = [("gpg-verify", "false"), ("sign-verify", "true")];
    std::fs::create_dir_all(world.path("etc/trusted.ed25519.d")).unwrap();
    write(&world.path("etc/trusted.ed25519"), format!("garbage\n{OTHER}\n").as_bytes());
    write(&world.path("etc/trusted.ed25519.d/vendor"), format!("{PUBLIC}\n").as_bytes());
    let repo = world.repo("trusting", RepoMode::BareUser);
    pull_checked(&world, &repo, &server.url(), &settings).unwrap();
    write(&world.path("etc/revoked.ed25519"), PUBLIC.as_bytes());
    let repo = world.repo("warned", RepoMode::BareUser);
    let error = pull_checked(&world, &repo, &server.url(), &settings).unwrap_err();
    assert_eq!(error.kind(), Kind::Rejected);
}

#[test]
fn malformed_and_missing_signatures_are_refused() {
    let world = World::new();
    let (archive, commit) = signed(&world);
    let server = Server::files(archive.path());
    let settings =
        [("gpg-verify", "false"), ("sign-verify", "ed25519"), ("verification-ed25519-key", PUBLIC)];
    let ctx = Context::silent();
    let value = |items: Vec<Vec<u8>>| updraft_ostree::gvariant::Value::byte_arrays(items);
    for (name, items) in [
        ("empty", vec![]),
        ("empty signature", vec![vec![]]),
        ("truncated", vec![vec![7; 63]]),
        ("zeros", vec![vec![0; 64]]),
        ("ones", vec![vec![0xff; 64]]),
    ] {
        let metadata = [("ostree.sign.ed25519".to_owned(), value(items))].into_iter().collect();
        archive.write_commit_meta(&ctx, &commit, &metadata).unwrap();
        let repo = world.repo(name, RepoMode::BareUser);
        let error = pull_checked(&world, &repo, &server.url(), &settings).unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected, "{name}");
        assert!(object_files(repo.path()).is_empty());
    }
    archive.write_commit_meta(&ctx, &commit, &Metadata::new()).unwrap();
    let repo = world.repo("none", RepoMode::BareUser);
    let error = pull_checked(&world, &repo, &server.url(), &settings).unwrap_err();
    assert_eq!(text(&error), "Can't verify commit: No signatures found");
}

#[test]
fn a_mirror_whose_signature_is_wrong_is_passed_over() {
    let world = World::new();
    let (archive, commit) = signed(&world);
    let good = Server::files(archive.path());
    let copied =
        Command::new("cp").arg("-r").arg(archive.path()).arg(world.path("forged")).status();
    assert!(copied.unwrap().success());
    let forged = Repo::open(world.path("forged")).unwrap();
    let zeros = updraft_ostree::gvariant::Value::byte_arrays([vec![0; 64]]);
    let zeros = [("ostree.sign.ed25519".to_owned(), zeros)].into_iter().collect();
    forged.write_commit_meta(&Context::silent(), &commit, &zeros).unwrap();
    let bad = Server::files(forged.path());
    let name = commit.to_string();
    let beside = format!("/objects/{}/{}.commitmeta", &name[..2], &name[2..]);
    let without = |status: u16| {
        let (root, beside) = (archive.path().to_owned(), beside.clone());
        Server::start(move |exchange: &Exchange| {
            if exchange.path == beside {
                Answer::Bytes(status, Vec::new())
            } else {
                Answer::file(&root, exchange)
            }
        })
    };
    let (lacking, failing) = (without(404), without(500));
    let settings =
        [("gpg-verify", "false"), ("sign-verify", "ed25519"), ("verification-ed25519-key", PUBLIC)];
    let attempt = |name: &str, mirrors: &[&Server]| {
        let (_list, address) = list(mirrors);
        let repo = world.repo(name, RepoMode::BareUser);
        pull_checked(&world, &repo, &address, &settings).map(|()| repo)
    };
    let repo = attempt("next", &[&bad, &good]).unwrap();
    let kept = |repo: &Repo| repo.read_commit_meta(&commit).unwrap().unwrap();
    assert_eq!(kept(&repo), archive.read_commit_meta(&commit).unwrap().unwrap());
    assert!(bad.paths().contains(&beside), "it was asked first");
    // Of a commit that is here already they are asked for again.
    let (_list, address) = list(&[&bad, &good]);
    pull_checked(&world, &repo, &address, &settings).unwrap();
    assert_eq!(kept(&repo), archive.read_commit_meta(&commit).unwrap().unwrap());

    for (name, mirrors) in [
        ("alone", &[&bad][..]),
        ("all", &[&bad, &bad]),
        ("or none", &[&bad, &lacking]),
        ("none or", &[&lacking, &bad]),
    ] {
        let error = attempt(name, mirrors).unwrap_err();
        let refusal = "Can't verify commit: ed25519: Signature couldn't be verified with: key '";
        assert!(text(&error).starts_with(refusal), "{name}: {}", text(&error));
        assert_eq!(error.kind(), Kind::Rejected, "{name}");
        let repo = Repo::open(world.path(name)).unwrap();
        assert!(object_files(repo.path()).is_empty() && repo.refs().unwrap().is_empty());
    }
    // Another time the second may have good ones.
    let error = attempt("or failed", &[&bad, &failing]).unwrap_err();
    assert!(matches!(error, pull::Error::Mirrors { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
    attempt("behind none", &[&lacking, &good]).unwrap();
}

#[test]
fn a_summary_is_verified_before_it_is_read() {
    let world = World::new();
    let (archive, _) = signed(&world);
    let ctx = Context::silent();
    let settings = [
        ("gpg-verify", "false"),
        ("sign-verify-summary", "ed25519"),
        ("verification-ed25519-key", PUBLIC),
    ];
    let server = Server::files(archive.path());
    let missing = "Signatures verification enabled, but no summary.sig found (use \
                   sign-verify-summary=false in remote config to disable)";
    let attempt = |name: &str| {
        let repo = world.repo(name, RepoMode::BareUser);
        pull_checked(&world, &repo, &server.url(), &settings).map_err(|error| text(&error))
    };
    assert_eq!(attempt("without").unwrap_err(), missing);
    summary::update(&ctx, &archive, NOW, &SummaryOptions::default()).unwrap();
    assert_eq!(attempt("unsigned").unwrap_err(), missing);
    sign_summary(&ctx, &archive, &[signer(SignType::Ed25519, SECRET)]).unwrap();
    attempt("signed").unwrap();
    let old = std::fs::read(archive.path().join("summary.sig")).unwrap();
    summary::update(&ctx, &archive, NOW + 1, &SummaryOptions::default()).unwrap();
    write(&archive.path().join("summary.sig"), &old);
    let error = attempt("stale").unwrap_err();
    assert!(error.starts_with("ed25519: Signature couldn't be verified with: key"), "{error}");
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let status = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(status.status.success(), "openssl {arguments:?}");
}

#[test]
fn keys_of_openssl_sign_and_verify() {
    let world = World::new();
    let (path, commit) = world.archive("archive");
    let archive = Repo::open(path).unwrap();
    let server = Server::files(archive.path());
    let ctx = Context::silent();
    let dir = world.path("keys");
    std::fs::create_dir(&dir).unwrap();
    for (name, generate) in [
        ("p256", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
        ("rsa", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("ed25519", &["genpkey", "-algorithm", "ED25519"]),
    ] {
        openssl(&dir, &[generate, &["-out", "key.pem"]].concat());
        openssl(&dir, &["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"]);
        openssl(&dir, &["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "pub.der"]);
        archive.write_commit_meta(&ctx, &commit, &Metadata::new()).unwrap();
        for key in SecretKey::read(SignType::Spki, &dir.join("key.pem")).unwrap() {
            let signer = Signer::Key(Arc::new(key));
            sign_commit(&ctx, &archive, &places(&world), &commit, &signer).unwrap();
        }
        let file = dir.join("pub.pem").display().to_string();
        let inline = BASE64.encode(std::fs::read(dir.join("pub.der")).unwrap());
        for (way, key) in [("file", file.as_str()), ("key", inline.as_str())] {
            let repo = world.repo(&format!("{name}-{way}"), RepoMode::BareUser);
            let setting = format!("verification-spki-{way}");
            let settings =
                [("gpg-verify", "false"), ("sign-verify", "spki"), (setting.as_str(), key)];
            pull_checked(&world, &repo, &server.url(), &settings).unwrap();
        }
        if name != "ed25519" {
            // What we signed, OpenSSL verifies.
            let metadata = archive.read_commit_meta(&commit).unwrap().unwrap();
            let signatures = metadata.get("ostree.sign.spki").unwrap().as_array().unwrap().to_vec();
            write(&dir.join("signature"), signatures[0].as_bytes().unwrap());
            let object = archive.path().join(format!(
                "objects/{}/{}.commit",
                &commit.to_string()[..2],
                &commit.to_string()[2..]
            ));
            let object = object.display().to_string();
            let verify = ["dgst", "-sha256", "-verify", "pub.pem", "-signature", "signature"];
            openssl(&dir, &[&verify[..], &[object.as_str()]].concat());
        }
    }
}
