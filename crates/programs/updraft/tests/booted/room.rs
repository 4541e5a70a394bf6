//! A `/boot` that holds the kernels of two deployments, and not of three.

use std::process::{Command, Output};

use super::machine::Machine;

/// Runs a script with a small `/boot` mounted on the machine's disk, and our program as `$ours`.
fn with_small_boot(machine: &Machine, script: &str) -> Output {
    let mount = "set -e; mount -t tmpfs -o size=4m tmpfs \"$root/boot\"; ";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{mount}{script}")])
        .env("root", machine.root())
        .env("ours", env!("CARGO_BIN_EXE_updraft"))
        .env("OSTREE_SYSROOT_OPTS", "skip-sync")
        .output()
        .unwrap()
}

#[test]
fn old_kernels_go_first_where_a_new_one_does_not_fit() {
    let machine = Machine::new();
    let kernel = |letter: &str| letter.repeat(1_200_000);
    let repo = machine.path("ostree/repo");
    let mut commits = Vec::new();
    for version in ["2", "3", "4", "5"] {
        commits.push(machine.commit(version, &kernel(version), &[]));
        let name = format!("--create=v{version}");
        let status = Command::new("ostree")
            .args(["refs", &format!("--repo={}", repo.display()), &name, "os/main"])
            .status();
        assert!(status.unwrap().success());
    }
    let script = "for version in v2 v3 v4 v5; do $ours ostree admin deploy --sysroot=$root --os=os \
                  $version; done; $ours ostree admin status --sysroot=$root; \
                  ls $root/boot/ostree | wc -l; ls $root/boot/loader/entries | wc -l";
    let output = with_small_boot(&machine, script);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&commits[3]) && text.contains(&commits[2]), "{text}");
    assert!(!text.contains(&format!("  os {}", commits[1])), "{text}");
    assert!(text.ends_with("2\n2\n"), "{text}");
}

#[test]
fn what_cannot_fit_leaves_the_old_system() {
    let machine = Machine::new();
    machine.commit("2", &"2".repeat(1_200_000), &[]);
    let script = "$ours ostree admin deploy --sysroot=$root --os=os os/main; \
                  echo deployed; cp -a $root/boot/loader/entries $root/before; \
                  $ours ostree admin deploy --sysroot=$root --os=os huge && exit 1; \
                  diff -r $root/before $root/boot/loader/entries && echo same";
    let repo = format!("--repo={}", machine.path("ostree/repo").display());
    machine.commit("3", &"3".repeat(9_000_000), &[]);
    let reference = |words: &[&str]| {
        let status = Command::new("ostree").arg("refs").arg(&repo).args(words).status();
        assert!(status.unwrap().success());
    };
    reference(&["--create=huge", "os/main"]);
    machine.commit("2", &"2".repeat(1_200_000), &[]);
    let output = with_small_boot(&machine, script);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.ends_with("same\n"), "{stdout}{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}
