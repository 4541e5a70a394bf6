//! Boot counting, as each boot loader would do it, against the tools that come with them.
//!
//! Needs the Debian packages grub-common, libubootenv-tool and u-boot-tools.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Lab, put, run};
use updraft_bootenv::CountedName;
use updraft_fs::fault::{Fault, Injection};
use updraft_sysroot::{
    BootCount, BootCounting, DeployRequest, DeploymentId, Options, Origin, Sysroot, grub_script,
};
use updraft_task::Context;

/// The names of the current entries.
fn entries(lab: &Lab) -> Vec<String> {
    let folder = fs::read_dir(lab.path("boot/loader/entries")).unwrap();
    let mut names: Vec<String> =
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a boot loader that counts by names does before it boots an entry.
fn try_entry(lab: &Lab, name: &str) -> String {
    let tried = name.parse::<CountedName>().unwrap().tried().to_string();
    let folder = lab.path("boot/loader/entries");
    fs::rename(folder.join(name), folder.join(&tried)).unwrap();
    tried
}

fn left(count: Option<BootCount>) -> Option<(u32, u32)> {
    count.map(|count| (count.left, count.done))
}

#[test]
fn counters_are_in_the_names_of_entries_and_stay_there() {
    let lab = Lab::ours();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    assert_eq!(entries(&lab), ["ostree-1.conf"], "nothing is counted unless it is asked for");
    lab.configure("boot-counting-tries=3");
    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    assert_eq!(entries(&lab), ["ostree-1.conf", "ostree-2+3.conf"]);
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::Entries);
    assert_eq!(sysroot.tries_left(&second).unwrap(), Some(3));
    assert_eq!(sysroot.tries_left(&first).unwrap(), None);

    let tried = try_entry(&lab, "ostree-2+3.conf");
    assert_eq!(tried, "ostree-2+2-1.conf");
    assert_eq!(sysroot.next_boot().unwrap(), Some(second.clone()));
    // A third one keeps what was counted of the second.
    let third = lab.stage(lab.commit("3", "k3", &[]));
    assert_eq!(entries(&lab), ["ostree-1+3.conf", "ostree-2.conf", "ostree-3+2-1.conf"]);
    try_entry(&lab, "ostree-3+2-1.conf");
    let tried = try_entry(&lab, "ostree-3+1-2.conf");
    assert_eq!(tried, "ostree-3+0-3.conf");
    assert!(sysroot.is_bad(&second).unwrap());
    assert_eq!(sysroot.next_boot().unwrap(), Some(first.clone()), "the bad one is offered last");
    // The real tool reads all of them.
    let status = lab.admin(&["status"]);
    for id in [&first, &second, &third] {
        assert!(status.contains(&id.dir_name()), "{status}");
    }

    let ctx = Context::silent();
    let locked = sysroot.lock(&ctx).unwrap();
    // To go back to a bad one is an explicit wish: it gets its tries again.
    locked.make_default(&ctx, &first).unwrap();
    locked.make_default(&ctx, &second).unwrap();
    assert_eq!(sysroot.tries_left(&second).unwrap(), Some(3));
    assert!(locked.mark_good(&second).unwrap());
    assert!(!locked.mark_good(&second).unwrap(), "it is good already");
    assert!(locked.mark_bad(&third).unwrap());
    assert_eq!(entries(&lab), ["ostree-1+0-1.conf", "ostree-2.conf", "ostree-3.conf"]);
    assert!(sysroot.is_bad(&third).unwrap() && !sysroot.is_bad(&second).unwrap());
    // A rollback passes by what is bad.
    locked.mark_bad(&second).unwrap();
    assert_eq!(locked.rollback(&ctx).unwrap(), first);
}

#[test]
fn a_number_of_tries_that_libostree_would_refuse_is_refused() {
    let lab = Lab::ours();
    let commit = lab.commit("1", "k1", &[]);
    for text in ["6", "-1", "many"] {
        lab.configure(&format!("boot-counting-tries={text}"));
        let error = Sysroot::open(lab.root()).err().unwrap().to_string();
        assert!(error.contains("boot-counting-tries"), "{error}");
        lab.forget_configuration();
    }
    lab.deploy(commit);
}

