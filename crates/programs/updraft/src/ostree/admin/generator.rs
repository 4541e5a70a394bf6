//! `ostree-system-generator`: the mounts and units of a system that runs from a deployment.
//!
//! systemd runs it early, with three folders; units in the first one count more than those of the
//! image and less than those of the administrator. It makes
//!
//! * `var.mount`, which shows the stateroot's data at `/var`, unless `/etc/fstab` has a `/var`;
//! * `boot.mount`, which shows `/sysroot/boot` at `/boot` where entries are there, unless
//!   `/etc/fstab` has a `/boot`;
//! * drop-ins that keep what only an initramfs can mount where it is over a soft reboot;
//! * links that start `ostree-remount.service`, `ostree-finalize-staged.path` and
//!   `ostree-boot-complete.service`.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_bootenv::{AndroidSlot, KernelArgs};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Says that the initramfs mounts `/var` itself.
const MOUNTED_BY_INITRAMFS: &str = "run/ostree/initramfs-mount-var";

const UNIT_FOLDERS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// What is started, and by what.
const UNITS: [(&str, &str); 3] = [
    ("local-fs.target.requires", "ostree-remount.service"),
    ("multi-user.target.wants", "ostree-finalize-staged.path"),
    ("multi-user.target.wants", "ostree-boot-complete.service"),
];

/// What the initramfs has mounted, and nobody can mount again without it. systemd itself leaves
/// alone `/`, `/usr` and `/etc`.
const KEPT: &str = "/sysroot";

/// Without its default dependencies a mount does not conflict with `umount.target`, and stays; it
/// gets back the part of them that orders it.
const KEPT_DROP_IN: &str = "# Made by ostree-system-generator at each boot.\n\
    [Unit]\n\
    DefaultDependencies=no\n\
    After=local-fs-pre.target\n\
    Before=local-fs.target\n";

/// Generate mounts and units for systemd
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct SystemGenerator {
    /// Where units go.
    #[arg(value_name = "NORMAL-DIR")]
    normal: PathBuf,
    /// Not used.
    #[arg(value_name = "EARLY-DIR")]
    early: Option<PathBuf>,
    /// Not used.
    #[arg(value_name = "LATE-DIR")]
    late: Option<PathBuf>,
}

impl SystemGenerator {
    pub(super) fn run(&self) -> Result {
        let command_line = super::select::running_command_line()?;
        generate(Path::new("/"), &command_line, &self.normal)
    }
}

/// Writes units for the system with this root to `folder`.
fn generate(root: &Path, command_line: &str, folder: &Path) -> Result {
    let arguments = KernelArgs::parse(command_line);
    // Android's boot loader names a slot, all others the deployment's link.
    let slot = arguments.last_value("androidboot.slot_suffix").and_then(AndroidSlot::of_suffix);
    let slot = slot.map(|slot| format!("/ostree/root.{}", slot.letter()));
    let Some(target) = slot.as_deref().or_else(|| arguments.last_value("ostree")) else {
        return Ok(());
    };
    if !root.join("run/ostree-booted").exists() {
        return Ok(());
    }
    for (wanted_by, unit) in UNITS {
        let place = UNIT_FOLDERS.iter().map(|place| Path::new(place).join(unit));
        let found = place.clone().find(|path| {
            let inside = path.strip_prefix("/").unwrap_or(path);
            root.join(inside).exists()
        });
        if let Some(path) = found {
            link(folder, wanted_by, unit, &path)?;
        }
    }
    keep_mounted(folder, KEPT)?;
    let mounted = mounted_by_fstab(root)?;
    let by_initramfs = root.join(MOUNTED_BY_INITRAMFS);
    if by_initramfs.exists() {
        // It is about this boot only.
        std::fs::remove_file(&by_initramfs).context("failed to read what is mounted")?;
    } else if !mounted.iter().any(|path| path == "/var") {
        let stateroot = stateroot(root, target)?;
        // What is mounted below /var later is seen at /var only, and in containers.
        let options = "bind,slave,shared";
        let what = format!("/sysroot/ostree/deploy/{stateroot}/var");
        mount(folder, "var.mount", "/var", &what, options)?;
    }
    let has_entries =
        root.join("sysroot/boot/loader").symlink_metadata().is_ok_and(|found| found.is_symlink());
    if has_entries && !mounted.iter().any(|path| path == "/boot") {
        mount(folder, "boot.mount", "/boot", "/sysroot/boot", "bind")?;
    }
    Ok(())
}

