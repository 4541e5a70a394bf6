//! SELinux: after `/etc` was merged, the policy is built anew where its modules changed.
//!
//! A commit brings modules, the administrator has added some in `/etc/selinux`, and the policy that
//! the kernel loads is linked from both. `semodule --refresh` of the deployment finds out whether
//! that is to be done, and does it, within the deployment: `/usr` is read-only there, for its files
//! are the repository's objects.

use std::time::Duration;

use updraft_fs::Dir;
use updraft_process::Command;
use updraft_task::Context;

use crate::Result;

const CONFIG: &str = "etc/selinux/config";
const PROGRAMS: [&str; 2] = ["usr/sbin/semodule", "usr/bin/semodule"];
/// Linking a large policy takes half a minute on a small device.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Run in namespaces of its own, so that nothing of it is seen outside or left behind. Without
/// `-N` the policy would be loaded into the kernel that runs.
const SCRIPT: &str = "\
set -e
mount --bind usr usr
mount -o remount,bind,ro usr
if [ -d proc ]; then mount -t proc proc proc || :; fi
if [ -d dev ]; then mount --rbind /dev dev || :; fi
if [ -d run ]; then mount -t tmpfs run run || :; fi
if [ -d tmp ]; then mount -t tmpfs tmp tmp || :; fi
case $(chroot . semodule --help 2>&1) in
*--refresh*) exec chroot . semodule -N --refresh ;;
*) echo 'semodule knows no --refresh' ;;
esac
";

/// Builds the policy of a deployment anew where that is necessary.
pub(crate) fn refresh(root: &Dir) -> Result<()> {
    let mut has_program = false;
    for program in PROGRAMS {
        has_program |= root.exists(program)?;
    }
    if !has_program || !root.exists(CONFIG)? {
        return Ok(());
    }
    let namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"];
    let finished = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", SCRIPT])
        .directory(root.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .timeout(TIMEOUT)
        .run(&Context::silent())?;
    tracing::info!(took = ?finished.duration, "the SELinux policy fits its modules");
    Ok(())
}
