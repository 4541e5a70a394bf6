//! `updraftd-keys`: signs with keys in tokens for `updraftd`, which starts it.
//!
//! It is the one process that loads a token's PKCS#11 module, so `updraftd` needs no dynamic loader
//! and nothing of the module's maker runs in it. Its standard input is one end of a socket pair, the
//! way in and the way out; it ends when the other end is closed.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

const HELP: &str = "\
updraftd-keys: signs with keys in tokens (PKCS#11, TPM 2.0) for updraftd

updraftd starts this program by itself when the section [p11] of its configuration names a token; it
talks to it over standard input, which is a socket. There is nothing to be called by hand: to see
whether a token works, configure it and run `updraftd provision`.";

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        eprintln!("{HELP}");
        // Usage was asked for, or is needed: 2 as in all programs.
        let is_help = std::env::args_os().any(|one| one == "--help" || one == "-h");
        return if is_help { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: failed to serve keys: {error}");
            eprintln!("hint: updraftd starts this program; see `updraftd-keys --help`");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let mut socket = UnixStream::from(input);
    // Fails for what is no socket.
    socket.peer_addr()?;
    updraft_crypto::helper::serve(&mut socket)
}
