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
        let mut piece = [0; 1 << 16];
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
