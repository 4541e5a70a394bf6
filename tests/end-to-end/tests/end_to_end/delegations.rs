//! A team signs its own releases: the operator delegates, the team releases, devices install, and
//! the operator takes it back.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use crate::workshop::{CONFLICT, INVALID, NOT_FOUND, REJECTED, keys_of, refused};
use anyhow::{Context, Result, ensure};
use harness::{Answer, DeviceOptions, HARDWARE, Site};

/// A team with a key of its own, and the operator of a site.
struct Team<'a> {
    site: &'a Site,
    folder: String,
}

impl Team<'_> {
    fn at(&self, name: &str) -> String {
        self.site.folder().join(name).display().to_string()
    }

    /// Makes a key of the team and gives the file of its public half.
    fn key(&self, name: &str) -> Result<String> {
        let made = self.site.operator.json(&["keys", "generate", "--keys", &self.folder])?;
        let id = made["keyid"].as_str().context("an id")?;
        let file = self.at(name);
        self.site.operator.run(&["keys", "export", "--keys", &self.folder, id, "-o", &file])?;
        Ok(file)
    }

    /// Runs `updraft release …` with the team's keys.
    fn release(&self, arguments: &[&str]) -> Result<Answer> {
        let keys = ["release", "--keys", &self.folder];
        self.site.operator.try_run(&[&keys[..], arguments].concat())
    }

    /// Releases v1 of the site under another name, in the team's role.
    fn create(&self, name: &str, role: &str) -> Result<Answer> {
        let (repo, target) = (self.at("repo"), format!("{HARDWARE}=demo/v1"));
        self.release(&["create", name, "--repo", &repo, "--target", &target, "--role", role])
    }

    /// The operator's request to delegate to this key, which the team signs too.
    fn delegate(&self, public: &str, request: &str) -> Result<[String; 2]> {
        let operator = &self.site.operator;
        let (targets, first) =
            (self.at(&format!("{request}.json")), self.at(&format!("{request}.team.json")));
        let delegate = ["keys", "delegate", "team", "--key", public, "--path", "team-*"];
        operator.run(&[&delegate[..], &["--sign-request", &targets]].concat())?;
        operator.run(&["keys", "sign", "--keys", &self.folder, &first])?;
        Ok([targets, first])
    }
}

fn targets_version(site: &Site) -> Result<serde_json::Value> {
    let status = site.operator.json(&["status"])?;
    Ok(status["image_repository"].clone())
}

#[test]
fn a_team_releases_in_its_own_role_and_devices_install_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let operator = &site.operator;
    let team = Team { site: &site, folder: folder.path().join("team").display().to_string() };
    let public = team.key("team.pub")?;

    // The team has to sign its first targets; without them nothing is published.
    let before = targets_version(&site)?;
    let delegate = ["keys", "delegate", "team", "--key", &public, "--path", "team-*"];
    refused(&operator.try_run(&delegate)?, CONFLICT, &["delegated role team", "--sign-request"])?;
    ensure!(targets_version(&site)? == before, "something was published");
    refused(&team.create("team-1", "team")?, NOT_FOUND, &["team", "keys delegate"])?;

    let [targets, first] = team.delegate(&public, "delegation")?;
    let shown = operator.run(&["keys", "sign", &targets, "--dry-run"])?.err;
    for words in ["delegates team-* to role team", "team: adds key", "team: threshold 1"] {
        ensure!(shown.contains(words), "`{words}` is not said: {shown}");
    }
    operator.run(&["release", "import", &targets, &first])?;
    // Once more changes nothing.
    operator.run(&["release", "import", &targets, &first])?;

    let listed = team.site.operator.json(&["keys", "ls", "--keys", &team.folder])?;
    ensure!(keys_of(&listed, "team").is_empty(), "nothing is known yet: {listed}");
    let beyond = team.create("other-1", "team")?;
    refused(&beyond, INVALID, &["`team-*`", &format!("other-1-{HARDWARE}"), "role team"])?;
    let created = team.create("team-1", "team")?;
    ensure!(created.code == 0, "{} {}", created.code, created.err);
    let listed = operator.json(&["keys", "ls", "--keys", &team.folder])?;
    let keys = keys_of(&listed, "team");
    ensure!(keys.len() == 1, "{listed}");
    let needed = operator.try_run(&["keys", "rm", "--keys", &team.folder, &keys[0]])?;
    refused(&needed, CONFLICT, &["still signs team"])?;
    let renewed = team.release(&["renew", "--role", "team", "--json"])?.json()?;
    ensure!(renewed["role"] == "team" && renewed["version"] == 3, "{renewed}");
    // The team's key signs nothing else.
    refused(&team.release(&["renew"])?, CONFLICT, &["targets keys"])?;
    let shown = operator.json(&["release", "show", "team-1"])?;
    ensure!(shown["targets"][0]["filepath"] == format!("team-1-{HARDWARE}"), "{shown}");

    let device = site.device("vehicle", &DeviceOptions::default())?;
    device.run_once()?;
    site.assign("vehicle", "team-1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "the team's release is not booted");

    // Another key of the team: the targets that the old one signed must come signed anew.
    let [targets, first] = team.delegate(&team.key("second.pub")?, "second")?;
    let alone = operator.try_run(&["release", "import", &targets])?;
    refused(&alone, REJECTED, &["team"])?;
    operator.run(&["release", "import", &targets, &first])?;
    let late = site.device("late", &DeviceOptions::default())?;
    late.run_once()?;
    site.assign("late", "team-1")?;
    let found = late.run(&["check", "--json"])?.json()?;
    ensure!(found["outcome"] == "available", "{found}");

    operator.run(&["keys", "delegate", "team", "--revoke"])?;
    let gone = late.run(&["check"])?;
    refused(&gone, REJECTED, &[&format!("team-1-{HARDWARE}")])?;
    refused(&team.create("team-2", "team")?, NOT_FOUND, &["team"])?;
    refused(&operator.try_run(&["keys", "delegate", "team", "--revoke"])?, NOT_FOUND, &["team"])?;
    // What is installed goes on, and devices that saw the role before take other releases.
    device.run_once()?;
    operator.run(&["rollout", "stop", &site.last_rollout()])?;
    site.assign("late", "v1")?;
    late.run_once()?;
    // The role may come back, with newer versions than devices remember.
    let [targets, first] = team.delegate(&public, "again")?;
    let imported = operator.json(&["release", "import", &targets, &first])?;
    ensure!(imported["published"][1]["version"] == 5, "{imported}");
    Ok(())
}

