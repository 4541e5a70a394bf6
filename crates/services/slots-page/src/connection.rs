//! One connection: one request, one answer, and not longer than [`PATIENCE`].

use std::io::{self, BufReader, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use updraft_http::RequestHead;

use crate::access::Access;
use crate::answer::Answer;
use crate::api::{Api, MAX_BODY, PREFIX};
use crate::files::file;
use crate::problem::Problem;

/// How long a request may take to come, and its answer to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the request, and answers it. What goes wrong ends the connection.
pub(crate) fn serve(mut stream: TcpStream, access: &Access, api: &Api) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let until = Instant::now() + PATIENCE;
    let mut reader = BufReader::new(Bounded { stream: stream.try_clone()?, until });
    let Some(head) = RequestHead::read(&mut reader)? else { return Ok(()) };
    let answer = answer(&head, &mut reader, access, api).unwrap_or_else(Answer::from);
    answer.send(&mut stream, head.method == "HEAD")?;
    stream.shutdown(std::net::Shutdown::Write)
}

fn answer(
    head: &RequestHead,
    reader: &mut BufReader<Bounded>,
    access: &Access,
    api: &Api,
) -> Result<Answer, Problem> {
    access.check(head)?;
    if let Some(path) = head.path.strip_prefix(PREFIX) {
        access.check_api(head)?;
        let body = head.read_body(reader, MAX_BODY);
        let body = body.map_err(|error| Problem::new(400, "Body", error.to_string()))?;
        return api.answer(head, path, &body);
    }
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return Err(Problem::new(405, "Method", "the page is only read"));
    }
    file(&head.path).ok_or_else(|| Problem::not_found(&head.path))
}

/// A connection that is read until a moment and not beyond, however slowly it sends.
struct Bounded {
    stream: TcpStream,
    until: Instant,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}
