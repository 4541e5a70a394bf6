//! The connection itself: limits, patience, an orderly end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use updraft_api::paths;
use updraft_http::Method;

use crate::device::Device;
use crate::world::World;

#[test]
fn plain_http_and_noise_do_not_disturb() {
    let world = World::new();
    for noise in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x00\x01\x02\x03", b""] {
        let mut stream = TcpStream::connect(world.address()).expect("connected");
        stream.write_all(noise).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("closed");
        let mut answer = Vec::new();
        // Whatever comes, the connection ends.
        let _ = stream.read_to_end(&mut answer);
    }
    world.get(&world.operator(), paths::STATUS).expect(200);
}

#[test]
fn http_1_and_2_are_spoken() {
    let world = World::new();
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let output = std::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_version}", flag, "--cacert"])
            .arg(world.layout.ca_certificate())
            .arg(world.url(paths::HEALTH))
            .output()
            .expect("curl");
        assert_eq!(String::from_utf8_lossy(&output.stdout), version);
    }
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let mut world = World::stopped();
    let config = "[limits]\nbody_idle_sec = 1\n";
    world.configure(config);
    world.start();
    let output = std::process::Command::new("curl")
        .args(["-s", "-w", "%{http_code}", "--cacert"])
        .arg(world.layout.ca_certificate())
        .args(["-H", &format!("Authorization: Bearer {}", world.token)])
        .args(["-H", "Content-Length: 100", "-H", "Expect:", "--http1.1", "-d", "{", "-m", "20"])
        .arg(world.url(paths::GROUPS))
        .output()
        .expect("curl");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("nothing came for too long") && text.ends_with("400"), "{text}");
}

#[test]
fn a_refused_upload_hears_why() {
    let world = World::new();
    let file = world.folder.path().join("large");
    std::fs::write(&file, vec![7; 3 << 20]).expect("written");
    for flag in ["--http1.1", "--http2"] {
        for (token, status) in [(world.token.as_str(), "412"), ("wrong", "401")] {
            let output = std::process::Command::new("curl")
                .args(["-sS", "-w", "%{http_code}", flag, "-X", "PUT", "-m", "20", "--cacert"])
                .arg(world.layout.ca_certificate())
                .args(["-H", &format!("Authorization: Bearer {token}"), "-H", "Expect:"])
                .arg("--data-binary")
                .arg(format!("@{}", file.display()))
                .arg(world.url(&paths::image_file("none")))
                .output()
                .expect("curl");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.ends_with(status), "{flag}: {output:?}");
        }
    }
}

#[test]
fn many_callers_at_once_are_served() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let client = device.client(&world);
                for _ in 0..8 {
                    world.get(&client, "/director/targets.json").expect(200);
                }
            });
        }
    });
}

#[test]
fn what_is_in_memory_is_written_at_the_end() {
    let mut world = World::with_sqlite();
    let device = Device::new(&world, "vehicle-1");
    world.get(&device.client(&world), "/director/root.json").expect(200);
    world.stop();
    let connection = rusqlite::Connection::open(world.layout.database()).expect("database");
    let seen: Option<i64> = connection
        .query_row("SELECT last_seen FROM devices", [], |row| row.get(0))
        .expect("a device");
    assert!(seen.is_some());
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let world = World::new();
    let client = world.operator();
    let long = "x".repeat(100_000);
    let request =
        updraft_http::Request::new(Method::Get, world.url(paths::STATUS)).header("X-Long", long);
    let refused = match client.send(request) {
        Ok(answer) => answer.status == 431,
        // The connection may be closed before the whole head was sent.
        Err(_) => true,
    };
    assert!(refused);
    world.get(&client, paths::STATUS).expect(200);
}
