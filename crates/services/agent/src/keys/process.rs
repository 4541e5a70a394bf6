//! The helper as a process: it lives as long as its end of a socket pair.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use updraft_crypto::helper::Channel;

/// How long a token may take to sign. RSA in a TPM takes about a second; one with a keypad waits
/// for somebody.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a helper may take to end, and how often it is looked at.
const FAREWELL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Starts a helper. The socket is its standard input, the way in and the way out; nothing secret
/// is in its arguments or its environment.
pub(super) fn start(program: &Path) -> io::Result<Box<dyn Channel>> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PATIENCE))?;
    ours.set_write_timeout(Some(PATIENCE))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
    // Ctrl-C is for the agent, which may have to sign its last words.
    command.process_group(0);
    let child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    Ok(Box::new(Helper { socket: ours, child }))
}

struct Helper {
    socket: UnixStream,
    child: Child,
}

impl Read for Helper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Helper {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends by itself when the socket does, and leaves the token in order.
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
