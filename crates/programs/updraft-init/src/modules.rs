//! Loading the kernel modules of the initramfs.
//!
//! `/etc/updraft-init/modules` lists their files, one a line, each after those that it needs, with
//! parameters behind the file's name. They are not compressed: the kernel of the initramfs need not
//! know how to unpack them.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::io::Errno;

use crate::console::complain;
use crate::failure::{During, Failure, Result};

/// The list.
const LIST: &str = "/etc/updraft-init/modules";

/// Loads all modules of the list. One that cannot be loaded is told, and the others still are: it
/// may not be needed on this machine.
pub(crate) fn load_all() {
    let list = fs::read_to_string(LIST).unwrap_or_default();
    for line in list.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (file, parameters) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Err(failure) = load(Path::new(file), parameters.trim()) {
            complain(&failure.to_string());
        }
    }
}

fn load(path: &Path, parameters: &str) -> Result<()> {
    let what = || format!("load the module {}", path.display());
    let file = File::open(path).during(what)?;
    let mut magic = [0; 4];
    let _ = file.read_at(&mut magic, 0);
    if magic != *b"\x7fELF" {
        return Err(Failure::new(format!("the module {} is compressed", path.display()))
            .way_out("unpack it when the initramfs is made (`cargo xtask initramfs` does)"));
    }
    let parameters = CString::new(parameters).during(what)?;
    match rustix::system::finit_module(&file, &parameters, 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno @ Errno::NOEXEC) => Err(errno)
            .during(what)
            .map_err(|failure| failure.way_out("take the modules of the kernel that is booted")),
        Err(errno) => Err(errno).during(what),
    }
}