#[test]
fn the_same_kernel_again_is_counted_as_well() {
    let lab = Lab::ours();
    lab.configure("boot-counting-tries=2");
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap();
    // With libostree only links change here, and the new system counts as good unseen.
    let second = lab.deploy(lab.commit("1", "k1", &[("usr/share/more", "x")])).id;
    assert_eq!(left(sysroot.boot_count(&second).unwrap()), Some((2, 0)));
    assert_eq!(left(sysroot.boot_count(&first).unwrap()), None);
}

/// A lab whose GRUB has a configuration that counts.
fn with_grub() -> (Lab, PathBuf) {
    let lab = Lab::ours();
    lab.configure("boot-counting-tries=3\nbootloader=grub2");
    let grub = lab.path("boot/grub");
    fs::create_dir_all(&grub).unwrap();
    let block = grub.join("grubenv");
    run("grub-editenv", &[block.to_str().unwrap(), "create"]);
    run("grub-editenv", &[block.to_str().unwrap(), "set", "saved_entry=other"]);
    put(&grub.join("grub.cfg"), &format!("blscfg\n{}", grub_script("1")));
    (lab, block)
}

/// What GRUB does with its block before it boots: the script, run by a shell that is taught the
/// two commands of GRUB in it. Returns the number of the entry that is booted.
fn grub_boots(block: &Path) -> String {
    let file = block.to_str().unwrap();
    let script = grub_script("1")
        .replace("set boot_counter=", "boot_counter=")
        .replace("set default=", "default=");
    let script = format!(
        "set -e\nexport $(grub-editenv {file} list)\ndefault=0\n\
         save_env() {{ grub-editenv {file} set boot_counter=$boot_counter; }}\n\
         {script}\necho $default"
    );
    run("sh", &["-c", &script]).trim().to_owned()
}

#[test]
fn a_grub_without_its_programs_has_all_of_its_configuration_written() {
    let lab = Lab::ours();
    lab.configure("boot-counting-tries=2\nbootloader=grub2");
    lab.configure_ours("grub-config=own");
    fs::create_dir_all(lab.path("boot/grub")).unwrap();
    let config = lab.path("boot/grub/grub.cfg");
    std::os::unix::fs::symlink("../loader/grub.cfg", &config).unwrap();
    for version in ["1", "2"] {
        lab.deploy(lab.commit(version, version, &[]));
        run("grub-script-check", &[config.to_str().unwrap()]);
    }
    let text = fs::read_to_string(&config).unwrap();
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("menuentry ")?.split('\'').nth(1))
        .collect();
    assert_eq!(titles, ["Test OS 2 (ostree:0)", "Test OS 1 (ostree:1)"]);
    assert!(text.contains("load_env") && text.contains("set default='Test OS 1 (ostree:1)'"));
    assert!(text.starts_with("# Written anew") && text.contains("set timeout=0"), "{text}");
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::GrubEnvironment);
    let block = lab.path("boot/grub/grubenv");
    let listed = run("grub-editenv", &[block.to_str().unwrap(), "list"]);
    assert_eq!(listed, "boot_success=0\nboot_counter=2\n");
    lab.configure_ours("grub-config=mine");
    let request = DeployRequest::new("os", lab.commit("3", "3", &[]), Origin::following("os/main"));
    let ctx = Context::silent();
    let sysroot = lab.sysroot();
    let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err();
    assert!(error.to_string().contains("grub-config"), "{error}");
}

