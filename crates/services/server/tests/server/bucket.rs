//! Content in a bucket of a real store, which checks signatures; and stores that are slow, failing and
//! full.

use updraft_api::paths;
use updraft_http::testing::{Answer as Says, Exchange, Server};
use updraft_http::{ClientOptions, Method, Request};
use updraft_server_service::config::{Downloads, StorageConfig};
use updraft_server_service::error::BucketTrouble;
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::{Config, Error, Layout};

use crate::curl::curl;
use crate::hawkbit::Hawkbit;
use crate::operator::{Build, Operator};
use crate::world::{World, ask, storage};

/// More than two parts of an upload.
const LARGE: usize = 40 << 20;

fn large() -> Vec<u8> {
    let bytes = (0_u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]);
    bytes.take(LARGE).collect()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(bytes))
}

fn names(world: &World) -> Vec<String> {
    world.bucket.as_ref().expect("a bucket").names().expect("names").unwrap_or_default()
}

/// Signs a target that is a file of this content.
fn sign_file(world: &World, operator: &mut Operator, name: &str, content: &[u8]) {
    use updraft_tuf::{Hashes, Target};
    let targets = operator.draft_targets(world, |targets| {
        let hashes = Hashes::from_sha256(&sha256(content));
        targets.targets.insert(name.to_owned(), Target::new(content.len() as u64, hashes));
    });
    operator.upload_targets(world, &targets).expect(200);
}

#[test]
fn the_ostree_repository_lies_in_a_bucket() {
    let world = World::with_bucket();
    crate::treehub::push_and_pull(&world);
    assert!(!world.layout.treehub().exists());
    let names = names(&world);
    assert!(names.iter().all(|name| name.starts_with("fleet/treehub/objects/")), "{names:?}");
}

#[test]
fn static_deltas_lie_in_a_bucket() {
    crate::ota_treehub::upload_and_pull_deltas(&World::with_bucket());
}

#[test]
fn objects_of_a_bucket_are_served_in_parts() {
    crate::treehub::read_in_parts(&World::with_bucket());
}

#[test]
fn artifacts_of_a_bucket_are_served_in_parts() {
    crate::hawkbit::downloads::download_in_parts(&Hawkbit::of(World::with_bucket()));
}

#[test]
fn large_files_are_sent_in_parts_and_only_what_is_right_is_there() {
    let world = World::with_bucket();
    let mut operator = Operator::new(&world);
    let content = large();
    sign_file(&world, &mut operator, "firmware.bin", &content);
    let path = paths::image_file("firmware.bin");
    let put = |content: Vec<u8>| world.send(&world.operator(), Method::Put, &path, content);
    let mut wrong = content.clone();
    wrong[LARGE - 1] ^= 1;
    assert_eq!(put(wrong).expect(403).code(), "wrong_hash");
    put(content[..LARGE - 1].to_vec()).expect(403);
    assert_eq!(names(&world), Vec::<String>::new());
    put(content.clone()).expect(201);
    // It is there, so that nobody reads what comes.
    put(Vec::new()).expect(204);
    if world.bucket.as_ref().is_some_and(|bucket| bucket.names().is_ok_and(|all| all.is_some())) {
        assert_eq!(names(&world), [format!("fleet/targets/{}", sha256(&content))]);
    }
    let got = curl(&world, "/repo/targets/firmware.bin", &[]).expect(200);
    assert!(got.body == content);
    let client = world.operator();
    let at = world.url("/repo/targets/firmware.bin");
    let part = Request::new(Method::Get, at).header("Range", "bytes=33554430-33554437");
    assert_eq!(ask(&client, part).expect(206).body, content[33_554_430..33_554_438]);
    // One whose name is known when all of it has come.
    let hawkbit = Hawkbit::of(world);
    hawkbit.make_module("1", "large.bin", &content);
    hawkbit.make_module("2", "other.bin", &content[1..]);
    let key = format!("fleet/targets/{}", sha256(&content[1..]));
    let names = names(&hawkbit.world);
    assert!(names.is_empty() || names.contains(&key), "{names:?}");
    assert!(std::fs::read_dir(hawkbit.world.layout.incoming()).expect("folder").next().is_none());
}