/// The places of `/etc/fstab`.
fn mounted_by_fstab(root: &Path) -> Result<Vec<String>> {
    let text = match std::fs::read_to_string(root.join("etc/fstab")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::from(error).context("Reading /etc/fstab")),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let places = lines.filter_map(|line| line.split_ascii_whitespace().nth(1));
    // With a slash too many it is the same place.
    Ok(places
        .map(|place| {
            let parts: Vec<_> = place.split('/').filter(|part| !part.is_empty()).collect();
            format!("/{}", parts.join("/"))
        })
        .collect())
}

/// The stateroot that `ostree=` leads to: `/ostree/boot.B/OS/…`, or a link to `deploy/OS/…`.
fn stateroot(root: &Path, target: &str) -> Result<String> {
    let invalid = || {
        let message = format!(
            "Parsing stateroot: Invalid ostree= argument '{target}', expected \
             ostree=/ostree/boot.BOOTVERSION/OSNAME/BOOTCSUM/TREESERIAL"
        );
        Failure::new(Kind::Invalid, message)
    };
    let parts: Vec<&str> = target.split('/').collect();
    let name = match parts.as_slice() {
        ["", "ostree", boot, name, _, _] if boot.starts_with("boot.") => (*name).to_owned(),
        ["", "ostree", slot] => {
            let link = root.join("sysroot/ostree").join(slot);
            let link = std::fs::read_link(link).map_err(|_| invalid())?;
            let link = link.to_string_lossy().into_owned();
            let rest = link.strip_prefix("deploy/").ok_or_else(invalid)?;
            rest.split('/').next().unwrap_or_default().to_owned()
        }
        _ => return Err(invalid()),
    };
    // It becomes part of a unit: no specifiers, no blanks.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(invalid());
    }
    Ok(name)
}

fn mount(folder: &Path, unit: &str, place: &str, what: &str, options: &str) -> Result {
    let text = format!(
        "# Made by ostree-system-generator at each boot.\n\
         \n\
         [Unit]\n\
         Documentation=man:ostree(1)\n\
         ConditionKernelCommandLine=!systemd.volatile\n\
         Before=local-fs.target\n\
         \n\
         [Mount]\n\
         Where={place}\n\
         What={what}\n\
         Options={options}\n"
    );
    let dir = updraft_fs::Dir::open(folder)?;
    updraft_fs::atomic_write_unsynced(&dir, unit, text.as_bytes(), 0o644)?;
    // Older releases of systemd do not find that out for themselves.
    link(folder, "local-fs.target.requires", unit, Path::new(&format!("../{unit}")))
}

fn keep_mounted(folder: &Path, place: &str) -> Result {
    let name = format!("{}.mount.d", unit_name(place));
    let dir = updraft_fs::Dir::open(folder)?;
    let dir = dir.ensure_dir(&name, 0o755)?;
    let text = KEPT_DROP_IN.as_bytes();
    Ok(updraft_fs::atomic_write_unsynced(&dir, "ostree-soft-reboot.conf", text, 0o644)?)
}

/// A path as it stands in the name of a unit (systemd.unit(5), "String Escaping").
fn unit_name(path: &str) -> String {
    let mut name = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b':' | b'_' | b'.' => name.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            _ => name.extend(format!("\\x{byte:02x}").chars()),
        }
    }
    name
}

