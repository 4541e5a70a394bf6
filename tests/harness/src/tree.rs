//! A system that is small enough for a test and whole enough to be deployed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Result;

/// The file whose text says which version runs; devices' health checks look at it.
pub const HEALTH_MARK: &str = "usr/lib/updraft-demo/version";

/// Writes a tree called `version` to `folder`.
///
/// # Errors
/// When files cannot be written.
pub fn small_tree(folder: &Path, version: &str) -> Result<()> {
    let write = |path: &str, text: &str| -> Result<()> {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
        Ok(())
    };
    write("usr/lib/modules/6.1.0/vmlinuz", &format!("kernel of {version}"))?;
    write("usr/lib/modules/6.1.0/initramfs.img", "initramfs")?;
    write("usr/lib/os-release", "ID=demo\nPRETTY_NAME=\"Demo OS\"\n")?;
    write(HEALTH_MARK, &format!("{version}\n"))?;
    write("usr/etc/hostname", "demo\n")?;
    write("usr/etc/demo.conf", &format!("from = {version}\n"))?;
    for number in 0..50 {
        write(&format!("usr/share/data/{number}"), &format!("{number}\n").repeat(100))?;
    }
    write("usr/bin/tool", &format!("#!/bin/sh\necho {version}\n"))?;
    let mode = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(folder.join("usr/bin/tool"), mode)?;
    std::fs::create_dir_all(folder.join("var"))?;
    symlink("usr/bin", folder.join("bin"))?;
    Ok(())
}