#[test]
fn grub_counts_in_its_block_and_falls_back_to_the_second_entry() {
    let (lab, block) = with_grub();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::GrubEnvironment);
    sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap();
    let file = block.to_str().unwrap();
    assert_eq!(run("grub-editenv", &[file, "list"]), "saved_entry=other\nboot_success=1\n");
    assert_eq!(grub_boots(&block), "0");

    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    let listed = run("grub-editenv", &[file, "list"]);
    assert!(listed.contains("boot_success=0\nboot_counter=3\n"), "{listed}");
    for tries in [2, 1, 0] {
        assert_eq!(grub_boots(&block), "0");
        assert_eq!(sysroot.tries_left(&second).unwrap(), Some(tries));
    }
    assert_eq!(sysroot.next_boot().unwrap(), Some(first.clone()));
    for _ in 0..2 {
        assert_eq!(grub_boots(&block), "1", "and again, until somebody decides");
        assert!(sysroot.is_bad(&second).unwrap());
    }
    // The agent of the first system, which runs now, makes it the default: the trial is over.
    let locked = sysroot.lock(&ctx).unwrap();
    locked.mark_bad(&second).unwrap();
    locked.make_default(&ctx, &first).unwrap();
    assert_eq!(grub_boots(&block), "0");
    assert!(sysroot.is_bad(&second).unwrap() && !sysroot.is_bad(&first).unwrap());
    assert_eq!(run("grub-editenv", &[file, "list"]), "saved_entry=other\nboot_success=1\n");
}

#[test]
fn the_way_back_from_a_bad_default_is_safe_at_every_write() {
    let (lab, block) = with_grub();
    let ctx = Context::silent();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    lab.sysroot().lock(&ctx).unwrap().mark_good(&first).unwrap();
    let bad = lab.commit("2", "k2", &[]);
    let second = lab.deploy(bad).id;
    let file = block.to_str().unwrap();
    for operations in 0.. {
        assert!(operations < 500, "the switch never ends");
        let sysroot = lab.sysroot();
        let locked = sysroot.lock(&ctx).unwrap();
        // GRUB has given the default up, and the first system runs.
        assert_eq!(sysroot.deployments().unwrap()[0].id, second);
        run("grub-editenv", &[file, "set", "boot_success=0", "boot_counter=-1"]);
        let injection = Injection::after(operations, Fault::Broken);
        let result = locked.make_default(&ctx, &first);
        let struck = injection.has_struck();
        drop(injection);
        if !struck {
            result.unwrap();
        }
        // The power is cut. The bad one may be tried once more, and then the good one is booted,
        // whose agent ends the matter.
        let list = sysroot.deployments().unwrap();
        let boots: Vec<DeploymentId> = (0..2)
            .map(|_| list[grub_boots(&block).parse::<usize>().unwrap()].id.clone())
            .take(2)
            .collect();
        assert!(boots.contains(&first), "{boots:?} after {operations}");
        if !struck {
            assert_eq!(boots, [first.clone(), first.clone()]);
            assert!(sysroot.is_bad(&second).unwrap(), "what GRUB gave up is remembered");
            break;
        }
        locked.make_default(&ctx, &first).unwrap();
        assert_eq!(sysroot.tries_left(&first).unwrap(), None);
        assert_eq!(grub_boots(&block), "0");
        locked.make_default(&ctx, &second).unwrap();
    }
}

#[test]
fn a_fallback_leads_to_a_system_that_is_not_bad() {
    let (lab, block) = with_grub();
    let ctx = Context::silent();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    locked.mark_good(&first).unwrap();
    let deploy = |version: &str, place: updraft_sysroot::Place| {
        let commit = lab.commit(version, version, &[]);
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let retain = updraft_sysroot::Retain::ALL;
        let booted = Some(first.clone());
        let request = DeployRequest { retain, place, booted, ..request };
        locked.deploy(&ctx, &request).unwrap().id
    };
    let second = deploy("2", updraft_sysroot::Place::Default);
    for _ in 0..4 {
        grub_boots(&block);
    }
    // GRUB is on the first one now; a third comes on top of the second, which is bad.
    let third = deploy("3", updraft_sysroot::Place::Default);
    let order: Vec<_> = sysroot.deployments().unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(order, [third.clone(), first.clone(), second.clone()]);
    assert!(sysroot.is_bad(&second).unwrap());
    assert_eq!(sysroot.tries_left(&third).unwrap(), Some(3));
    for expected in ["0", "0", "0", "1"] {
        assert_eq!(grub_boots(&block), expected);
    }
    assert_eq!(sysroot.next_boot().unwrap(), Some(first));
}

#[test]
fn a_system_that_was_found_good_in_time_is_booted_for_ever() {
    let (lab, block) = with_grub();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    assert_eq!(grub_boots(&block), "0");
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    assert!(sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap());
    for _ in 0..5 {
        assert_eq!(grub_boots(&block), "0");
    }
    assert_eq!(sysroot.tries_left(&first).unwrap(), None);
}