fn link(folder: &Path, wanted_by: &str, unit: &str, target: &Path) -> Result {
    let folder = folder.join(wanted_by);
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {wanted_by}"))?;
    match symlink(target, folder.join(unit)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Failure::from(error).context(format!("failed to enable {unit}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "quiet ostree=/ostree/boot.1/debian/abc/0";

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes())
                .unwrap();
        }
        std::fs::create_dir_all(root.path().join("units")).unwrap();
        root
    }

    fn units(root: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![root.join("units")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                names.push(path.strip_prefix(root.join("units")).unwrap().display().to_string());
            }
        }
        names.sort();
        names
    }

    fn mounts(root: &Path) -> Vec<String> {
        let is_mount =
            |name: &String| Path::new(name).extension().is_some_and(|end| end == "mount");
        units(root).into_iter().filter(is_mount).collect()
    }

    /// As systemd names and reads them.
    #[test]
    fn what_the_initramfs_mounted_stays_over_a_soft_reboot() {
        let paths = ["/sysroot", "/sysroot/ostree/deploy/a-b_c.d+e/var", "/.x"];
        let output =
            std::process::Command::new("systemd-escape").arg("--path").args(paths).output();
        let text = String::from_utf8(output.expect("systemd is installed").stdout).unwrap();
        let escaped: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(paths.map(unit_name).to_vec(), escaped);

        let root = system(&[("run/ostree-booted", "")]);
        generate(root.path(), LINE, &root.path().join("units")).unwrap();
        let folder = root.path().join("units");
        std::io::Write::write_all(
            &mut std::fs::File::create(folder.join("sysroot.mount")).unwrap(),
            b"[Mount]\nWhat=/dev/null\nWhere=/sysroot\n",
        )
        .unwrap();
        let drop_in = folder.join("sysroot.mount.d/ostree-soft-reboot.conf");
        assert_eq!(std::fs::read_to_string(drop_in).unwrap(), KEPT_DROP_IN);
        let mut verify = std::process::Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--generators=no"]).arg(folder.join("sysroot.mount"));
        let output =
            verify.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display())).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("ostree-soft-reboot.conf"), "{said}");
    }

    #[test]
    fn a_system_from_a_deployment_gets_its_mounts_and_units() {
        let root = system(&[
            ("run/ostree-booted", ""),
            ("usr/lib/systemd/system/ostree-remount.service", ""),
            ("sysroot/boot/loader.1/entries/ostree-1.conf", ""),
        ]);
        let root = root.path();
        symlink("loader.1", root.join("sysroot/boot/loader")).unwrap();
        generate(root, LINE, &root.join("units")).unwrap();
        assert_eq!(
            units(root),
            [
                "boot.mount",
                "local-fs.target.requires",
                "local-fs.target.requires/boot.mount",
                "local-fs.target.requires/ostree-remount.service",
                "local-fs.target.requires/var.mount",
                "sysroot.mount.d",
                "sysroot.mount.d/ostree-soft-reboot.conf",
                "var.mount",
            ]
        );
        let text = std::fs::read_to_string(root.join("units/var.mount")).unwrap();
        assert!(text.contains("What=/sysroot/ostree/deploy/debian/var\n"), "{text}");
        assert!(root.join("units/local-fs.target.requires/var.mount").exists());
        // A generator runs again at each reload.
        generate(root, LINE, &root.join("units")).unwrap();
    }

    #[test]
    fn fstab_and_the_initramfs_come_first() {
        let fstab = "# x /var\n/dev/a //var/ ext4\nLABEL=b /boot ext4 defaults 0 2\n";
        let root = system(&[("run/ostree-booted", ""), ("etc/fstab", fstab)]);
        std::fs::create_dir_all(root.path().join("sysroot/boot")).unwrap();
        symlink("loader.1", root.path().join("sysroot/boot/loader")).unwrap();
        generate(root.path(), LINE, &root.path().join("units")).unwrap();
        assert_eq!(mounts(root.path()), [""; 0]);

        let root = system(&[("run/ostree-booted", ""), (MOUNTED_BY_INITRAMFS, "")]);
        generate(root.path(), LINE, &root.path().join("units")).unwrap();
        assert_eq!(mounts(root.path()), [""; 0]);
        assert!(!root.path().join(MOUNTED_BY_INITRAMFS).exists());
    }

    #[test]
    fn other_systems_are_left_alone_and_hostile_names_refused() {
        let root = system(&[("run/ostree-booted", "")]);
        let units_of = root.path().join("units");
        generate(root.path(), "quiet", &units_of).unwrap();
        let plain = system(&[]);
        generate(plain.path(), LINE, &plain.path().join("units")).unwrap();
        assert!(units(root.path()).is_empty() && units(plain.path()).is_empty());
        for bad in ["/etc", "/ostree/boot.1/a%i/b/0", "/ostree/boot.1/../b/0", "/ostree/root.a"] {
            assert!(generate(root.path(), &format!("ostree={bad}"), &units_of).is_err(), "{bad}");
        }
        std::fs::create_dir_all(root.path().join("sysroot/ostree")).unwrap();
        symlink("deploy/os/deploy/x.0", root.path().join("sysroot/ostree/root.a")).unwrap();
        generate(root.path(), "ostree=/ostree/root.a", &units_of).unwrap();
        generate(root.path(), "quiet androidboot.slot_suffix=_a", &units_of).unwrap();
        assert!(units_of.join("var.mount").exists());
    }
}
