//! The OSTree repository as treehub's clients use it: garage-push's requests by `curl`.

use std::path::Path;

use updraft_api::Scope;
use updraft_ostree::{ObjectName, RepoMode};
use updraft_repo::Repo;
use updraft_server_service::setup::{self, OperatorCredentials, TargetsKey};

use crate::curl::{curl, curl_as};
use crate::operator::{Build, ostree};
use crate::world::World;

/// All objects of a build, those that others refer to first.
fn objects(build: &Build) -> Vec<ObjectName> {
    let repo = Repo::open(&build.repo).expect("repository");
    let mut objects = repo.list_objects().expect("objects");
    // Names of types happen to sort so that only trees need to be put in order by hand.
    objects.sort_by_key(|object| {
        let path = object.loose_path(RepoMode::Archive);
        let rank = match path.rsplit('.').next() {
            Some("commit") => 3,
            Some("dirtree") => 2,
            _ => 1,
        };
        (rank, path)
    });
    objects
}

fn post(world: &World, build: &Build, object: &ObjectName) -> u16 {
    let path = object.loose_path(RepoMode::Archive);
    let file = format!("@{}", build.repo.join("objects").join(&path).display());
    let url = format!("/treehub/api/v3/objects/{path}");
    let octets = "Content-Type: application/octet-stream";
    curl(world, &url, &["-X", "POST", "-H", octets, "--data-binary", &file]).status
}

#[test]
fn objects_come_leaves_first_and_the_commit_last() {
    let world = World::with_folder();
    let build = Build::new(&world, "v1", "one");
    let config = curl(&world, "/treehub/api/v3/config", &[]).expect(200);
    assert!(String::from_utf8_lossy(&config.body).contains("mode=archive"));
    let commit = format!("{}/{}.commit", &build.commit[..2], &build.commit[2..]);
    let url = format!("/treehub/api/v3/objects/{commit}");
    curl(&world, &url, &["--head"]).expect(404);
    let mut left = objects(&build);
    assert_eq!(post(&world, &build, left.last().expect("the commit")), 412);
    // Directories wait for those in them: as garage-push does, until all are there.
    for _ in 0..8 {
        left.retain(|object| match post(&world, &build, object) {
            204 => false,
            412 => true,
            other => panic!("{object}: {other}"),
        });
    }
    assert!(left.is_empty(), "{left:?}");
    curl(&world, &url, &["--head"]).expect(200);
    // The same object again is fine, another content under its name is not.
    let wrong = ["-X", "POST", "--data-binary", "rubbish"];
    let name = format!("aa/{}.dirmeta", "b".repeat(62));
    curl(&world, &format!("/treehub/api/v3/objects/{name}"), &wrong).expect(403);
    curl(&world, &format!("/treehub/api/v3/objects/{commit}"), &wrong).expect(204);

    let head = "/treehub/api/v3/refs/heads/main";
    curl(&world, head, &["-d", &build.commit]).expect(200);
    let shown = curl(&world, head, &[]).expect(200);
    assert_eq!(String::from_utf8_lossy(&shown.body).trim(), build.commit);
    // Other histories need force.
    let other = Build::new(&world, "v2", "two");
    other.push(&world);
    curl(&world, head, &["-d", &other.commit]).expect(412);
    curl(&world, head, &["-d", &other.commit, "-H", "x-ats-ostree-force: true"]).expect(200);
    curl(&world, head, &["-d", &"0".repeat(64), "-H", "x-ats-ostree-force: true"]).expect(404);
    ostree(&["fsck", &format!("--repo={}", world.layout.treehub().display())]);

    let manifest = format!("/treehub/api/v3/manifests/{}", build.commit);
    curl(&world, &manifest, &["-X", "PUT", "-d", "{\"a\":1}"]).expect(200);
    assert_eq!(curl(&world, &manifest, &[]).expect(200).json()["a"], 1);
    let unknown = format!("/treehub/api/v3/manifests/{}", "0".repeat(64));
    curl(&world, &unknown, &["-X", "PUT", "-d", "{}"]).expect(404);
}

#[test]
fn static_deltas_are_uploaded_listed_and_pulled() {
    upload_and_pull_deltas(&World::new());
}

/// Uploads the one static delta of a repository; gives its folder and its bytes.
pub(crate) fn upload_delta(world: &World, repo: &Path) -> (String, u64) {
    let deltas = repo.join("deltas");
    let prefix = std::fs::read_dir(&deltas).expect("deltas").next().expect("one").expect("one");
    let rest = std::fs::read_dir(prefix.path()).expect("delta").next().expect("one").expect("one");
    let folder =
        format!("{}/{}", prefix.file_name().to_string_lossy(), rest.file_name().to_string_lossy());
    let mut files: Vec<_> = std::fs::read_dir(rest.path())
        .expect("files")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    // The superblock says that all is there, so it comes last.
    files.sort_by_key(|name| name == "superblock");
    for name in &files {
        let file = format!("@{}", rest.path().join(name).display());
        let url = format!("/treehub/api/v3/deltas/{folder}/{name}");
        curl(world, &url, &["-X", "POST", "--data-binary", &file]).expect(204);
    }
    let lengths = files.iter().map(|name| rest.path().join(name).metadata().expect("file").len());
    (folder, lengths.sum())
}