#[test]
fn the_script_is_one_for_grub() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    fs::write(&path, grub_script("'Test OS 1 (ostree:1)'")).unwrap();
    run("grub-script-check", &[path.to_str().unwrap()]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../packaging/grub.d/06_updraft_boot_counting");
    let output = run("sh", &[shipped.to_str().unwrap()]);
    assert!(output.ends_with(&grub_script("1")), "{output}");
}

#[test]
fn without_the_script_nobody_counts_and_that_is_said() {
    let lab = Lab::ours();
    lab.configure("boot-counting-tries=3\nbootloader=syslinux");
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::Nobody);
    lab.deploy(lab.commit("2", "k2", &[]));
    let second = sysroot.deployments().unwrap()[0].id.clone();
    let ctx = Context::silent();
    sysroot.lock(&ctx).unwrap().mark_bad(&second).unwrap();
    assert!(sysroot.is_bad(&second).unwrap(), "it is remembered all the same");
    assert_eq!(sysroot.next_boot().unwrap(), Some(second), "but is what will be booted");
    assert!(!sysroot.is_bad(&first).unwrap());
}

/// A sysroot whose U-Boot has an environment, in two copies or one.
fn with_uboot(copies: usize) -> (Lab, PathBuf) {
    let lab = Lab::ours();
    lab.configure("boot-counting-tries=2\nbootloader=uboot");
    let folder = lab.root().parent().unwrap().to_path_buf();
    let mut lines = Vec::new();
    for copy in 0..copies {
        let file = folder.join(format!("env{copy}"));
        let mut make = Command::new("mkenvimage");
        make.args(["-s", "0x1000", "-o"]).arg(&file);
        if copies == 2 {
            make.arg("-r");
        }
        let text = folder.join("text");
        fs::write(&text, "bootcmd=run distro_bootcmd\nupgrade_available=0\n").unwrap();
        assert!(make.arg(&text).status().unwrap().success());
        lines.push(format!("{} 0x0 0x1000\n", file.display()));
    }
    let config = folder.join("fw_env.config");
    fs::write(&config, lines.concat()).unwrap();
    (lab, config)
}

fn uboot_sysroot(lab: &Lab, config: &Path) -> Sysroot {
    let options = Options { uboot_environment: Some(config.into()), ..Options::default() };
    Sysroot::open_with(lab.root(), options).unwrap()
}

fn variable(config: &Path, name: &str) -> String {
    run("fw_printenv", &["-c", config.to_str().unwrap(), "-n", name]).trim_end().to_owned()
}

/// What U-Boot does before it boots: counts, and runs `altbootcmd` when the limit is passed.
/// Returns the suffix of the variables of the entry that is booted.
fn uboot_boots(config: &Path) -> &'static str {
    let file = config.to_str().unwrap();
    let set = |name: &str, value: &str| run("fw_setenv", &["-c", file, name, value]);
    if variable(config, "upgrade_available") == "1" {
        let count: u32 = variable(config, "bootcount").parse().unwrap();
        set("bootcount", &(count + 1).to_string());
        if count + 1 > variable(config, "bootlimit").parse().unwrap() {
            let alternative = variable(config, "altbootcmd");
            let (changes, last) = alternative.rsplit_once("; ").unwrap();
            assert_eq!(last, "run bootcmd");
            for change in changes.split("; ").filter_map(|one| one.strip_prefix("setenv ")) {
                let (name, value) = change.split_once(' ').unwrap();
                set(name, value);
            }
            assert!(changes.ends_with("; saveenv"), "{changes}");
        }
    }
    if variable(config, "rollback") == "1" { "2" } else { "" }
}

