//! Requests over one kept connection each, as cheaply as they can be made: what the load costs, the
//! server does not get on a machine that both share.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

/// The largest answer that is understood.
const MAX_ANSWER: usize = 64 * 1024;

/// A kept connection to a server of plain HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Kept {
    stream: TcpStream,
    host: String,
    answer: Vec<u8>,
}

impl Kept {
    /// Connects to `http://HOST:PORT`.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").context("plain HTTP")?.to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, answer: vec![0; MAX_ANSWER] })
    }

    /// Sends JSON; the answer's status.
    pub(crate) fn post(&mut self, path: &str, authorization: &str, body: &str) -> Result<u16> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.write_all(request.as_bytes())?;
        self.answered()
    }

    /// Reads an answer to its end.
    fn answered(&mut self) -> Result<u16> {
        let mut filled = 0;
        loop {
            let room = self.answer.get_mut(filled..).filter(|room| !room.is_empty());
            let read = self.stream.read(room.context("an answer of 64 KiB at most")?)?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            let so_far = String::from_utf8_lossy(&self.answer[..filled]);
            let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
            let mut lines = head.lines();
            let status = lines.next().and_then(|line| line.split(' ').nth(1));
            let status = status.and_then(|status| status.parse().ok()).context("a status")?;
            let length = lines.find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok(status);
            }
        }
    }
}
