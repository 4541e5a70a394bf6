//! Events as they happen.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use updraft_api::paths;
use updraft_http::Method;

use crate::world::World;

/// As many as there may be.
const MAX_STREAMS: usize = updraft_server_service::fleet::news::MAX_STREAMS;
/// Much longer than the server takes between two looks.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who reads a stream.
pub(crate) struct Reader {
    socket: TcpStream,
    text: String,
}

impl Reader {
    pub(crate) fn new(world: &World, token: &str, head: &str) -> Self {
        let url = world.plain_url("");
        let address = url.strip_prefix("http://").expect("plain HTTP");
        let mut socket = TcpStream::connect(address).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let path = paths::EVENT_STREAM;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{head}\r\n"
        )
        .expect("sent");
        Self { socket, text: String::new() }
    }

    /// Reads until the stream has said this.
    pub(crate) fn until(&mut self, said: &str) -> &mut Self {
        let mut piece = vec![0; 1 << 16];
        let mut from = 0;
        while !self.text[from..].contains(said) {
            from = self.text.len().saturating_sub(said.len());
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            let length = self.socket.read(&mut piece).expect("it goes on in time");
            assert!(length > 0, "the stream ended before `{said}`: {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        self
    }

    /// Whether there was a place for it.
    fn begins_well(&mut self) -> bool {
        let mut piece = [0; 4096];
        while !self.text.contains("retry: ") {
            let length = self.socket.read(&mut piece).unwrap_or(0);
            self.text.push_str(&String::from_utf8_lossy(&piece[..length]));
            if length == 0 || self.text.contains("503 Service Unavailable") {
                return false;
            }
        }
        true
    }

    /// What comes until the connection ends, however it does.
    fn what_is_left(mut self) -> String {
        let mut rest = Vec::new();
        drop(self.socket.read_to_end(&mut rest));
        self.text + &String::from_utf8_lossy(&rest)
    }

    fn rest(mut self) -> String {
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest).expect("it ends in time");
        self.text + &String::from_utf8_lossy(&rest)
    }
}

fn make_group(world: &World, name: &str) {
    let body = json!({ "name": name });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &body).expect(201);
}

#[test]
fn what_happens_is_told_and_can_be_resumed() {
    let mut world = World::new();
    make_group(&world, "before");
    let mut reader = Reader::new(&world, &world.token, "");
    reader.until("200 OK").until("content-type: text/event-stream").until("retry: ");
    make_group(&world, "lab");
    reader.until("event: group_created\ndata: {").until("group lab was made");
    assert!(!reader.text.contains("group before"), "what was before is not told");
    // Somebody else was away, and asks for what came after the first event.
    let mut late = Reader::new(&world, &world.token, "Last-Event-ID: 1\r\n");
    late.until("group before").until("group lab was made");
    // A stream ends with the server, which does not wait for it.
    let begun = std::time::Instant::now();
    world.stop();
    assert!(begun.elapsed() < PATIENCE / 2, "the server waited for its streams");
    assert!(reader.rest().ends_with("0\r\n\r\n"), "the stream was cut off");
}

#[test]
fn only_who_may_read_follows_and_only_so_many() {
    let world = World::new();
    Reader::new(&world, "updraft_0", "").until("401 Unauthorized");
    Reader::new(&world, &world.token, "Last-Event-ID: x\r\n").until("400 Bad Request");
    let mut all: Vec<Reader> =
        (0..MAX_STREAMS).map(|_| Reader::new(&world, &world.token, "")).collect();
    for reader in &mut all {
        reader.until("retry: ");
    }
    let mut refused = Reader::new(&world, &world.token, "");
    refused.until("503 Service Unavailable").until("streams of events: 128 are open");
    // Everybody is told, and a place that is left is free again.
    make_group(&world, "lab");
    for reader in &mut all {
        reader.until("group lab was made");
    }
}

/// What the process holds in memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    let size: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    size * 1024
}

/// Readers that read nothing, of events that are much more than what may wait for them: all of it in
/// memory would be 2.4 GB.
#[test]
fn readers_that_do_not_read_cost_little_and_are_closed() {
    const READERS: usize = 60;
    const EVENTS: usize = 10_000;
    const EACH: usize = 4_000;
    let mut world = World::stopped_with_sqlite();
    world.configure("[limits]\nunmoved_sec = 3\n");
    world.start();
    let before = memory();
    let mut readers: Vec<Reader> =
        (0..READERS).map(|_| Reader::new(&world, &world.token, "")).collect();
    for reader in &mut readers {
        reader.until("retry: ");
    }
    let connection = rusqlite::Connection::open(world.layout.database()).expect("database");
    connection.busy_timeout(PATIENCE).expect("patience");
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
         INSERT INTO events (at, kind, actor, message)
         SELECT 0, 'group_created', 'test', 'number ' || i || ' ' || hex(zeroblob({EACH} / 2))
         FROM n"
    );
    connection.execute(&many, []).expect("events");
    // Somebody who reads is told of all of it meanwhile, and is held up by nobody.
    let mut quick = Reader::new(&world, &world.token, "Last-Event-ID: 1\r\n");
    quick.until(&format!("number {EVENTS} "));
    let most = memory().saturating_sub(before);
    println!("{READERS} readers that do not read {} MB: {most} bytes", (EVENTS * EACH) >> 20);
    assert!(most < 600 << 20, "{most} bytes");
    // Their places are free again: with the quick one these take all.
    let begun = std::time::Instant::now();
    let mut others = Vec::new();
    while others.len() < MAX_STREAMS - 1 {
        let mut other = Reader::new(&world, &world.token, "");
        if other.begins_well() {
            others.push(other);
        } else {
            assert!(begun.elapsed() < PATIENCE, "only {} places are free", others.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // And their connections end before all of it was told.
    for reader in readers {
        let told = reader.what_is_left();
        assert!(told.len() < EVENTS * EACH, "all of it was kept: {}", told.len());
        // Whoever comes back says which event was the last, and goes on from there.
        let last = told.rmatch_indices("\nid: ").next().map(|(at, _)| at).expect("some events");
        assert!(told[last + 5..].chars().next().is_some_and(|digit| digit.is_ascii_digit()));
    }
}