#[test]
fn metadata_of_the_image_repository_is_in_the_database() {
    let mut world = World::with_bucket();
    let mut operator = Operator::new(&world);
    operator.release(&world, "v1", "one");
    let client = world.operator();
    let root = world.get(&client, "/repo/root.json").expect(200).body;
    let targets = world.get(&client, "/repo/targets.json").expect(200).body;
    world.restart();
    let client = world.operator();
    assert_eq!(world.get(&client, "/repo/root.json").expect(200).body, root);
    assert_eq!(world.get(&client, "/repo/targets.json").expect(200).body, targets);
    assert!(!world.layout.image().exists());
    operator.release(&world, "v2", "two");
    let timestamp = world.get(&client, "/repo/timestamp.json").expect(200).json();
    assert_eq!(timestamp["signed"]["version"], 2);
}

#[test]
fn servers_with_a_folder_each_share_a_bucket() {
    let mut world = World::with_postgres_and_bucket();
    world.start_elsewhere();
    crate::postgres::both_know(&mut world);
    let build = Build::new(&world, "v4", "four");
    build.push(&world);
    world.turn();
    let (prefix, rest) = build.commit.split_at(2);
    let commit = format!("/treehub/objects/{prefix}/{rest}.commit");
    world.get(&world.operator(), &commit).expect(200);
    let branch = world.get(&world.operator(), "/treehub/refs/heads/os").expect(200);
    assert_eq!(branch.text().trim(), build.commit);
    // A second push, to the other one, finds everything there.
    build.push(&world);
    for folder in ["treehub", "image", "targets"] {
        assert!(!world.folder.path().join("elsewhere").join(folder).exists(), "{folder}");
    }
}

#[test]
fn devices_are_sent_to_the_bucket_where_that_is_configured() {
    let mut world = World::with_bucket();
    let build = Build::new(&world, "v1", "one");
    build.push(&world);
    let mut operator = Operator::new(&world);
    let content = b"firmware".repeat(1000);
    sign_file(&world, &mut operator, "firmware.bin", &content);
    let path = paths::image_file("firmware.bin");
    world.send(&world.operator(), Method::Put, &path, content.clone()).expect(201);

    let mut config = Config::load(&world.layout.config()).expect("configuration");
    config.storage.downloads = Downloads::Redirect;
    std::fs::write(world.layout.config(), config.to_toml()).expect("written");
    world.restart();
    let at = "/repo/targets/firmware.bin";
    let sent = curl(&world, at, &[]).expect(302);
    let link = sent.header("location").expect("a link").to_owned();
    assert!(link.starts_with(&world.bucket.as_ref().expect("a bucket").endpoint()), "{link}");
    assert_eq!(sent.header("cache-control"), Some("private, no-store"));
    // The store takes the link as it is, and nothing else under its signature.
    let got = world.get(&world.operator(), at).expect(200);
    assert_eq!(got.body, content);
    let plain = updraft_http::Client::new(&ClientOptions::default()).expect("a client");
    let forged = link.replace("firmware", "hardware").replace("targets/", "targets/0");
    assert_eq!(ask(&plain, Request::new(Method::Get, forged)).status, 403);
    assert_eq!(ask(&plain, Request::new(Method::Put, link).body(b"x".to_vec())).status, 403);
    // Who asks for less than content is answered here, and so is who asks for metadata.
    let head = curl(&world, at, &["--head"]).expect(200);
    assert_eq!(head.header("content-length"), Some("8000"));
    let (prefix, rest) = build.commit.split_at(2);
    curl(&world, &format!("/treehub/objects/{prefix}/{rest}.commit"), &[]).expect(200);

    config.storage.public_url = Some("https://cdn.example/updraft".to_owned());
    std::fs::write(world.layout.config(), config.to_toml()).expect("written");
    world.restart();
    let sent = curl(&world, at, &[]).expect(302);
    let expected = format!("https://cdn.example/updraft/fleet/targets/{}", sha256(&content));
    assert_eq!(sent.header("location"), Some(expected.as_str()));
}

#[test]
fn the_real_ostree_follows_to_the_bucket() {
    let mut world = World::with_bucket();
    let mut config = Config::load(&world.layout.config()).expect("configuration");
    config.storage.downloads = Downloads::Redirect;
    std::fs::write(world.layout.config(), config.to_toml()).expect("written");
    world.restart();
    crate::treehub::push_and_pull(&world);
}

