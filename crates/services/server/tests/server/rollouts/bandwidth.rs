//! A limit on what a rollout's devices download, all together.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updraft_api::paths;
use updraft_http::{Client, ClientOptions, Method, Request};
use updraft_server_service::Config;
use updraft_server_service::config::Downloads;

use crate::device::{Device, HARDWARE};
use crate::hawkbit::Hawkbit;
use crate::operator::{Operator, create_rollout, ostree_target, rollout};
use crate::world::{World, ask};

/// Bytes of the file, and how many a second.
const LENGTH: usize = 300_000;
const LIMIT: u64 = 200_000;

fn content() -> Vec<u8> {
    let bytes = (0_u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]);
    bytes.take(LENGTH).collect()
}

/// A release of one file, which was uploaded.
fn release_file(world: &World, name: &str, content: &[u8]) {
    let mut operator = Operator::new(world);
    let sha256 = updraft_crypto::sha256_hex(content);
    let targets = operator.draft_targets(world, |targets| {
        let mut target = ostree_target(&sha256, &[HARDWARE]);
        target.length = content.len() as u64;
        target.custom.as_mut().expect("custom")["targetFormat"] = "BINARY".into();
        targets.targets.insert(format!("{name}.bin"), target);
    });
    operator.upload_targets(world, &targets).expect(200);
    let path = paths::image_file(&format!("{name}.bin"));
    world.send(&world.operator(), Method::Put, &path, content).expect(201);
    let release = json!({ "name": name, "targets": [{
        "filepath": format!("{name}.bin"), "hardware_ids": [HARDWARE], "format": "BINARY",
        "sha256": sha256, "length": content.len(), "version": "1",
    }] });
    world.send_json(&world.operator(), Method::Post, paths::RELEASES, &release).expect(201);
}

/// Downloads at a time; gives how long all of them took.
fn download(world: &World, clients: &[Client], content: &[u8]) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                let request = Request::new(Method::Get, world.url("/repo/targets/v1.bin"));
                assert!(ask(client, request).expect(200).body == content);
            });
        }
    });
    begun.elapsed()
}

#[test]
fn devices_of_a_rollout_share_its_bandwidth() {
    let world = World::new();
    let content = content();
    release_file(&world, "v1", &content);
    let devices: Vec<Device> = (0..3).map(|n| Device::new(&world, &format!("d{n}"))).collect();
    let clients: Vec<Client> = devices.iter().map(|device| device.client(&world)).collect();
    let free = download(&world, &clients, &content);
    let body = json!({ "name": "slow", "release": "v1", "max_bytes_per_second": LIMIT,
        "scope": { "devices": ["d0", "d1"] } });
    let shown = create_rollout(&world, &body).expect(201).json();
    assert_eq!(shown["max_bytes_per_second"], LIMIT);
    rollout(&world, "slow");
    // Limits are known after a while.
    std::thread::sleep(Duration::from_millis(2100));
    // Two files at the rate of one and a half seconds each.
    let slow = download(&world, &clients[..2], &content);
    assert!(slow > Duration::from_millis(2500), "{slow:?}");
    assert!(slow < Duration::from_secs(8), "{slow:?}");
    // A part of it takes its part of the time, and says how long it is.
    let request = Request::new(Method::Get, world.url("/repo/targets/v1.bin"))
        .header("Range", "bytes=100000-199999");
    let begun = Instant::now();
    let part = ask(&clients[0], request).expect(206);
    assert_eq!(part.headers.get("content-length"), Some("100000"));
    assert!(part.body == content[100_000..200_000]);
    assert!((300..4000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    // Others are not slowed down, and nobody is when the rollout has ended.
    let other = download(&world, &clients[2..], &content);
    world.send(&world.operator(), Method::Post, &paths::rollout_stop("slow"), "").expect(200);
    std::thread::sleep(Duration::from_millis(2100));
    let ended = download(&world, &clients[..2], &content);
    println!("free {free:?}, limited {slow:?}, of another device {other:?}, ended {ended:?}");
    assert!(other < Duration::from_millis(1200) && ended < Duration::from_millis(1200));
}

#[test]
fn devices_with_a_limit_are_not_sent_to_the_bucket() {
    let mut world = World::with_bucket();
    let content = content();
    release_file(&world, "v1", &content);
    let devices: Vec<Device> = (0..2).map(|n| Device::new(&world, &format!("d{n}"))).collect();
    let mut config = Config::load(&world.layout.config()).expect("configuration");
    config.storage.downloads = Downloads::Redirect;
    std::fs::write(world.layout.config(), config.to_toml()).expect("written");
    world.restart();
    let body = json!({ "name": "slow", "release": "v1", "max_bytes_per_second": LIMIT,
        "scope": { "devices": ["d0"] } });
    create_rollout(&world, &body).expect(201);
    rollout(&world, "slow");
    std::thread::sleep(Duration::from_millis(2100));
    let client = |device: &Device| {
        Client::new(&ClientOptions {
            ca_pem: Some(world.ca_pem()),
            identity: Some(device.identity.clone()),
            max_redirects: 0,
            ..ClientOptions::default()
        })
    };
    let clients: Vec<Client> =
        devices.iter().map(|device| client(device).expect("a client")).collect();
    let is_sent_away = |client: &Client| {
        let request = Request::new(Method::Get, world.url("/repo/targets/v1.bin"));
        ask(client, request).status == 302
    };
    let slow = download(&world, &clients[..1], &content);
    assert!((1200..8000).contains(&slow.as_millis()), "{slow:?}");
    assert!(is_sent_away(&clients[1]));
    world.send(&world.operator(), Method::Post, &paths::rollout_stop("slow"), "").expect(200);
    std::thread::sleep(Duration::from_millis(2100));
    assert!(is_sent_away(&clients[0]));
}

#[test]
fn devices_of_hawkbit_share_it_too() {
    let hawkbit = Hawkbit::new();
    let world = &hawkbit.world;
    hawkbit.make_target("d1");
    let content = content();
    let (set, module) = hawkbit.make_set("1", &content);
    let release = json!({ "name": "r1", "distribution_sets": [{ "id": set }] });
    world.send_json(&world.operator(), Method::Post, paths::RELEASES, &release).expect(201);
    let body = json!({ "name": "slow", "release": "r1", "max_bytes_per_second": LIMIT });
    create_rollout(world, &body).expect(201);
    rollout(world, "slow");
    std::thread::sleep(Duration::from_millis(2100));
    let base = hawkbit.ddi("d1", &format!("/softwaremodules/{module}/artifacts"), &[]).expect(200);
    let listed: Value = base.json();
    let name = listed[0]["filename"].as_str().expect("a name").to_owned();
    let begun = Instant::now();
    let path = format!("/softwaremodules/{module}/artifacts/{name}");
    let got = hawkbit.ddi("d1", &path, &[]).expect(200);
    assert!(got.body == content);
    let took = begun.elapsed();
    println!("a device of hawkBit: {took:?}");
    assert!((1200..8000).contains(&took.as_millis()), "{took:?}");
}
