//! A deployment that takes over by a soft reboot of systemd itself: `/var` is the stateroot's, with
//! all that is in it, and as writable as before; what is read-only stays so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use vm::{Image, Inside, Product, Workshop};

/// What this machine has no use for.
const NOT_STARTED: [&str; 3] =
    ["updraftd.service", "updraft-health.service", "updraft-boot-good.service"];
/// A soft reboot needs an image for a root.
const SETTINGS: &str = "[composefs]\nenabled=yes\n[sysroot]\nreadonly=true\n";

#[track_caller]
fn check(inside: &mut Inside, command: &str, expected: &str) {
    assert_eq!(inside.run(command).unwrap().trim(), expected, "{command}");
}

fn check_mounts(inside: &mut Inside) {
    let state = "systemctl is-system-running --wait; systemctl --failed --no-legend; true";
    check(inside, state, "running");
    let var = "/dev/vda2[/ostree/deploy/os/var] ext4";
    check(inside, "findmnt -no SOURCE,FSTYPE /var", var);
    for (place, mode) in [
        ("/", "ro"),
        ("/etc", "rw"),
        ("/sysroot", "ro"),
        ("/sysroot/ostree/deploy/os/var", "rw"),
        ("/var", "rw"),
    ] {
        // Each is mounted once.
        check(inside, &format!("findmnt -no OPTIONS {place} | cut -d, -f1"), mode);
    }
    check(inside, "touch /sysroot/new /usr/new 2>&1 | grep -c 'Read-only file system'", "2");
    check(inside, "findmnt -no FSTYPE /", "overlay");
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn var_stays_as_it_was_over_soft_reboots_of_systemd() {
    let workshop = Workshop::new(&[]).unwrap();
    let programs = workshop.repository.programs();
    let settings = [("usr/lib/ostree/prepare-root.conf", 0o644, SETTINGS)];
    let folder = workshop.folder().join("product");
    let product = Product::create_newer(programs, &folder, &settings).unwrap();
    let tree = product.tree("one", &[]).unwrap();
    workshop.repository.add_tree("one", &tree).unwrap();
    let mut image = Image::of(&workshop.repository, "one")
        .sizes("128M", "1G")
        .option("--set=sysroot.readonly=true")
        .option("--karg=quiet")
        .option("--karg=fsck.mode=skip");
    for unit in NOT_STARTED {
        image = image.option(format!("--karg=systemd.mask={unit}"));
    }
    let inside = &mut Inside::of(workshop.rack(&image).unwrap(), "one").unwrap();
    check_mounts(inside);
    inside.run("echo mine >/etc/mine; echo 0 >/var/lib/data").unwrap();
    let boot_id = inside.run("cat /proc/sys/kernel/random/boot_id").unwrap();
    // From one that the initramfs put together, and from one that took over.
    let commit = "ostree admin status | sed -n 's/^\\* os \\([0-9a-f]*\\)\\..*/\\1/p'";
    for count in ["1", "2"] {
        inside.run(&format!("ostree admin deploy --os=os $({commit})")).unwrap();
        inside.run("ostree admin prepare-soft-reboot 0").unwrap();
        check(inside, "findmnt -no OPTIONS /run/nextroot/sysroot | cut -d, -f1", "ro");
        inside.tell("systemctl soft-reboot", "SYSTEM READY one").unwrap();
        check(inside, "systemctl show --value -p SoftRebootsCount", count);
        check(inside, "cat /proc/sys/kernel/random/boot_id", boot_id.trim());
        check_mounts(inside);
        check(inside, "cat /etc/mine", "mine");
        inside.run(&format!("echo {count} >>/var/lib/data")).unwrap();
        check(inside, "tail -n1 /sysroot/ostree/deploy/os/var/lib/data", count);
        let status = inside.run("ostree admin status").unwrap();
        assert!(status.lines().next().unwrap().starts_with("* os "), "{status}");
    }
    check(inside, "cat /var/lib/data", "0\n1\n2");
}
