//! What `ostree admin` does to a machine, seen from its inside: after the reboot.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic")]

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::Answer;
use vm::{DiskFile, Image, Inside, Release, Workshop, updraft};

/// Has the initramfs mount `/boot`, for the systems here have nobody else to do it.
const MOUNT_BOOT: &str = "--karg=boot=LABEL=boot";

/// In the place of systemd, which in the end starts a kernel that is loaded by this call
/// (`LINUX_REBOOT_CMD_KEXEC` of reboot(2)).
const SYSTEMCTL: &str = "#include <string.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n
int main(int count, char **words) {
    if (count != 2 || strcmp(words[1], \"kexec\")) return 1;
    sync();
    return (int)syscall(SYS_reboot, 0xfee1dead, 672274793, 0x45584543, 0);
}";

/// Compiles that in a folder.
fn systemctl(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("systemctl.c"), folder.join("systemctl"));
    std::fs::write(&source, SYSTEMCTL).unwrap();
    Answer::good(Command::new("cc").arg("-o").arg(&program).arg(source)).unwrap();
    program
}

fn release(name: &str) -> Release {
    Release::new(name).program(&updraft().unwrap()).file("usr/etc/spare", 0o644, "")
}

/// The releases of all deployments, the default first; with a `*` that which runs, and with a `!`
/// those that are pinned.
fn list(inside: &mut Inside) -> String {
    let mut words = Vec::new();
    for deployment in inside.deployments().unwrap() {
        let version = deployment["version"].as_str().unwrap();
        let booted = if deployment["booted"] == true { "*" } else { "" };
        let pinned = if deployment["pinned"] == true { "!" } else { "" };
        words.push(format!("{booted}{version}{pinned}"));
    }
    words.join(" ")
}

fn kernel_arguments(inside: &mut Inside) -> Vec<String> {
    let line = inside.run("cat /proc/cmdline").unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn arguments_pins_and_ways_back_are_what_they_were_asked_to_be() {
    let folder = tempfile::tempdir().unwrap();
    // Only one has a kernel of its own, so that both kinds of switch are gone through.
    let workshop = Workshop::new(&[
        release("one"),
        release("two"),
        release("three").kernel_of("two").program(&systemctl(folder.path())),
        release("four").kernel_of("two"),
    ])
    .unwrap();
    let image = Image::of(&workshop.repository, "one").option(MOUNT_BOOT);
    let inside = &mut Inside::of(workshop.rack(&image).unwrap(), "one").unwrap();

    // The machine's own: in /etc something new, something changed and something less, and in /var.
    inside.run("echo of one >/etc/mine; echo edited >>/etc/hostname; rm /etc/spare").unwrap();
    inside.run("echo first >/var/data").unwrap();
    assert_eq!(inside.admin("pin booted").unwrap(), "Deployment booted is now pinned\n");

    // A kernel argument comes with an update.
    inside.fetch("two").unwrap();
    inside.admin("deploy --os=os --karg-append=proof=yes site:os/two").unwrap();
    inside.reboot("two").unwrap();
    assert!(kernel_arguments(inside).contains(&"proof=yes".to_owned()));
    // What was the machine's own is there.
    assert_eq!(inside.run("cat /etc/mine /var/data").unwrap(), "of one\nfirst\n");
    assert_eq!(inside.run("cat /etc/hostname").unwrap(), "tiny\nedited\n");
    inside.refused("test -e /etc/spare").unwrap();
    inside.run("echo of two >/etc/mine; echo second >>/var/data").unwrap();

    // It goes with the next one; another is given to all deployments.
    inside.fetch("three").unwrap();
    inside.admin("deploy --os=os --karg-delete=proof=yes site:os/three").unwrap();
    inside.admin("kargs edit-in-place --append-if-missing=everywhere=1").unwrap();
    inside.reboot("three").unwrap();
    let arguments = kernel_arguments(inside);
    assert!(!arguments.iter().any(|word| word.starts_with("proof")), "{arguments:?}");
    assert!(arguments.contains(&"everywhere=1".to_owned()), "{arguments:?}");
    assert_eq!(inside.run("cat /etc/mine").unwrap(), "of two\n");

    // After two updates the pinned one is still there. Another one is, as long as it is pinned.
    assert_eq!(list(inside), "*three two one!");
    inside.admin("pin rollback").unwrap();
    inside.fetch("four").unwrap();
    inside.admin("deploy --os=os site:os/four").unwrap();
    assert_eq!(list(inside), "four *three two! one!");
    inside.admin("pin --unpin 2").unwrap();

    // Its kernel is started by the one that runs: this machine would end if it were reset.
    let boot_id = inside.run("cat /proc/sys/kernel/random/boot_id").unwrap();
    inside.tell("updraft ostree admin switch --kexec site:os/four", "SYSTEM READY four").unwrap();
    assert_ne!(inside.run("cat /proc/sys/kernel/random/boot_id").unwrap(), boot_id);
    assert_eq!(list(inside), "*four three one!");
    let arguments = kernel_arguments(inside);
    assert!(arguments.contains(&"everywhere=1".to_owned()), "{arguments:?}");
    let folders = inside.run("ls -d /sysroot/ostree/deploy/os/deploy/*.[01] | wc -l").unwrap();
    assert_eq!(folders.trim(), "3");

    // It boots when it is made the default, with its own /etc and with everybody's /var.
    inside.admin("set-default 2").unwrap();
    inside.reboot("one").unwrap();
    assert_eq!(list(inside), "*one! four three");
    assert_eq!(inside.run("cat /etc/mine /var/data").unwrap(), "of one\nfirst\nsecond\n");
    let arguments = kernel_arguments(inside);
    assert!(!arguments.iter().any(|word| word.starts_with("proof")), "{arguments:?}");
    assert!(arguments.contains(&"everywhere=1".to_owned()), "{arguments:?}");
}

/// What demands signed images; the deployment has it, and its initramfs.
const SIGNED: &str = "[composefs]\nenabled=signed\n[updraft]\nfallback=previous\n";
/// Where both look for it, and for the key.
const SETTINGS: &str = "usr/lib/ostree/prepare-root.conf";
const KEY: &str = "etc/ostree/initramfs-root-binding.key";
const PAYLOAD: &str = "usr/share/payload";
/// A file that is the same in all releases.
const SHARED: &str = "usr/share/shared";

/// Makes a pair of keys with the tool that libostree's manual names: the secret in a file, and the
/// public one.
fn keys(folder: &Path) -> (String, String) {
    let secret = folder.join("secret.key");
    let script = "openssl genpkey -algorithm ed25519 -out $1.pem
        openssl pkey -in $1.pem -outform DER | tail -c 32 | base64 >$1
        openssl pkey -in $1.pem -pubout -outform DER | tail -c 32 | base64";
    let mut make = Command::new("sh");
    let public = Answer::good(make.args(["-ec", script, "-"]).arg(&secret)).unwrap().out;
    (format!("--sign-from-file={}", secret.display()), public)
}

fn sealed_release(name: &str, public: &str) -> Release {
    let program = std::fs::read(machine::build_updraft_init().unwrap()).unwrap();
    release(name)
        .newer_kernel()
        .modules(&["erofs", "loop"])
        .kernel_of("all")
        .initramfs_file(&format!("/{SETTINGS}"), 0o644, SIGNED)
        .initramfs_file(&format!("/{KEY}"), 0o644, public)
        .file(SETTINGS, 0o644, SIGNED)
        .file(&format!("usr/{KEY}"), 0o644, public)
        .file("usr/lib/updraft/updraft-init", 0o755, program)
        .file(PAYLOAD, 0o644, name.repeat(10_000))
        .file(SHARED, 0o644, "shared\n".repeat(10_000))
}

/// Changes a byte of a file in the root's file system, where it lies on the disk.
fn change_on_disk(disk: &DiskFile, folder: &Path, path: &str) -> anyhow::Result<()> {
    // What is in the journal only, `debugfs` does not see: the kernel writes it to its place.
    drop(disk.mount("root", folder)?);
    let part = disk.part("root")?;
    let device = format!("{}?offset={}", disk.path.display(), part.offset);
    let request = format!("blocks {path}");
    let blocks = Answer::good(Command::new("debugfs").args(["-R", &request, &device]))?;
    let first: u64 = blocks.out.split_whitespace().next().unwrap().parse()?;
    let at = part.offset + first * 4096 + 100;
    let file = std::fs::File::options().read(true).write(true).open(&disk.path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    assert!(byte[0].is_ascii_lowercase(), "this is no part of the file: {byte:?}");
    file.write_all_at(b"!", at)?;
    Ok(())
}

#[test]
fn only_what_is_signed_runs_and_only_what_was_signed_is_read() {
    let workshop = Workshop::new(&[]).unwrap();
    let (sign, public) = keys(workshop.folder());
    let add = |name: &str, more: &[&str]| {
        let options = [&["--generate-composefs-metadata"], more].concat();
        workshop.repository.add_with(&sealed_release(name, &public), &options).unwrap()
    };
    let sign = ["--sign-type=ed25519", &sign];
    add("one", &sign);
    let two = add("two", &sign);
    let three = add("three", &[]);
    let image = Image::of(&workshop.repository, "one").option(MOUNT_BOOT);
    let inside = &mut Inside::of(workshop.rack(&image).unwrap(), "one").unwrap();

    // A new machine is sealed already, and demands signatures.
    let booted = inside.run("cat -v /run/ostree-booted").unwrap();
    assert!(booted.contains("composefs.signed") && booted.contains("composefs.verity"), "{booted}");
    // Every file is as its seal says, and can be read.
    inside.run("find /usr -xdev -type f -exec cat {} + >/dev/null").unwrap();
    for path in ["/usr/new", "/new", "/sysroot/new"] {
        inside.refused(&format!("touch {path}")).unwrap();
    }

    // A signed update takes over without the kernel starting anew.
    inside.run("echo mine >/etc/mine").unwrap();
    inside.mount_medium().unwrap();
    inside.admin("switch site:os/two").unwrap();
    let boot_id = inside.run("cat /proc/sys/kernel/random/boot_id").unwrap();
    inside.admin("prepare-soft-reboot 0").unwrap();
    inside.tell("touch /run/soft-reboot; killall agent", "SYSTEM READY two").unwrap();
    inside.admin("boot-complete").unwrap();
    assert_eq!(list(inside), "*two one");
    assert_eq!(inside.run("cat /proc/sys/kernel/random/boot_id").unwrap(), boot_id);
    assert_eq!(inside.run("cat /etc/mine").unwrap(), "mine\n");
    let booted = inside.run("cat -v /run/ostree-booted").unwrap();
    assert!(booted.contains("composefs.signed"), "{booted}");
    let payload = inside.run(&format!("cat /{PAYLOAD}")).unwrap();
    assert_eq!(payload, "two".repeat(10_000));

    // What is sealed cannot be written to, whoever asks: by the image, and by the kernel.
    let objects = [SHARED, PAYLOAD].map(|file| {
        let ls = format!("ls -C {two} /{file}");
        let ls = format!("updraft ostree --repo=/sysroot/ostree/repo {ls}");
        let line = inside.run(&ls).unwrap();
        let checksum = line.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
        let path = format!("/ostree/repo/objects/{}/{}.file", &checksum[..2], &checksum[2..]);
        (checksum, path)
    });
    for (_, path) in &objects {
        let write = format!("echo x >>/sysroot{path}");
        let said = inside.refused(&format!("mount -o remount,rw /sysroot; {write}")).unwrap();
        assert!(said.contains("not permitted"), "{said}");
    }
    inside.run("mount -o remount,ro /sysroot").unwrap();

    // An update that nobody signed is not booted, and says why. Files that were changed
    // on the disk are not read; all others are.
    inside.mount_medium().unwrap();
    inside.admin("switch site:os/three").unwrap();
    assert_eq!(list(inside), "three *two");
    let folder = workshop.folder().join("root");
    let change = |disk: &DiskFile| {
        objects.iter().try_for_each(|(_, path)| change_on_disk(disk, &folder, path))
    };
    let console = inside.reboot_after(change, "two").unwrap();
    let why = format!("commit {three} has no ed25519 signature");
    for words in ["the chosen deployment cannot be booted", &why, "instead"] {
        assert!(console.contains(words), "{words}: {console}");
    }
    let note = inside.run("cat /run/updraft/boot-fallback.json").unwrap();
    assert!(note.contains(&format!("\"failed\": \"{three}.0\"")), "{note}");
    assert_eq!(list(inside), "three *two");
    for file in [SHARED, PAYLOAD] {
        let said = inside.refused(&format!("cat /{file}")).unwrap();
        assert!(said.contains("Input/output error"), "{said}");
    }
    inside.run("cat /usr/bin/updraft >/dev/null").unwrap();
    let said = inside.refused("updraft ostree --repo=/sysroot/ostree/repo fsck 2>&1").unwrap();
    assert!(objects.iter().any(|(checksum, _)| said.contains(checksum)), "{said}");
}
