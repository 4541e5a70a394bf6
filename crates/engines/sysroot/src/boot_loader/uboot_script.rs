//! `boot.scr`: a script for U-Boot that boots the default entry, or the second one when `rollback` is
//! 1 in U-Boot's environment.
//!
//! U-Boot finds `boot/boot.scr` by itself; it is a link through `boot/loader`, so it becomes current
//! with the entries. The script takes the addresses that every board's environment has
//! (`kernel_addr_r`, `ramdisk_addr_r`, `fdt_addr_r`), and U-Boot's own device tree where the entry has
//! none. A board that boots in another way sets `updraft_boot`, which is run in place of the commands
//! for Arm and x86.

use updraft_bootenv::{BootEntry, script_image};
use updraft_error::Kind;
use updraft_fs::atomic_write;

use super::Entries;
use crate::entries::below_boot;
use crate::{Error, Result};

pub(super) const NAME: &str = "boot.scr";
const TITLE: &str = "Updraft boot loader entries";

pub(super) fn write(entries: &Entries) -> Result<()> {
    let text = script(&entries.list)?;
    let image = script_image(TITLE, &text)
        .ok_or_else(|| Error::other(Kind::Invalid, "the entries do not fit into a boot script"))?;
    atomic_write(&entries.folder, NAME, &image, 0o644)?;
    Ok(())
}

fn script(list: &[BootEntry]) -> Result<String> {
    let mut lines = vec![
        "# Written by Updraft with every deployment; changes are lost.".to_owned(),
        "test -n \"${devtype}\" || setenv devtype mmc".to_owned(),
        "test -n \"${devnum}\" || setenv devnum 0".to_owned(),
        "test -n \"${distro_bootpart}\" || setenv distro_bootpart 1".to_owned(),
    ];
    if let Some(first) = list.first() {
        lines.extend(variables(first)?);
    }
    if let Some(second) = list.get(1) {
        lines.push("if test \"${rollback}\" = \"1\"; then".to_owned());
        lines.extend(variables(second)?);
        lines.push("fi".to_owned());
    }
    lines.extend(BOOT.iter().map(|line| (*line).to_owned()));
    Ok(lines.join("\n") + "\n")
}

/// What boots the entry that the variables name. Each command refuses a kernel of another kind.
const BOOT: [&str; 20] = [
    "load ${devtype} ${devnum}:${distro_bootpart} ${kernel_addr_r} ${kernel_image}",
    "setenv kernel_size ${filesize}",
    "setenv ramdisk_size 0",
    "setenv ramdisk_arg -",
    "if test -n \"${ramdisk_image}\"; then",
    "load ${devtype} ${devnum}:${distro_bootpart} ${ramdisk_addr_r} ${ramdisk_image}",
    "setenv ramdisk_size ${filesize}",
    "setenv ramdisk_arg ${ramdisk_addr_r}:${filesize}",
    "fi",
    "setenv fdt_arg ${fdtcontroladdr}",
    "if test -n \"${fdtdir}\"; then setenv fdt_file ${fdtdir}/${fdtfile}; fi",
    "if test -n \"${fdt_file}\"; then",
    "load ${devtype} ${devnum}:${distro_bootpart} ${fdt_addr_r} ${fdt_file} && setenv fdt_arg ${fdt_addr_r}",
    "fi",
    "if test -n \"${updraft_boot}\"; then run updraft_boot; fi",
    "booti ${kernel_addr_r} ${ramdisk_arg} ${fdt_arg}",
    "bootz ${kernel_addr_r} ${ramdisk_arg} ${fdt_arg}",
    // Only x86 comes here. The usual address lies within what a kernel of today unpacks to.
    "test -n \"${x86_ramdisk_addr_r}\" || setenv x86_ramdisk_addr_r 0x10000000",
    "if test \"${ramdisk_size}\" != 0; then cp.b ${ramdisk_addr_r} ${x86_ramdisk_addr_r} ${ramdisk_size}; fi",
    "zboot ${kernel_addr_r} ${kernel_size} ${x86_ramdisk_addr_r} ${ramdisk_size}",
];

/// The names are those of `uEnv.txt`.
fn variables(entry: &BootEntry) -> Result<Vec<String>> {
    let kernel = entry
        .get("linux")
        .ok_or_else(|| Error::other(Kind::Invalid, "No \"linux\" key in bootloader config"))?;
    let path = |key: &str| entry.get(key).map(|path| format!("/boot{}", below_boot(path)));
    Ok([
        ("kernel_image", Some(format!("/boot{}", below_boot(kernel)))),
        ("ramdisk_image", path("initrd")),
        ("fdt_file", path("devicetree")),
        ("fdtdir", path("fdtdir")),
        ("bootargs", entry.get("options").map(str::to_owned)),
    ]
    .into_iter()
    // Without a value it is unset: the other entry may have had one.
    .map(|(name, value)| {
        format!("setenv {name} {}", value.map(|text| quoted(&text)).unwrap_or_default())
    })
    .map(|line| line.trim_end().to_owned())
    .collect())
}

/// One word for U-Boot's shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_entry_is_booted_on_rollback_only() {
        let entry = |number: u32| {
            let mut entry = BootEntry::new();
            entry.set("linux", &format!("/ostree/os-{number}/vmlinuz")).unwrap();
            entry
                .set("options", "quiet dyndbg=\"file x +p\" ostree=/ostree/boot.0/os/a/0")
                .unwrap();
            entry
        };
        let text = script(&[entry(1), entry(2)]).unwrap();
        let (first, second) = text.split_once("if test \"${rollback}\" = \"1\"; then\n").unwrap();
        assert!(first.contains("setenv kernel_image '/boot/ostree/os-1/vmlinuz'\n"), "{first}");
        assert!(
            second.starts_with("setenv kernel_image '/boot/ostree/os-2/vmlinuz'\n"),
            "{second}"
        );
        assert!(second.contains("setenv ramdisk_image\n"), "{second}");
        assert!(first.contains("'quiet dyndbg=\"file x +p\" ostree="), "{first}");
        let opened = text.matches("\nif ").count();
        assert_eq!(opened, text.matches("\nfi\n").count() + text.matches("; fi\n").count());
        assert!(script(&[BootEntry::new()]).is_err());
    }
}
