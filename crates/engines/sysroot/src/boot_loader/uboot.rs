//! `uEnv.txt`: variables that U-Boot imports, those of entries after the first with a number.
//!
//! ```text
//! kernel_image=/boot/ostree/os-2b84…/vmlinuz-6.1
//! ramdisk_image=/boot/ostree/os-2b84…/initramfs-6.1.img
//! bootargs=root=LABEL=x ostree=/ostree/boot.1/os/2b84…/0
//! (what the default deployment's usr/lib/ostree-boot/uEnv.txt says)
//! kernel_image2=…
//! updraft_select=if test "${rollback}" = 1; then setenv kernel_image ${kernel_image2}; …
//! ```
//! The last line is there where tries are counted. A boot command that runs it after the import
//! boots the second entry when the first was tried in vain.

use updraft_error::Kind;
use updraft_fs::atomic_write;

use super::{Entries, MAX_CONFIGURATION};
use crate::entries::below_boot;
use crate::{Deployment, Error, Result, Sysroot};

const NAME: &str = "uEnv.txt";
const VARIABLES: [&str; 5] = ["kernel_image", "ramdisk_image", "fdt_file", "fdtdir", "bootargs"];

pub(super) fn write(
    sysroot: &Sysroot,
    entries: &Entries,
    default: Option<&Deployment>,
) -> Result<()> {
    let mut lines = Vec::new();
    for (index, entry) in entries.list.iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { (index + 1).to_string() };
        let mut put = |name: &str, value: String| lines.push(format!("{name}{suffix}={value}"));
        let kernel = entry
            .get("linux")
            .ok_or_else(|| Error::other(Kind::Invalid, "No \"linux\" key in bootloader config"))?;
        put("kernel_image", format!("/boot{}", below_boot(kernel)));
        let keys = [("ramdisk_image", "initrd"), ("fdt_file", "devicetree"), ("fdtdir", "fdtdir")];
        for (name, key) in keys {
            if let Some(path) = entry.get(key) {
                put(name, format!("/boot{}", below_boot(path)));
            }
        }
        if let Some(options) = entry.get("options") {
            put("bootargs", options.to_owned());
        }
        if index == 0
            && let Some(default) = default
        {
            lines.extend(of_tree(sysroot, default)?);
        }
    }
    if entries.list.len() > 1 && sysroot.boot_counting_tries() > 0 {
        lines.push(selection());
    }
    let mut text = lines.join("\n");
    text.push('\n');
    atomic_write(&entries.folder, NAME, text.as_bytes(), 0o644)?;
    Ok(())
}

/// The command that takes the second entry when U-Boot's counter says so. What the second has not
/// is unset.
fn selection() -> String {
    let take = VARIABLES.map(|name| format!("setenv {name} ${{{name}2}}; "));
    format!("updraft_select=if test \"${{rollback}}\" = 1; then {}fi", take.concat())
}

fn of_tree(sysroot: &Sysroot, deployment: &Deployment) -> Result<Option<String>> {
    let path = deployment.id.path().join("usr/lib/ostree-boot");
    let Some(folder) = sysroot.root.try_open_dir(path)? else { return Ok(None) };
    let bytes = folder.try_read(NAME, MAX_CONFIGURATION)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
