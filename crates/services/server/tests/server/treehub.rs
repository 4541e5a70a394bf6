//! The OSTree repository over HTTPS: pushes, pulls by the real `ostree`, ranges, refusals.

use updraft_api::{Scope, paths};
use updraft_http::{Method, Request};

use crate::device::Device;
use crate::operator::{Build, ostree};
use crate::world::{World, ask};

#[test]
fn the_real_ostree_pulls_what_was_pushed_with_a_devices_certificate() {
    push_and_pull(&World::new());
}

pub(crate) fn push_and_pull(world: &World) {
    let build = Build::new(world, "v1", "one");
    build.push(world);
    // A second push finds everything there.
    build.push(world);
    let device = Device::new(world, "vehicle-1");
    let folder = world.folder.path();
    let certificate = folder.join("device.pem");
    let key = folder.join("device.key");
    std::fs::write(&certificate, &device.identity.certificate_pem).expect("file");
    std::fs::write(&key, &device.identity.private_key_pem).expect("file");
    let repo = format!("--repo={}", folder.join("pulled").display());
    ostree(&["init", &repo, "--mode=bare-user"]);
    ostree(&[
        "remote",
        "add",
        &repo,
        "--no-gpg-verify",
        &format!("--set=tls-ca-path={}", world.layout.ca_certificate().display()),
        &format!("--set=tls-client-cert-path={}", certificate.display()),
        &format!("--set=tls-client-key-path={}", key.display()),
        "server",
        &world.url(paths::TREEHUB),
    ]);
    ostree(&["pull", &repo, "server", &build.commit]);
    ostree(&["fsck", &repo]);
    ostree(&["pull", &repo, "server", "os"]);
    assert_eq!(ostree(&["rev-parse", &repo, "server:os"]).trim(), build.commit);
    let text = ostree(&["cat", &repo, &build.commit, "/usr/bin/tool"]);
    assert_eq!(text, "one");
    // And the server's own repository is one that the real tool calls sound.
    if world.bucket.is_none() {
        ostree(&["fsck", &format!("--repo={}", world.layout.treehub().display())]);
    }
}

#[test]
fn objects_are_served_in_parts_and_for_ever() {
    read_in_parts(&World::new());
}