#[test]
fn delegations_that_make_no_sense_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 0)?;
    let operator = &site.operator;
    let team = Team { site: &site, folder: folder.path().join("team").display().to_string() };
    let public = team.key("team.pub")?;
    let delegate =
        |arguments: &[&str]| operator.try_run(&[&["keys", "delegate"][..], arguments].concat());
    let with_key = |name: &str, more: &[&str]| {
        delegate(&[&[name, "--key", &public, "--path", "team-*"][..], more].concat())
    };
    refused(&with_key("a/b", &[])?, INVALID, &["1 to 128 characters"])?;
    refused(&with_key("targets", &[])?, INVALID, &["not a name"])?;
    refused(&with_key("team", &["--threshold", "2"])?, INVALID, &["threshold of 2"])?;
    let own = keys_of(&operator.json(&["keys", "ls"])?, "targets").pop().context("a key")?;
    let own_public = team.at("own.pub");
    operator.run(&["keys", "export", &own, "-o", &own_public])?;
    let both = delegate(&["team", "--key", &own_public, "--path", "*"])?;
    refused(&both, INVALID, &["signs targets already"])?;
    refused(
        &delegate(&["team", "--key", &team.at("none.pub"), "--path", "*"])?,
        NOT_FOUND,
        &["none.pub"],
    )?;
    let none = delegate(&["team"])?;
    ensure!(none.code == 2, "{} {}", none.code, none.err);
    Ok(())
}

#[test]
fn a_role_of_the_same_folder_is_published_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let operator = &site.operator;
    let own = folder.path().join("keys").display().to_string();
    let team = Team { site: &site, folder: own };
    let (one, two) = (team.key("one.pub")?, team.key("two.pub")?);
    let words = ["keys", "delegate", "board", "--key", &one, "--path", "b-*", "--terminating"];
    let published = operator.json(&words)?;
    ensure!(published[0]["role"] == "targets" && published[1]["role"] == "board", "{published}");
    operator.run(&["keys", "delegate", "rest", "--key", &two, "--path", "*"])?;
    // The first role ends the search for its names; devices would never see them in the second.
    let hidden = team.create("b-1", "rest")?;
    refused(&hidden, CONFLICT, &["clients believe board"])?;
    ensure!(team.create("b-1", "board")?.code == 0, "b-1 is not released");
    ensure!(team.create("c-1", "rest")?.code == 0, "c-1 is not released");
    let taken = team.create("v1", "rest")?;
    refused(&taken, CONFLICT, &["clients believe targets"])?;
    for (id, release) in [("b", "b-1"), ("c", "c-1")] {
        let device = site.device(id, &DeviceOptions::default())?;
        device.run_once()?;
        site.assign(id, release)?;
        let found = device.run(&["check", "--json"])?.json()?;
        ensure!(found["outcome"] == "available", "{release}: {found}");
    }
    Ok(())
}