/// What is wrong with a bucket, as `init` and `check` find it.
fn trouble(world: &World, change: impl FnOnce(&mut StorageConfig)) -> (BucketTrouble, String) {
    let mut config = storage(world.folder.path(), world.bucket.as_ref().expect("a bucket"));
    change(&mut config);
    let folder = tempfile::tempdir().expect("folder");
    let options = InitOptions { storage: config, ..InitOptions::default() };
    let layout = Layout::new(folder.path().join("data"));
    match setup::init(&layout, &options, &world.environment()) {
        Err(Error::Bucket { trouble, source, .. }) => (trouble, source.to_string()),
        other => panic!("another outcome: {other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_bucket_is_told() {
    let world = World::with_bucket();
    world.fleet().check_storage().expect("it is good");
    assert_eq!(names(&world), Vec::<String>::new());
    let (found, reason) = trouble(&world, |config| config.bucket = Some("absent".to_owned()));
    assert_eq!(found, BucketTrouble::NoBucket, "{reason}");
    let key = world.folder.path().join("wrong-key");
    let text = "aws_access_key_id = updraft-tests\naws_secret_access_key = x\n";
    std::fs::write(&key, text).expect("written");
    let (found, reason) = trouble(&world, |config| config.credentials_file = Some(key));
    assert_eq!(found, BucketTrouble::Denied, "{reason}");
    let (found, reason) = trouble(&world, |config| {
        config.endpoint = Some("http://127.0.0.1:1".to_owned());
    });
    assert_eq!(found, BucketTrouble::Unavailable, "{reason}");
    assert!(!reason.contains("Signature") && reason.contains("127.0.0.1:1"), "{reason}");
}

/// A server whose store answers as it is told.
fn with_store(answer: impl Fn(&Exchange) -> Says + Send + Sync + 'static) -> (World, Server) {
    let store = Server::start(answer);
    let mut world = World::stopped_with_bucket();
    let mut config = Config::load(&world.layout.config()).expect("configuration");
    config.storage.endpoint = Some(store.url());
    std::fs::write(world.layout.config(), config.to_toml()).expect("written");
    world.start();
    (world, store)
}

fn error(status: u16, code: &str) -> Says {
    Says::Bytes(status, format!("<Error><Code>{code}</Code></Error>").into_bytes())
}

fn upload(world: &World) -> crate::curl::Answered {
    let user = format!("admin:{}", world.token);
    let made = crate::curl::send(
        world,
        "POST",
        "/rest/v1/softwaremodules",
        &serde_json::json!([{ "name": "f", "version": "1", "type": "os" }]),
    );
    let module = made.expect(201).json()[0]["id"].as_i64().expect("a number");
    let file = world.folder.path().join("file");
    std::fs::write(&file, b"content").expect("written");
    let form = format!("file=@{}", file.display());
    let at = format!("/rest/v1/softwaremodules/{module}/artifacts");
    crate::curl::curl_as(world, &at, &["-u", &user, "-F", &form])
}

#[test]
fn what_passes_is_tried_again() {
    let (world, store) = with_store(|exchange| match exchange.method.as_str() {
        "HEAD" => Says::Bytes(404, Vec::new()),
        "PUT" if exchange.number < 3 => error(503, "SlowDown"),
        _ => Says::Bytes(200, Vec::new()),
    });
    upload(&world).expect(201);
    let puts = store.log().into_iter().filter(|exchange| exchange.method == "PUT");
    let puts: Vec<Exchange> = puts.collect();
    assert!(puts.len() > 1 && puts.iter().all(|put| put.body == b"content"), "{puts:?}");
}

#[test]
fn a_store_that_fails_is_not_the_callers_fault_and_not_ready() {
    let (world, _store) = with_store(|_| error(503, "ServiceUnavailable"));
    let answer = upload(&world).expect(503);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains("Signature"), "{text}");
    assert_eq!(curl(&world, paths::READY, &[]).status, 503);
    // What is not in the bucket is served all the same.
    curl(&world, "/api/v1/devices", &[]).expect(200);
}

#[test]
fn a_full_store_is_told_from_others() {
    let (world, _store) = with_store(|exchange| match exchange.method.as_str() {
        "HEAD" => Says::Bytes(404, Vec::new()),
        "PUT" => error(507, "XMinioStorageFull"),
        _ => error(404, "NoSuchKey"),
    });
    upload(&world).expect(507);
    assert_eq!(curl(&world, paths::READY, &[]).status, 200);
}

#[test]
fn a_store_that_says_nothing_is_given_up() {
    let (world, _store) = with_store(|_| Says::Stall);
    let begun = std::time::Instant::now();
    assert_eq!(curl(&world, paths::READY, &[]).status, 503);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A store in front of which something stalls: what is asked by this method says no more than a number
/// of bytes of its answer.
struct Stalled {
    port: u16,
}

impl Stalled {
    fn start(method: &'static str, content: &'static [u8], bytes: usize) -> Self {
        use std::io::{BufRead as _, BufReader, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
                    while let Some(Ok(first)) = lines.next() {
                        // The rest of the head, and no body: what is read has none.
                        let rest = lines.by_ref().map_while(Result::ok);
                        let head: Vec<String> = rest.take_while(|line| !line.is_empty()).collect();
                        let (answer, most) = Self::answer(content, &first, &head, bytes);
                        let stalls = first.starts_with(method);
                        let end = if stalls { most.min(answer.len()) } else { answer.len() };
                        if (&socket).write_all(&answer[..end]).is_err() {
                            return;
                        }
                        if stalls {
                            // Longer than anybody waits.
                            std::thread::sleep(std::time::Duration::from_mins(5));
                        }
                    }
                });
            }
        });
        Self { port }
    }

    /// An answer, and how much of it is sent before it stalls: nothing more of a part, once a part is
    /// asked for.
    fn answer(content: &[u8], first: &str, head: &[String], bytes: usize) -> (Vec<u8>, usize) {
        let range = head.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let range = value.trim().strip_prefix("bytes=")?;
            name.eq_ignore_ascii_case("range").then(|| range.split_once('-')?.0.parse().ok())?
        });
        let length = content.len();
        let start: usize = range.unwrap_or(0);
        let (status, part) = match range {
            Some(_) => ("206 Partial Content", format!("bytes {start}-{}/{length}", length - 1)),
            None => ("200 OK", "none".to_owned()),
        };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nETag: \"e\"\r\nContent-Range: {part}\r\nContent-Length: {}\r\n\r\n",
            length - start
        )
        .into_bytes();
        let most = if range.is_some() { answer.len() } else { bytes };
        if !first.starts_with("HEAD") {
            answer.extend_from_slice(&content[start..]);
        }
        (answer, most)
    }
}

