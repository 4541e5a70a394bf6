//! Several servers on one PostgreSQL and one bucket, with a folder each, of which one is killed while
//! operators upload.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Answer, HARDWARE, Operator, Programs, Server, ostree, small_tree};
use peers::{PostgresDatabase, S3Bucket};
use serde_json::{Value, json};
use updraft_crypto::sha256_hex;
use updraft_http::{Client, ClientOptions, Method, Request};

const ARTIFACTS: usize = 24;
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(100);
const LIMIT: u64 = 64 << 20;

fn client(server: &Server, token: &str) -> Result<Client> {
    Ok(Client::new(&ClientOptions {
        ca_pem: Some(std::fs::read(server.ca())?),
        bearer_token: Some(token.to_owned()),
        retries: 0,
        ..ClientOptions::default()
    })?)
}

/// Different for each number, and more than is sent at once.
fn content(number: usize) -> Vec<u8> {
    format!("content {number}\n").repeat(40_000).into_bytes()
}

/// Asks one server after the other until one has done it.
fn insist(servers: &[(Client, String)], make: impl Fn(&str) -> Request) -> Result<Value> {
    let begun = Instant::now();
    for (client, url) in servers.iter().cycle() {
        match client.send(make(url)) {
            Ok(answer) if answer.is_success() => {
                return Ok(serde_json::from_slice(&answer.bytes(LIMIT)?)?);
            }
            other => ensure!(begun.elapsed() < PATIENCE, "{other:?}"),
        }
        std::thread::sleep(PAUSE);
    }
    anyhow::bail!("there are no servers")
}

