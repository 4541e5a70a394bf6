//! Scripts of the OTA world: garage-push, garage-check, garage-sign and garage-deploy by their names,
//! with credentials of the server, and curl beside them.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Programs, Server, small_tree};
use serde_json::Value;
use tempfile::TempDir;

/// Somebody's build machine.
struct Builder {
    folder: TempDir,
    server: Server,
    token: String,
    programs: Programs,
}

impl Builder {
    /// With a server, a repository of commits, and an Image repository whose keys are on the server.
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let programs = Programs::beside_tests()?;
        let server = Server::start(&programs, &folder.path().join("server"))?;
        let token = server.token("script")?;
        let builder = Self { folder, server, token, programs };
        let updraft = builder.programs.command("updraft").get_program().to_owned();
        for name in ["garage-push", "garage-check", "garage-deploy", "garage-sign"] {
            std::os::unix::fs::symlink(&updraft, builder.at(name))?;
        }
        builder.curl(&["-X", "POST"], "/api/v1/user_repo")?;
        Ok(builder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tool(&self, name: &str, arguments: &str) -> Result<Answer> {
        let mut command = Command::new(self.at(name));
        command.env("NO_COLOR", "1").current_dir(self.folder.path());
        Answer::of(command.args(arguments.split_whitespace()))
    }

    fn good(&self, name: &str, arguments: &str) -> Result<Answer> {
        let answer = self.tool(name, arguments)?;
        ensure!(answer.code == 0, "{name} {arguments}: {} {}", answer.code, answer.err);
        Ok(answer)
    }

    fn updraft(&self, arguments: &str) -> Result<Answer> {
        let mut command = self.programs.command("updraft");
        Answer::good(command.current_dir(self.folder.path()).args(arguments.split_whitespace()))
    }

    /// What the server answers to curl.
    fn curl(&self, options: &[&str], path: &str) -> Result<String> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(self.server.ca());
        command.arg("-H").arg(format!("Authorization: Bearer {}", self.token));
        command.args(options).arg(format!("{}{path}", self.server.url()));
        Ok(Answer::good(&mut command)?.out)
    }

    /// Commits a tree and gives the commit.
    fn commit(&self, version: &str) -> Result<String> {
        small_tree(&self.at(version), version)?;
        self.updraft("ostree init --repo repo --mode=archive")?;
        let words = format!("ostree commit --repo repo --branch=main --tree=dir={version}");
        Ok(self.updraft(&words)?.out.trim().to_owned())
    }

    /// Writes credentials for tools.
    fn credentials(&self, name: &str) -> Result<()> {
        let mut command = self.programs.command("updraft-server");
        command.args(["credentials", "--operator", name, "--scope=admin", "--with-targets-key"]);
        command.args(["--url", &self.server.url()]).arg("--data").arg(self.server.data());
        Answer::good(command.arg("--out").arg(self.at(&format!("{name}.zip"))))?;
        Ok(())
    }

    fn targets(&self) -> Result<Value> {
        let text = self.curl(&[], "/api/v1/user_repo/targets.json")?;
        Ok(serde_json::from_str::<Value>(&text)?["signed"]["targets"].clone())
    }
}

fn add(repo: &str, name: &str, commit: &str) -> String {
    format!(
        "targets add --repo {repo} --name {name} --version 1 --length 0 --sha256 {commit} \
         --hardwareids board,other --format OSTREE"
    )
}