#[test]
fn a_store_that_stalls_is_told_of_soon() {
    const CONTENT: &[u8] = &[7; 50_000];
    let mut world = World::with_bucket();
    let mut operator = Operator::new(&world);
    sign_file(&world, &mut operator, "firmware.bin", CONTENT);
    world.stop();
    let good = Config::load(&world.layout.config()).expect("configuration");
    // Nothing of an answer; nothing of one that is content; and a part of it.
    for (method, bytes) in [("HEAD", 0), ("GET", 0), ("GET", 20_000)] {
        let store = Stalled::start(method, CONTENT, bytes);
        let mut config = good.clone();
        config.storage.endpoint = Some(format!("http://127.0.0.1:{}", store.port));
        std::fs::write(world.layout.config(), config.to_toml()).expect("written");
        world.start();
        let begun = std::time::Instant::now();
        let answer = curl(&world, "/repo/targets/firmware.bin", &[]).expect(503);
        let took = begun.elapsed();
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(said.contains("storage_unavailable"), "{method} {bytes}: {said}");
        assert!(took < std::time::Duration::from_secs(15), "{method} {bytes}: {took:?}");
        println!("{method}, {bytes} bytes: 503 after {took:?}");
        // Whatever needs no content is answered meanwhile and afterwards.
        curl(&world, "/api/v1/devices", &[]).expect(200);
        world.stop();
    }
}

#[test]
fn reading_goes_on_where_the_connection_broke() {
    let content: Vec<u8> = large().into_iter().take(1 << 20).collect();
    let told = content.clone();
    let (world, _store) = with_store(move |exchange| match exchange.method.as_str() {
        "GET" if exchange.header("range").is_none() => Says::Cut(told.clone(), 300_000),
        _ => Says::Resource(told.clone()),
    });
    let mut operator = Operator::new(&world);
    sign_file(&world, &mut operator, "firmware.bin", &content);
    let got = world.get(&world.operator(), "/repo/targets/firmware.bin").expect(200);
    assert!(got.body == content);
}