/// Stores a tree in a repository and releases it.
fn release(operator: &Operator, programs: &Programs, folder: &Path, name: &str) -> Result<String> {
    let (tree, repo) = (folder.join(format!("tree-{name}")), folder.join("repo"));
    small_tree(&tree, name)?;
    let at = format!("--repo={}", repo.display());
    let updraft = |arguments: &[&str]| -> Result<Answer> {
        Answer::good(programs.command("updraft").arg("ostree").arg(&at).args(arguments))
    };
    if !repo.exists() {
        updraft(&["init", "--mode=bare"])?;
    }
    let tree = format!("--tree=dir={}", tree.display());
    let commit = updraft(&["commit", &format!("--branch={name}"), "--subject=one", &tree])?;
    operator.release(name, &repo, HARDWARE, name)?;
    Ok(commit.out.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn servers_with_a_folder_each_share_a_bucket_and_lose_nothing_when_one_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let programs = Programs::beside_tests()?;
    let (database, bucket) = (PostgresDatabase::new()?, S3Bucket::new()?);
    let key = folder.path().join("access-key");
    std::fs::write(&key, bucket.credentials())?;
    let mut one = Server::start_shared(
        &programs,
        &folder.path().join("one"),
        &[
            "--database",
            &database.url(),
            "--storage",
            &bucket.name,
            "--storage-endpoint",
            &bucket.endpoint(),
            "--storage-region",
            bucket.region(),
            "--storage-credentials",
            key.to_str().context("a path")?,
        ],
    )?;
    let mut other = one.elsewhere(&folder.path().join("other"))?;

    // What one server takes, the other serves, and the other way round.
    let operator = Operator::new(&programs, &one, &folder.path().join("keys"))?;
    operator.init_keys()?;
    let first = release(&operator, &programs, folder.path(), "v1")?;
    let second = release(&operator.at(&other), &programs, folder.path(), "v2")?;
    let servers = [&one, &other]
        .map(|server| -> Result<_> { Ok((client(server, operator.token())?, server.url())) });
    let servers: Vec<(Client, String)> = servers.into_iter().collect::<Result<_>>()?;
    let metadata = |name: &str| -> Result<Vec<Vec<u8>>> {
        let get = |(client, url): &(Client, String)| {
            Ok(client.get(&format!("{url}/repo/{name}"))?.bytes(LIMIT)?)
        };
        servers.iter().map(get).collect()
    };
    for name in ["root.json", "targets.json", "snapshot.json", "timestamp.json"] {
        let both = metadata(name)?;
        ensure!(both.first() == both.last(), "{name} differs");
    }
    let targets = String::from_utf8(metadata("targets.json")?.remove(0))?;
    ensure!(targets.contains(&first) && targets.contains(&second), "{targets}");

    // One is killed while artifacts come in.
    let made = insist(&servers, |url| {
        let module = json!([{ "name": "firmware", "version": "1", "type": "os" }]);
        Request::new(Method::Post, format!("{url}/rest/v1/softwaremodules"))
            .header("Content-Type", "application/json")
            .body(module.to_string().into_bytes())
    })?;
    let module = made[0]["id"].as_i64().context("a number")?;
    let at = format!("/rest/v1/softwaremodules/{module}/artifacts");
    std::thread::scope(|scope| -> Result<()> {
        let (servers, at) = (&servers, &at);
        let uploads = scope.spawn(move || -> Result<()> {
            for number in 0..ARTIFACTS {
                let head = format!(
                    "--line\r\nContent-Disposition: form-data; name=\"file\"; \
                     filename=\"{number}.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
                );
                let body =
                    [head.as_bytes(), &content(number), b"\r\n--line--\r\n".as_slice()].concat();
                let kind = "multipart/form-data; boundary=line";
                let begun = Instant::now();
                let mut turn = servers.iter().cycle().skip(number);
                loop {
                    let (client, url) = turn.next().context("a server")?;
                    let request = Request::new(Method::Post, format!("{url}{at}"));
                    let request = request.header("Content-Type", kind).body(body.clone());
                    match client.send(request).map(|answer| answer.status) {
                        // 409: it was stored, only the answer was lost.
                        Ok(201 | 409) => break,
                        other => ensure!(begun.elapsed() < PATIENCE, "{number}: {other:?}"),
                    }
                    std::thread::sleep(PAUSE);
                }
            }
            Ok(())
        });
        for _ in 0..3 {
            std::thread::sleep(PAUSE * 3);
            one.stop()?;
            std::thread::sleep(PAUSE);
            one.run()?;
        }
        uploads.join().expect("no panic")
    })?;
    let listed = insist(&servers, |url| Request::new(Method::Get, format!("{url}{at}")))?;
    let listed = listed.as_array().context("a list")?;
    ensure!(listed.len() == ARTIFACTS, "{} are listed", listed.len());
    for artifact in listed {
        let name = artifact["providedFilename"].as_str().context("a name")?;
        let number: usize = name.trim_end_matches(".bin").parse()?;
        ensure!(artifact["hashes"]["sha256"] == sha256_hex(&content(number)).as_str(), "{name}");
        let id = artifact["id"].as_i64().context("a number")?;
        for (client, url) in &servers {
            let found = client.get(&format!("{url}{at}/{id}/download"))?.bytes(LIMIT)?;
            ensure!(found == content(number), "{name} of {url}");
        }
    }

    // And with one gone for good, the other has all of both releases.
    one.stop()?;
    let pulled = format!("--repo={}", folder.path().join("pulled").display());
    ostree(&["init", &pulled, "--mode=bare-user"])?;
    let ca = format!("--set=tls-ca-path={}", other.ca().display());
    let url = format!("{}/treehub", other.url());
    ostree(&["remote", "add", &pulled, "--no-gpg-verify", &ca, "server", &url])?;
    let token = format!("--http-header=Authorization=Bearer {}", operator.token());
    for commit in [&first, &second] {
        ostree(&["pull", &pulled, &token, "server", commit])?;
    }
    ostree(&["fsck", &pulled])?;
    ensure!(!other.data().join("treehub").exists() && !other.data().join("image").exists());
    ensure!(other.end()?, "{}", std::fs::read_to_string(other.log())?);
    Ok(())
}
