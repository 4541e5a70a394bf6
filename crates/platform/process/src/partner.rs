//! A program to talk to: its standard input is one end of a socket pair, the way in and the way out.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a partner may take to end, and how often it is looked at.
const FAREWELL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// A running program that lives as long as this value.
#[derive(Debug)]
pub struct Partner {
    socket: UnixStream,
    child: Child,
}

impl Partner {
    /// Starts `program` without arguments; nothing secret is in these or in its environment.
    /// `patience` is how long it may take to answer.
    ///
    /// # Errors
    /// What the system says, with the program's name.
    pub fn start(program: &Path, patience: Duration) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(patience))?;
        ours.set_write_timeout(Some(patience))?;
        let mut command = Command::new(program);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        // Ctrl-C is for the one who started it, who may have to say its last words.
        command.process_group(0);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        })?;
        Ok(Self { socket: ours, child })
    }
}

impl Read for Partner {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Partner {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // It ends by itself when the socket does, and leaves in order what it holds.
        let _ = self.socket.shutdown(Shutdown::Both);
        let begun = Instant::now();
        while begun.elapsed() < FAREWELL {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