#[test]
fn u_boot_counts_in_its_environment_and_falls_back() {
    for copies in [1, 2] {
        let (lab, config) = with_uboot(copies);
        let sysroot = uboot_sysroot(&lab, &config);
        assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::UbootEnvironment);
        let ctx = Context::silent();
        let locked = sysroot.lock(&ctx).unwrap();
        let deploy = |version: &str, kernel: &str| -> DeploymentId {
            let commit = lab.commit(version, kernel, &[]);
            let request = DeployRequest::new("os", commit, Origin::following("os/main"));
            locked.deploy(&ctx, &request).unwrap().id
        };
        let first = deploy("1", "k1");
        assert_eq!(uboot_boots(&config), "");
        assert!(locked.mark_good(&first).unwrap());
        assert_eq!(variable(&config, "upgrade_available"), "0");
        let second = deploy("2", "k2");
        assert_eq!(variable(&config, "bootlimit"), "2");
        for expected in [(1, 1), (0, 2)] {
            assert_eq!(uboot_boots(&config), "");
            assert_eq!(left(sysroot.boot_count(&second).unwrap()), Some(expected));
        }
        for _ in 0..4 {
            assert_eq!(uboot_boots(&config), "2");
            assert_eq!(sysroot.next_boot().unwrap(), Some(first.clone()));
        }
        locked.make_default(&ctx, &first).unwrap();
        assert_eq!(uboot_boots(&config), "");
        assert_eq!(variable(&config, "rollback"), "0");
        assert_eq!(variable(&config, "bootcmd"), "run distro_bootcmd");
    }
}

/// Whatever fails of a deployment, a new default is counted from its first try on.
fn counted_from_the_first_try_on(lab: &Lab, open: impl Fn() -> Sysroot) {
    let ctx = Context::silent();
    let deploy = |commit| {
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        open().lock(&ctx).and_then(|locked| locked.deploy(&ctx, &request))
    };
    let first = deploy(lab.commit("1", "k1", &[])).unwrap().id;
    open().lock(&ctx).unwrap().mark_good(&first).unwrap();
    let commit = lab.commit("2", "k2", &[]);
    let mut armed_early = false;
    for operations in 0.. {
        assert!(operations < 2000, "the deployment never ends");
        let injection = Injection::after(operations, Fault::Broken);
        let result = deploy(commit);
        let struck = injection.has_struck();
        drop(injection);
        let sysroot = open();
        let locked = sysroot.lock(&ctx).unwrap();
        let default = sysroot.deployments().unwrap()[0].id.clone();
        let tries = sysroot.tries_left(&default).unwrap();
        if default == first {
            // A counter that was set for nothing does no harm: the agent ends it.
            armed_early |= locked.mark_good(&first).unwrap();
            assert_eq!(sysroot.tries_left(&first).unwrap(), None);
        } else {
            let wanted = sysroot.boot_counting_tries();
            assert_eq!(tries, Some(wanted), "after {operations} operations");
            if struck {
                locked.undeploy(&ctx, &default, None).unwrap();
                assert_eq!(sysroot.tries_left(&first).unwrap(), None);
            }
        }
        if !struck {
            result.unwrap();
            break;
        }
    }
    assert!(armed_early, "no failure fell between counter and switch");
}

#[test]
fn whatever_fails_grub_counts_from_the_first_try_on() {
    let (lab, _) = with_grub();
    counted_from_the_first_try_on(&lab, || lab.sysroot());
}

#[test]
fn whatever_fails_u_boot_counts_from_the_first_try_on() {
    let (lab, config) = with_uboot(2);
    counted_from_the_first_try_on(&lab, || uboot_sysroot(&lab, &config));
}

#[test]
fn a_menu_that_is_generated_counts_by_itself() {
    let lab = Lab::ours();
    for version in ["1", "2"] {
        lab.deploy(lab.commit(version, version, &[]));
    }
    let sysroot = lab.sysroot();
    let version = sysroot.boot_version().unwrap().version;
    let menu = |sysroot: &Sysroot| sysroot.grub2_menu(version, "device", "", false).unwrap();
    let plain = menu(&sysroot);
    assert!(plain.starts_with("menuentry "), "as the real tool's: {plain}");
    lab.configure("boot-counting-tries=3");
    let counting = menu(&lab.sysroot());
    assert_eq!(counting, grub_script("'Test OS 1 (ostree:1)'") + &plain);
    let path = lab.root().parent().unwrap().join("grub.cfg");
    fs::write(&path, counting).unwrap();
    run("grub-script-check", &[path.to_str().unwrap()]);
}
