//! Making another folder the root, and starting the system's init there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::console::say;
use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::KernelArguments;
use crate::mounts;

/// What the kernel would try, in this order.
const INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];
/// What goes along into the new root.
pub(crate) const VIRTUAL: [&str; 4] = ["dev", "proc", "sys", "run"];

/// Makes `root` the root of this process, with the mounts of [`VIRTUAL`] in it. The files of the
/// initramfs are removed, to give their memory back.
pub(crate) fn switch(root: &Path) -> Result<()> {
    for name in VIRTUAL {
        let (from, to) = (Path::new("/").join(name), root.join(name));
        if !to.is_dir() {
            return Err(Failure::new(format!("the new root has no folder /{name}"))
                .way_out(format!("commit a tree with an empty folder /{name}")));
        }
        mounts::move_to(&from, &to)?;
    }
    std::env::set_current_dir(root).during(|| format!("enter {}", root.display()))?;
    let device = fs::metadata("/").map(|found| found.dev()).ok();
    let new = fs::metadata(".").map(|found| found.dev()).ok();
    if let (Some(device), true) = (device, device != new) {
        remove_below(Path::new("/"), device);
    }
    mounts::move_to(Path::new("."), Path::new("/"))?;
    rustix::process::chroot(".").during(|| "change the root".to_owned())?;
    std::env::set_current_dir("/").during(|| "enter the new root".to_owned())
}

/// Becomes the init of the system that is the root now. Returns only when there is none.
pub(crate) fn start_init(arguments: &KernelArguments, words: &[OsString]) -> Failure {
    let asked = arguments.value("init").filter(|init| !is_ourselves(init));
    let list: Vec<&str> = asked.map_or_else(|| INITS.to_vec(), |init| vec![init]);
    let mut tried = String::new();
    for init in list {
        if Path::new(init).exists() {
            say(&format!("starting {init}"));
            let error = Command::new(init).args(words).exec();
            tried = format!("{tried}\n    {init}: {error}");
        } else {
            tried = format!("{tried}\n    {init}: there is no such file");
        }
    }
    Failure::new(format!("no init can be started in the new root:{tried}"))
        .way_out("correct init= in the kernel's arguments, or deploy a tree with /sbin/init")
}

/// Without an initramfs the kernel finds this program by `init=`.
fn is_ourselves(init: &str) -> bool {
    let name = Path::new(init).file_name().and_then(OsStr::to_str);
    matches!(name, Some("ostree-prepare-root" | "updraft-init"))
}

/// Removes what is in a folder, on its own file system only.
fn remove_below(folder: &Path, device: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(found) = path.symlink_metadata() else { continue };
        if found.dev() != device {
            continue;
        }
        if found.is_dir() {
            remove_below(&path, device);
            let _ = fs::remove_dir(&path);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
}