pub(crate) fn read_in_parts(world: &World) {
    let build = Build::new(world, "v1", "one");
    build.push(world);
    let path = object_path(&build.commit, "commit");
    let client = world.operator();
    let whole = world.get(&client, &path).expect(200);
    let etag = whole.headers.get("etag").expect("entity tag").to_owned();
    assert!(whole.headers.get("cache-control").expect("header").contains("immutable"));
    assert_eq!(whole.headers.get("accept-ranges"), Some("bytes"));
    let length = whole.body.len();

    let with = |headers: &[(&str, &str)]| {
        let mut request = Request::new(Method::Get, world.url(&path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ask(&client, request)
    };
    let part = with(&[("Range", "bytes=5-9")]).expect(206);
    assert_eq!(part.body, whole.body[5..10]);
    let expected = format!("bytes 5-9/{length}");
    assert_eq!(part.headers.get("content-range"), Some(expected.as_str()));
    assert_eq!(with(&[("Range", "bytes=-3")]).expect(206).body, whole.body[length - 3..]);
    assert_eq!(
        with(&[("Range", "bytes=7-"), ("If-Range", &etag)]).expect(206).body,
        whole.body[7..]
    );
    assert_eq!(with(&[("Range", "bytes=7-"), ("If-Range", "\"x\"")]).expect(200).body, whole.body);
    with(&[("Range", &format!("bytes={length}-"))]).expect(416);
    let unchanged = with(&[("If-None-Match", &etag)]).expect(304);
    assert!(unchanged.body.is_empty());
    let told = unchanged.headers.get("content-length").map(str::to_owned);
    assert!(told.is_none_or(|told| told == length.to_string()));

    let head = ask(&client, Request::new(Method::Head, world.url(&path))).expect(200);
    let expected = length.to_string();
    assert_eq!(head.headers.get("content-length"), Some(expected.as_str()));
    let absent = object_path(&"0".repeat(64), "commit");
    ask(&client, Request::new(Method::Head, world.url(&absent))).expect(404);
}

#[test]
fn a_wrong_object_is_not_stored() {
    let world = World::new();
    let build = Build::new(&world, "v1", "one");
    let bytes = std::fs::read(build.repo.join("objects").join(loose(&build.commit, "commit")))
        .expect("object");
    let client = world.operator();
    let post = |path: &str, body: Vec<u8>| world.send(&client, Method::Post, path, body);
    let path = object_path(&build.commit, "commit");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    post(&path, flipped).expect(403);
    post(&path, bytes[..bytes.len() - 1].to_vec()).expect(403);
    post(&path, Vec::new()).expect(403);
    world.get(&client, &path).expect(404);
    post(&object_path(&"0".repeat(64), "filez"), b"rubbish".to_vec()).expect(403);
    // A branch cannot name what is not here.
    post("/treehub/refs/heads/os", build.commit.clone().into_bytes()).expect(404);
    post("/treehub/refs/heads/os", b"rubbish".to_vec()).expect(400);
    post("/treehub/refs/heads/os", vec![b'a'; 1000]).expect(413);
    world.get(&client, "/treehub/refs/heads/os").expect(404);
    // The whole object is, after what it refers to.
    post(&path, bytes.clone()).expect(412);
    build.push(&world);
    post(&path, bytes.clone()).expect(204);
    post(&path, bytes).expect(204);
    world.get(&client, &path).expect(200);
}

#[test]
fn only_publishers_upload_and_only_callers_with_a_name_read() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let path = object_path(&"0".repeat(64), "commit");
    let nobody = world.client(None, None);
    world.send(&nobody, Method::Post, &path, "x").expect(401);
    world.send(&device.client(&world), Method::Post, &path, "x").expect(401);
    for scope in [Scope::Read, Scope::Operate] {
        let token = world.make_token(scope.name(), scope);
        let client = world.client(None, Some(&token));
        world.send(&client, Method::Post, &path, "x").expect(403);
        world.get(&client, "/treehub/config").expect(200);
    }
    let token = world.make_token("ci", Scope::Publish);
    world.send(&world.client(None, Some(&token)), Method::Post, &path, "x").expect(403);
    let bad = world.client(Some(device.identity), Some("updraft_nonsense"));
    world.get(&bad, "/treehub/config").expect(401);
}

#[test]
fn nothing_but_the_repository_is_reachable() {
    let world = World::new();
    let client = world.operator();
    for path in [
        "/treehub/../server.toml",
        "/treehub/..%2fserver.toml",
        "/treehub/%2e%2e/tls/ca.key",
        "/treehub/objects/..%2f..%2f..%2ftls%2fca.key",
        "/treehub/refs/heads/..%2f..%2f..%2ftls%2fca.key",
        "/treehub/deltas/..%2f..%2ftls%2fca.key",
        "/treehub/.lock",
        "/treehub/tmp",
        "/treehub/objects",
        "/treehub/",
        "/treehub//config",
    ] {
        let answer = raw_get(&world, path);
        assert_eq!(answer, 404, "{path}");
    }
    world.get(&client, "/treehub/config").expect(200);
}

/// The status of a request whose path is sent exactly as it is.
fn raw_get(world: &World, path: &str) -> u16 {
    let output = std::process::Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", "--cacert"])
        .arg(world.layout.ca_certificate())
        .args(["-H", &format!("Authorization: Bearer {}", world.token)])
        .arg(world.url(path))
        .output()
        .expect("curl");
    String::from_utf8_lossy(&output.stdout).parse().expect("status")
}

fn loose(checksum: &str, kind: &str) -> String {
    format!("{}/{}.{kind}", &checksum[..2], &checksum[2..])
}

fn object_path(checksum: &str, kind: &str) -> String {
    format!("/treehub/objects/{}", loose(checksum, kind))
}