#[test]
fn a_build_machine_pushes_commits_and_signs_targets() -> Result<()> {
    let builder = Builder::start()?;
    builder.credentials("ci")?;
    let first = builder.commit("one")?;

    let dry = builder.good("garage-push", "-C repo -r main -j ci.zip --dry-run")?;
    ensure!(dry.err.contains("would be sent") || dry.out.contains("would be sent"), "{dry:?}");
    builder.good("garage-push", "--repo repo --ref main --credentials ci.zip --jobs 4")?;
    let there = builder.curl(&[], "/treehub/api/v3/refs/heads/main")?;
    ensure!(there.trim() == first, "the ref is at {there}");
    let again = builder.good("garage-push", "--repo=repo --ref=main --credentials=ci.zip")?;
    ensure!(format!("{}{}", again.out, again.err).contains("sent 0 object(s)"), "{again:?}");

    let check = format!("--ref {first} -j ci.zip --walk-tree");
    let unsigned = builder.tool("garage-check", &check)?;
    ensure!(unsigned.code == 1 && unsigned.err.contains("targets.json"), "{unsigned:?}");

    for repo in ["a", "b"] {
        builder.good("garage-sign", &format!("init --repo {repo} --credentials ci.zip"))?;
        builder.good("garage-sign", &format!("targets pull --repo {repo}"))?;
    }
    builder.good("garage-sign", &add("a", "os", &first))?;
    builder.good("garage-sign", "targets sign --repo a --key-name targets --expire-after 1Y")?;
    builder.good("garage-sign", "targets push --repo a")?;
    builder.good("garage-check", &check)?;
    let targets = builder.targets()?;
    ensure!(targets["os-1"]["custom"]["hardwareIds"][1] == "other", "{targets}");

    // Somebody who pulled before that does not take it away.
    builder.good("garage-sign", &add("b", "late", &first))?;
    builder.good("garage-sign", "targets sign --repo b --key-name targets")?;
    let stale = builder.tool("garage-sign", "targets push --repo b")?;
    ensure!(stale.code == 2 && stale.err.contains("pull"), "{stale:?}");
    builder.good("garage-sign", "targets pull --repo b")?;
    builder.good("garage-sign", &add("b", "late", &first))?;
    builder.good("garage-sign", "targets sign --repo b --key-name targets")?;
    builder.good("garage-sign", "targets push --repo b")?;
    let targets = builder.targets()?;
    ensure!(targets.as_object().context("targets")?.len() == 2, "{targets}");

    // Contents that are files.
    std::fs::write(builder.at("fw.bin"), b"firmware")?;
    builder.good("garage-sign", "targets upload --repo b -i fw.bin --name fw --version 2")?;
    let about = "--name fw --version 2 --hardwareids mcu";
    builder.good("garage-sign", &format!("targets add-uploaded --repo b -i fw.bin {about}"))?;
    builder.good("garage-sign", "targets sign --repo b --key-name targets")?;
    builder.good("garage-sign", "targets push --repo b")?;
    ensure!(builder.curl(&[], "/repo/targets/fw-2")? == "firmware", "other content");
    Ok(())
}

#[test]
fn keys_move_away_from_the_server_and_a_commit_is_deployed_with_them() -> Result<()> {
    let builder = Builder::start()?;
    builder.credentials("ci")?;
    let commit = builder.commit("one")?;
    builder.good("garage-push", "-C repo -r main -j ci.zip")?;
    builder.good("garage-sign", "init --repo fleet --credentials ci.zip")?;
    for name in ["root2", "targets2"] {
        let words = format!("key generate --repo fleet --name {name} --type ed25519");
        builder.good("garage-sign", &words)?;
    }
    let words = "move-offline --repo fleet --new-root root2 --new-targets targets2 \
                 --old-root-alias old";
    builder.good("garage-sign", words)?;

    let refused = builder.tool("garage-sign", "targets sign --repo fleet --key-name targets")?;
    ensure!(refused.code == 0, "{refused:?}");
    let refused = builder.tool("garage-sign", "targets push --repo fleet")?;
    ensure!(refused.code == 3, "the old key still counts: {refused:?}");

    let words = "export-credentials --repo fleet --key-name targets2 --output to.zip";
    builder.good("garage-sign", words)?;
    let words = format!("--commit {commit} --name os -h board -f ci.zip -p to.zip");
    builder.good("garage-deploy", &words)?;
    let targets = builder.targets()?;
    ensure!(targets[format!("os-{commit}")]["hashes"]["sha256"] == commit.as_str(), "{targets}");
    Ok(())
}
