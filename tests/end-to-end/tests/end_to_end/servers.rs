//! Several servers on one PostgreSQL, which die one after the other, and the PostgreSQL with them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Programs, Server};
use peers::PostgresDatabase;
use serde_json::{Value, json};
use updraft_http::{Client, ClientOptions, Method, Request};

const DEVICES: usize = 40;
/// Threads that play devices.
const PLAYERS: usize = 4;
/// How often something is killed.
const KILLS: u32 = 6;
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(100);
const LIMIT: u64 = 1 << 20;
const GATEWAY: &str = "Authorization";

/// Both servers, for devices and operators who do not care which of them answers.
struct Fleet {
    urls: [String; 2],
    client: Client,
    next: AtomicUsize,
}

impl Fleet {
    fn new(one: &Server, other: &Server, token: Option<&str>) -> Result<Self> {
        let client = Client::new(&ClientOptions {
            ca_pem: Some(std::fs::read(one.ca())?),
            bearer_token: token.map(str::to_owned),
            retries: 0,
            ..ClientOptions::default()
        })?;
        Ok(Self { urls: [one.url(), other.url()], client, next: AtomicUsize::new(0) })
    }

    /// Asks one server, the next time the other.
    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<(u16, Value)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.urls.len();
        let url = self.urls.get(turn).context("a server")?;
        let mut request = Request::new(method, format!("{url}{path}"));
        if path.contains("/controller/") {
            request = request.header(GATEWAY, "GatewayToken gateway-secret");
        }
        if let Some((kind, body)) = body {
            request = request.header("Content-Type", kind).body(body);
        }
        let response = self.client.send(request)?;
        let status = response.status;
        let body = response.bytes(LIMIT)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// The same until it is answered with success.
    fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
            match self.ask(method, path, body) {
                Ok((status, value)) if status < 300 => return Ok(value),
                other => ensure!(begun.elapsed() < PATIENCE, "{method:?} {path}: {other:?}"),
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Polls until the device was told an action and has reported that it is done.
fn play(fleet: &Fleet, device: &str) -> Result<()> {
    let at = format!("/default/controller/v1/{device}");
    let (begun, mut reported) = (Instant::now(), false);
    loop {
        ensure!(begun.elapsed() < PATIENCE, "{device} is told nothing");
        if let Ok((200, told)) = fleet.ask(Method::Get, &at, None) {
            let link = told["_links"]["deploymentBase"]["href"].as_str();
            let action = link
                .and_then(|link| link.rsplit('/').next()?.split('?').next()?.parse::<i64>().ok());
            match action {
                Some(action) => {
                    let body = json!({
                        "id": action.to_string(),
                        "status": { "execution": "closed", "result": { "finished": "success" } },
                    });
                    let body = ("application/json", body.to_string().into_bytes());
                    let path = format!("{at}/deploymentBase/{action}/feedback");
                    // 410: it was heard, only the answer was lost.
                    let answer = fleet.ask(Method::Post, &path, Some(body));
                    reported |= matches!(answer, Ok((200 | 410, _)));
                }
                None if reported => return Ok(()),
                None => {}
            }
        }
        std::thread::sleep(PAUSE);
    }
}

fn make_set(operator: &Fleet) -> Result<i64> {
    let made = |value: &Value| value[0]["id"].as_i64().context("a number");
    let module = json!([{ "name": "firmware", "version": "1", "type": "os" }]);
    let module =
        made(&operator.insist(Method::Post, "/rest/v1/softwaremodules", Some(&module))?)?;
    let form = "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
                Content-Type: application/octet-stream\r\n\r\ncontent\r\n--line--\r\n";
    let path = format!("/rest/v1/softwaremodules/{module}/artifacts");
    let kind = "multipart/form-data; boundary=line";
    let (status, answer) = operator.ask(Method::Post, &path, Some((kind, form.into())))?;
    ensure!(status == 201, "{status}: {answer}");
    let set =
        json!([{ "name": "system", "version": "1", "type": "os", "modules": [{ "id": module }] }]);
    made(&operator.insist(Method::Post, "/rest/v1/distributionsets", Some(&set))?)
}

#[test]
fn servers_on_one_database_lose_nothing_when_they_or_it_are_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = PostgresDatabase::alone()?;
    let programs = Programs::beside_tests()?;
    let data = folder.path().join("data");
    let mut one = Server::start_with_database(&programs, &data, &database.url())?;
    let mut other = one.another("other-")?;
    let operator = Fleet::new(&one, &other, Some(&one.token("operator")?))?;
    for (key, value) in [("enabled", json!(true)), ("key", json!("gateway-secret"))] {
        let path = format!("/rest/v1/system/configs/authentication.gatewaytoken.{key}");
        operator.insist(Method::Put, &path, Some(&json!({ "value": value })))?;
    }
    let devices: Vec<String> = (0..DEVICES).map(|number| format!("d{number:02}")).collect();
    let fleet = Fleet::new(&one, &other, None)?;
    for device in &devices {
        fleet.insist(Method::Get, &format!("/default/controller/v1/{device}"), None)?;
    }
    let rollout = json!({
        "name": "r", "distributionSetId": make_set(&operator)?, "targetFilterQuery": "id==*",
        "amountGroups": 4,
        "successCondition": { "condition": "THRESHOLD", "expression": "100" },
        "successAction": { "action": "NEXTGROUP", "expression": "" },
    });
    let rollout = operator.insist(Method::Post, "/rest/v1/rollouts", Some(&rollout))?;
    let rollout = format!("/rest/v1/rollouts/{}", rollout["id"].as_i64().context("a number")?);

    std::thread::scope(|scope| -> Result<()> {
        let fleet = &fleet;
        let players: Vec<_> = devices
            .chunks(DEVICES / PLAYERS)
            .map(|some| scope.spawn(move || some.iter().try_for_each(|device| play(fleet, device))))
            .collect();
        operator.insist(Method::Post, &format!("{rollout}/start"), None)?;
        for kill in 0..KILLS {
            std::thread::sleep(PAUSE * 5);
            match kill % 3 {
                0 => one.stop()?,
                1 => other.stop()?,
                _ => database.server.crash_and_restart()?,
            }
            std::thread::sleep(PAUSE * 2);
            match kill % 3 {
                0 => one.run()?,
                1 => other.run()?,
                _ => {}
            }
        }
        players.into_iter().try_for_each(|player| player.join().expect("no panic"))
    })?;

    let begun = Instant::now();
    while operator.insist(Method::Get, &rollout, None)?["status"] != "finished" {
        ensure!(begun.elapsed() < PATIENCE, "{}", operator.insist(Method::Get, &rollout, None)?);
        std::thread::sleep(PAUSE);
    }
    for device in &devices {
        let target = operator.insist(Method::Get, &format!("/rest/v1/targets/{device}"), None)?;
        assert_eq!(target["updateStatus"], "in_sync", "{device}");
        let actions = format!("/rest/v1/targets/{device}/actions");
        assert_eq!(operator.insist(Method::Get, &actions, None)?["total"], 1, "{device}");
    }
    for server in [&mut one, &mut other] {
        assert!(server.end()?, "{}", std::fs::read_to_string(server.log())?);
    }
    Ok(())
}