pub(crate) fn upload_and_pull_deltas(world: &World) {
    let build = Build::new(world, "v1", "one");
    build.push(world);
    let repo = format!("--repo={}", build.repo.display());
    ostree(&["static-delta", "generate", &repo, "--empty", &format!("--to={}", build.commit)]);
    let (folder, _) = upload_delta(world, &build.repo);
    let bad = format!("/treehub/api/v3/deltas/{folder}/other");
    curl(world, &bad, &["-X", "POST", "-d", "x"]).expect(404);
    if world.bucket.is_none() {
        let treehub = world.layout.treehub();
        let listed = ostree(&["static-delta", "list", &format!("--repo={}", treehub.display())]);
        assert!(listed.contains(&build.commit), "{listed}");
        assert!(treehub.join("delta-indexes").is_dir());
    }

    let pulled = world.folder.path().join("pulled");
    let repo = format!("--repo={}", pulled.display());
    ostree(&["init", &repo, "--mode=bare-user"]);
    ostree(&[
        "remote",
        "add",
        &repo,
        "--no-gpg-verify",
        &format!("--set=tls-ca-path={}", world.layout.ca_certificate().display()),
        "server",
        &world.url("/treehub/api/v3"),
    ]);
    let token = format!("--http-header=Authorization=Bearer {}", world.token);
    ostree(&["pull", &repo, &token, "--require-static-deltas", "server", "os"]);
    ostree(&["fsck", &repo]);

    // Branches that come later are listed, too.
    let branch = "/treehub/api/v3/refs/heads/later";
    curl(world, branch, &["-X", "POST", "-d", &build.commit]).expect(200);
    ostree(&["pull", &repo, &token, "--require-static-deltas", "server", "later"]);
}

#[test]
fn an_operators_credentials_let_the_tools_in() {
    let world = World::new();
    crate::ota_repository::create(&world);
    let path = world.folder.path().join("operator.zip");
    let database = world.database();
    let options = OperatorCredentials {
        url: world.url("/"),
        name: "builder".to_owned(),
        scope: Scope::Publish,
        role: None,
        days: 30,
        targets_key: TargetsKey::Included,
    };
    let environment = world.environment();
    setup::write_operator_credentials(&world.layout, &database, &environment, &options, &path)
        .expect("credentials");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).expect("file")).expect("zip");
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    for name in [
        "treehub.json",
        "client_auth.p12",
        "tufrepo.url",
        "root.json",
        "targets.pub",
        "targets.sec",
        "server_ca.pem",
        "api_gateway.url",
        "autoprov.url",
    ] {
        assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
    }
    let mut member = |name: &str| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.by_name(name).expect("member"), &mut bytes)
            .expect("member");
        bytes
    };
    let treehub: serde_json::Value = serde_json::from_slice(&member("treehub.json")).expect("JSON");
    let oauth2 = &treehub["oauth2"];
    let text = |name: &str| oauth2[name].as_str().expect("text").to_owned();
    assert_eq!(text("server"), world.url("/oauth2/token"));
    // As garage-push asks: HTTP basic, a form, and then a bearer.
    let user = format!("{}:{}", text("client_id"), text("client_secret"));
    let form = ["-u", &user, "-d", "grant_type=client_credentials&scope=x"];
    let token = curl_as(&world, "/oauth2/token", &form).expect(200).json();
    let bearer = format!("Authorization: Bearer {}", token["access_token"].as_str().expect("text"));
    curl_as(&world, "/treehub/api/v3/config", &["-H", &bearer]).expect(200);
    curl_as(&world, "/oauth2/token", &["-u", "builder:no", "-d", "x"]).expect(401);
    // With the certificate, nothing else is needed; the scope is that of the token.
    let p12 = world.folder.path().join("client.p12");
    std::fs::write(&p12, member("client_auth.p12")).expect("file");
    let identity = crate::world::identity_of(&std::fs::read(&p12).expect("file"));
    let certificate = world.folder.path().join("client.pem");
    let mut pem = identity.certificate_pem.clone();
    pem.extend_from_slice(&identity.private_key_pem);
    std::fs::write(&certificate, pem).expect("file");
    let cert = ["--cert", certificate.to_str().expect("text")];
    curl_as(&world, "/treehub/api/v3/config", &cert).expect(200);
    curl_as(&world, "/api/v1/user_repo/targets.json", &cert).expect(200);
    let rotate = ["--cert", cert[1], "-X", "PUT"];
    curl_as(&world, "/api/v1/user_repo/root/rotate", &rotate).expect(403);
    // It is an operator's, not a device's.
    curl_as(&world, "/director/targets.json", &cert).expect(403);
    updraft_server_service::fleet::operators::revoke_token(
        &database,
        &environment,
        "builder-certificate",
    )
    .expect("revoked");
    curl_as(&world, "/treehub/api/v3/config", &cert).expect(403);
}

#[test]
fn the_server_certificate_is_issued_anew_for_the_same_key() {
    let mut world = World::new();
    let names = ["localhost".to_owned(), "updates.example".to_owned()];
    let environment = world.environment();
    let before = std::fs::read(world.layout.server_key()).expect("key");
    let (kept, _) =
        setup::renew_server_certificate(&world.layout, &[], &environment).expect("renewed");
    assert_eq!(kept, ["localhost", "127.0.0.1", "::1"]);
    setup::renew_server_certificate(&world.layout, &names, &environment).expect("renewed");
    assert_eq!(std::fs::read(world.layout.server_key()).expect("key"), before);
    world.restart();
    curl_as(&world, "/health", &[]).expect(200);
    let pem = std::fs::read_to_string(world.layout.server_certificate()).expect("certificate");
    assert_eq!(updraft_crypto::tls::server_names(&pem).expect("names"), names);
}
