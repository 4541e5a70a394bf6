//! Media for vehicles of several ECUs: each verifies for itself what the primary brings from there.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::{Answer, HARDWARE};

use crate::secondaries::Vehicle;

/// Makes a medium with a new list for a release.
fn lockbox(car: &Vehicle, name: &str, release: &str) -> Result<PathBuf> {
    let folder = car.site.folder().join(name);
    let output = folder.display().to_string();
    let create = ["lockbox", "create", "spring", "--output", &output, "--release", release];
    car.site.operator.run(&create)?;
    Ok(folder)
}

fn install(car: &Vehicle, medium: &Path) -> Result<Answer> {
    let medium = medium.display().to_string();
    car.primary.run(&["offline", "install", "--from", &medium])
}

#[test]
fn a_medium_updates_secondaries_that_verify_it_themselves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::new(folder.path())?;
    car.add("wheel-1", "brake", "Full", "")?;
    car.add("axle-1", "axle", "Partial", "")?;
    car.add("door-1", "door", "Tuf", "")?;
    car.start_all()?;
    car.primary.run_once()?;
    let operator = car.site.operator.clone();
    let publish = |release: &str| {
        let files = [HARDWARE, "brake", "axle", "door"].map(|it| (it, format!("{it} {release}")));
        let files: Vec<_> = files.iter().map(|(it, text)| (*it, text.as_bytes())).collect();
        operator.release_files(release, &files)
    };
    publish("v1")?;
    car.site.assign("car", "v1")?;
    car.primary.run_once()?;
    car.expect("v1")?;
    publish("v2")?;
    let old = lockbox(&car, "old", "v2")?;
    publish("v3")?;
    let new = lockbox(&car, "new", "v3")?;
    car.site.server.stop()?;
    let runs = |car: &Vehicle, release: &str| -> Result<()> {
        for ecu in &car.secondaries {
            let firmware = String::from_utf8(ecu.firmware().unwrap_or_default())?;
            let expected = format!("{} {release}", ecu.hardware);
            ensure!(firmware == expected, "{} runs `{firmware}`: {}", ecu.serial, ecu.log());
        }
        Ok(())
    };

    // A file that is not what was signed ends it, for all.
    let image = updraft_crypto::sha256_hex(b"brake v3");
    let image = new.join("images").join(image);
    std::fs::write(&image, b"brake v0")?;
    let refused = install(&car, &new)?;
    ensure!(refused.code != 0, "{}", refused.err);
    runs(&car, "v1")?;
    std::fs::write(&image, b"brake v3")?;
    let done = install(&car, &new)?;
    ensure!(done.code == 0, "{}", done.err);
    runs(&car, "v3")?;
    for (ecu, file) in [
        (0, "director/offline-updates.json"),
        (0, "image/targets.json"),
        (1, "director/offline-updates.json"),
        (2, "image/targets.json"),
    ] {
        let metadata = car.secondaries[ecu].at("storage/secondary/metadata");
        ensure!(metadata.join(file).is_file(), "{ecu} did not verify {file}");
    }
    // What was replaced comes back for nobody.
    ensure!(install(&car, &old)?.code != 0, "the old medium counts");
    runs(&car, "v3")?;

    // With the network all go on.
    car.site.server.run()?;
    publish("v4")?;
    car.site.assign("car", "v4")?;
    car.primary.run_once()?;
    car.expect("v4")?;
    runs(&car, "v4")
}

