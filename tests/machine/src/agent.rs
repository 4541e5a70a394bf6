//! The shell agent in the guest, and talking to it over a serial port.
//!
//! ```text
//! host   run ID BASE64-OF-COMMAND now
//! guest  got ID
//!        begin ID STATUS
//!        lines of base64: what the command wrote to both its outputs
//!        end ID
//! ```
//!
//! What is sent before the agent has opened its port is lost, so the host says it again until the
//! guest has got it; the guest does a number only once.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::patience::Patience;

/// The agent: a script for busybox or any other shell with `base64` and `stty`.
pub const AGENT: &str = "#!/bin/sh
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/null
stty raw -echo
while read -r verb id line end; do
    [ \"$verb $end\" = \"run now\" ] || continue
    echo \"got $id\"
    [ \"$id\" != \"$last\" ] || continue
    last=$id
    printf %s \"$line\" | base64 -d >/run/agent.command
    sh /run/agent.command >/run/agent.output 2>&1 </dev/null
    echo \"begin $id $?\"
    base64 /run/agent.output
    echo \"end $id\"
done
";

/// How often an answer is looked for.
const PERIOD: Duration = Duration::from_millis(20);

/// How long the host waits for `got` before it says a command again, at first and in the end: at
/// first the guest may only not listen yet, later it is slow.
const PAUSE: Duration = Duration::from_millis(200);
const MOST_PAUSE: Duration = Duration::from_millis(1500);

/// What a command in the guest left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// What it wrote, to standard output and standard error.
    pub output: String,
}

impl Answer {
    /// The output of a command that had to succeed.
    ///
    /// # Errors
    /// With the output, when it did not.
    pub fn good(self) -> Result<String> {
        if self.status != 0 {
            bail!("the command ended with {}: {}", self.status, self.output.trim_end());
        }
        Ok(self.output)
    }
}

/// The host's end of the serial port.
#[derive(Debug)]
pub(crate) struct Line {
    stream: UnixStream,
    received: Vec<u8>,
    sent: u64,
}

impl Line {
    /// Its commands are numbered from `sent` on: the agent does a number only once.
    pub(crate) fn connect(socket: &Path, sent: u64) -> Result<Self> {
        // The name of a socket has at most 107 bytes; by its folder's descriptor it is short.
        let folder = File::open(socket.parent().context("the socket is in no folder")?)?;
        let name = socket.file_name().context("the socket has no name")?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        let stream = UnixStream::connect(short).context("connect to the agent's serial port")?;
        stream.set_read_timeout(Some(PERIOD))?;
        Ok(Self { stream, received: Vec::new(), sent })
    }

    /// Runs a command to its end.
    pub(crate) fn run(&mut self, command: &str, patience: &mut Patience) -> Result<Answer> {
        let id = self.say(command, "end", patience)?;
        let answer = std::mem::take(&mut self.received);
        parse(&String::from_utf8_lossy(&answer), id)
    }

    /// Gives a command and waits until it has arrived, not until it ends.
    pub(crate) fn tell(&mut self, command: &str, patience: &mut Patience) -> Result<()> {
        // What the agent says about it is sent before the machine can be gone.
        self.say(&format!("(sleep 0.3; {command}) >/dev/null 2>&1 &"), "got", patience).map(drop)
    }

    /// Says a command until the guest has got it, and waits for this word about it. Gives its number.
    fn say(&mut self, command: &str, word: &str, patience: &mut Patience) -> Result<u64> {
        self.sent += 1;
        let id = self.sent;
        let request = format!("\nrun {id} {} now\n", BASE64_STANDARD.encode(command));
        let (got, wanted) = (format!("got {id}\n"), format!("{word} {id}\n"));
        let mut next = Instant::now();
        let mut pause = PAUSE;
        loop {
            if find(&self.received, wanted.as_bytes()).is_some() {
                return Ok(id);
            }
            if Instant::now() >= next && find(&self.received, got.as_bytes()).is_none() {
                self.stream.write_all(request.as_bytes())?;
                next = Instant::now() + pause;
                pause = (2 * pause).min(MOST_PAUSE);
            }
            if patience.is_over() {
                bail!("the agent did not answer to `{command}` in time");
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the machine ended before it answered to `{command}`"),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("read from the agent"),
            }
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn parse(text: &str, id: u64) -> Result<Answer> {
    // Whatever stands before is of a kernel that started anew in the middle of an answer.
    let begin = format!("begin {id} ");
    let (_, answer) = text.rsplit_once(&begin).context("the agent's answer has no beginning")?;
    let mut lines = answer.lines();
    let status = lines.next().unwrap_or_default().parse().context("read the exit status")?;
    let body: String = lines.take_while(|line| !line.starts_with("end ")).collect();
    let output = BASE64_STANDARD.decode(body).context("read the agent's answer")?;
    Ok(Answer { status, output: String::from_utf8_lossy(&output).into_owned() })
}
