//! When nothing can be booted: never a dead screen.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rustix::system::RebootCommand;

use crate::config::Fallback;
use crate::console::complain;
use crate::failure::Failure;
use crate::kernel_arguments::KernelArguments;

/// How long the message can be read when `panic=` does not say it.
const DEFAULT_PAUSE: u64 = 10;
/// Shells that an initramfs may have, with the name of the program in `busybox`.
const SHELLS: [(&str, &str); 2] = [("/bin/sh", "sh"), ("/bin/busybox", "sh")];

/// Tells the failure and does what is to be done then. Returns only when nothing was done, so that
/// whoever called this program can act.
pub(crate) fn act(failure: &Failure, wanted: Option<Fallback>, arguments: &KernelArguments) {
    complain(&format!("THE SYSTEM CANNOT BE BOOTED\n  {failure}"));
    match wanted {
        None => {}
        Some(Fallback::Previous | Fallback::Reboot) => reboot(arguments),
        Some(Fallback::Shell) => {
            shell();
            reboot(arguments);
        }
        Some(Fallback::Halt) => {
            complain("the machine stops, as `fallback` says");
            rustix::fs::sync();
            let _ = rustix::system::reboot(RebootCommand::Halt);
        }
    }
}

/// Starts again after as many seconds as `panic=` says.
fn reboot(arguments: &KernelArguments) {
    let said = arguments.number("panic").filter(|seconds| *seconds != 0);
    // Negative: at once, as the kernel understands it.
    let seconds = said.map_or(DEFAULT_PAUSE, |seconds| u64::try_from(seconds).unwrap_or(0));
    complain(&format!("the machine starts again in {seconds} seconds (panic= changes this)"));
    sleep(Duration::from_secs(seconds));
    rustix::fs::sync();
    let _ = rustix::system::reboot(RebootCommand::Restart);
}

/// Becomes a shell. Returns when there is none.
fn shell() {
    complain("here is a shell, as `fallback` says; leaving it starts the machine again");
    for (program, name) in SHELLS {
        if let Ok(mut child) = Command::new(program).arg0(name).spawn() {
            let _ = child.wait();
            return;
        }
    }
    complain("the initramfs has no shell");
}