#[test]
fn a_medium_brings_commits_to_secondaries() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::with_releases(folder.path(), 2)?;
    let home = folder.path().join("ecus/wheel-1");
    std::fs::create_dir_all(&home)?;
    std::fs::write(home.join("cmdline"), "quiet\n")?;
    let settings = format!(
        "[pacman]\ntype = \"ostree\"\nos = \"os\"\nsysroot = \"{0}/sysroot\"\n\
         create_sysroot = true\n[boot]\nkernel_cmdline = \"{0}/cmdline\"\n",
        home.display()
    );
    car.patience = 60;
    car.add("wheel-1", "brake", "Full", &settings)?;
    car.start_all()?;
    car.primary.run_once()?;
    let repo = folder.path().join("repo");
    for (release, branch) in [("b1", "demo/v1"), ("b2", "demo/v2")] {
        car.site.operator.release(release, &repo, "brake", branch)?;
    }
    let sysroot = home.join("sysroot");
    let first = |commit: &str| -> Result<()> {
        let deployed = harness::bootable(&sysroot)?;
        let first = deployed.first().map(|it| it.display().to_string()).unwrap_or_default();
        ensure!(first.contains(commit), "{deployed:?}, and not {commit}");
        Ok(())
    };
    // Waits for the restart of the secondary that the update needs.
    let restarting = |car: &mut Vehicle, arguments: &[&str]| -> Result<()> {
        let log = folder.path().join("cycle.log");
        let mut command = car.primary.agent(arguments);
        let mut cycle = command.stderr(std::fs::File::create(&log)?).spawn()?;
        // Not before the primary has heard of it: a machine takes longer until it is down.
        while !std::fs::read_to_string(&log)?.contains("it runs after the ECU's restart") {
            let ended = cycle.try_wait()?;
            ensure!(ended.is_none(), "no restart: {ended:?} {}", car.secondaries[0].log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ensure!(home.join("run/need_reboot").exists(), "{}", car.secondaries[0].log());
        car.secondaries[0].stop()?;
        harness::boot(&sysroot, &home.join("cmdline"), &home.join("run"))?;
        car.secondaries[0].start()?;
        ensure!(cycle.wait()?.success(), "{arguments:?}: {}", car.secondaries[0].log());
        Ok(())
    };
    car.site.assign("car", "b1")?;
    restarting(&mut car, &["run-once"])?;
    first(car.site.commit("v1"))?;

    let incomplete = lockbox(&car, "incomplete", "b2")?;
    let forged = lockbox(&car, "forged", "b2")?;
    let good = lockbox(&car, "good", "b2")?;
    car.site.server.stop()?;
    // The primary sees what is missing, and the secondary what is not what was signed.
    for (medium, change) in [(&incomplete, "dirtree"), (&forged, "filez")] {
        ensure!(spoil(medium, change)? > 0, "there is no {change}");
        let refused = install(&car, medium)?;
        ensure!(refused.code != 0, "{change}: {}", refused.err);
        ensure!(!home.join("run/need_reboot").exists(), "{change}: it is deployed");
        first(car.site.commit("v1"))?;
    }
    ensure!(car.secondaries[0].log().contains("Corrupted file"), "{}", car.secondaries[0].log());

    let path = good.display().to_string();
    restarting(&mut car, &["offline", "install", "--from", &path])?;
    first(car.site.commit("v2"))?;
    let status = car.primary.status()?;
    ensure!(status["secondaries"][0]["filepath"] == "b2-brake", "{status}");
    harness::ostree(&["fsck", &format!("--repo={}", sysroot.join("ostree/repo").display())])?;
    Ok(())
}

/// Removes all trees of a medium's repository, or makes all its files other ones. How many.
fn spoil(medium: &Path, what: &str) -> Result<usize> {
    let mut found = 0;
    let objects = medium.join("images/ostree/objects");
    for folder in std::fs::read_dir(&objects).with_context(|| objects.display().to_string())? {
        for entry in std::fs::read_dir(folder?.path())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != what) {
                continue;
            }
            found += 1;
            if what == "dirtree" {
                std::fs::remove_file(&path)?;
                continue;
            }
            let mut bytes = std::fs::read(&path)?;
            // Its owner, in the header: the form stays right.
            let at = bytes.len().min(19);
            bytes[at] ^= 1;
            std::fs::remove_file(&path)?;
            std::fs::write(&path, bytes)?;
        }
    }
    Ok(found)
}
