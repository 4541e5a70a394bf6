//! Logging in by a real provider of identities: `oidc-provider`, a certified one, from the npm
//! registry. It is installed below Cargo's target folder, once; that needs Node.js 20 and npm.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use updraft_api::{Session, paths};
use updraft_http::Method;

use crate::curl::{Answered, curl_as};
use crate::world::World;

const PROVIDER: &str = "oidc-provider@9.8.4";
const SCRIPT: &str = "provider.mjs";

fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PROVIDER);
        let ready = folder.join("ready");
        if !ready.exists() {
            std::fs::create_dir_all(&folder).expect("a folder");
            let install = ["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"];
            let mut npm = Command::new("npm");
            npm.args(install).arg("--prefix").arg(&folder).arg(PROVIDER);
            let output = npm.output().expect("npm is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::write(ready, b"").expect("written");
        }
        // Modules are looked for beside the script. It is whole at every instant: a provider of
        // another run may just read it.
        let script = tempfile::NamedTempFile::new_in(&folder).expect("a file");
        std::fs::write(script.path(), include_str!("oidc/provider.mjs")).expect("written");
        script.persist(folder.join(SCRIPT)).expect("in its place");
        folder
    })
}

/// A provider that runs. Its users are whoever says so; their groups come before a dash in their names.
struct Provider {
    process: Child,
    issuer: String,
    /// Kept open: it ends when nobody takes what it says.
    _out: Option<ChildStdout>,
}

impl Provider {
    fn start(callback: &str) -> Self {
        let mut process = Command::new("node")
            .arg(installed().join(SCRIPT))
            .arg(callback)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Node.js is installed");
        let mut line = String::new();
        let mut out = process.stdout.take().expect("its output");
        BufReader::new(&mut out).read_line(&mut line).expect("its address");
        assert!(line.starts_with("http://"), "the provider did not start: {line:?}");
        Self { process, issuer: line.trim().to_owned(), _out: Some(out) }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser, which is `curl` with cookies: follows where it is sent.
struct Browser {
    folder: TempDir,
    authority: PathBuf,
}

/// What it was answered.
#[derive(Debug)]
struct Shown {
    status: u16,
    /// Where it is sent.
    next: Option<String>,
    body: String,
}

impl Shown {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Browser {
    fn new(world: &World) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        Self { folder, authority: world.layout.ca_certificate() }
    }

    fn go(&mut self, url: &str, form: Option<&str>) -> Shown {
        let (jar, body) = (self.folder.path().join("cookies"), self.folder.path().join("body"));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out", "%{http_code} %{redirect_url}"]);
        curl.arg("--cacert").arg(&self.authority).arg("--output").arg(&body);
        curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        if let Some(form) = form {
            curl.args(["--data", form]);
        }
        let output = curl.arg(url).output().expect("curl is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url}: {error}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let (status, next) = told.split_once(' ').expect("a status");
        Shown {
            status: status.parse().expect("a status"),
            next: (!next.is_empty()).then(|| next.to_owned()),
            body: std::fs::read_to_string(&body).unwrap_or_default(),
        }
    }

    /// Goes on until a page is shown; gives its address.
    fn follow(&mut self, url: &str, server: &str) -> (String, Shown) {
        let mut url = url.to_owned();
        for _ in 0..20 {
            if is_page(&url, server) {
                return (url, self.go(server, None));
            }
            let shown = self.go(&url, None);
            match shown.next {
                Some(next) => url = next,
                None => return (url, shown),
            }
        }
        panic!("it does not end: {url}");
    }

    /// Logs in at the provider as somebody; gives where the browser ends.
    fn log_in(&mut self, world: &World, user: &str, next: &str) -> String {
        let begin = world.url(&format!("{}?next={next}", paths::SESSION_OIDC));
        let end = world.url("/");
        let (mut page, mut shown) = self.follow(&begin, &end);
        // Its pages ask who one is, and whether this server may know.
        for form in [format!("prompt=login&login={user}&password=x"), "prompt=consent".to_owned()] {
            if is_page(&page, &end) {
                break;
            }
            assert_eq!(shown.status, 200, "{page}: {shown:?}");
            let sent = self.go(&page, Some(&form));
            let next = sent.next.expect("on");
            (page, shown) = self.follow(&next, &end);
        }
        page
    }

    fn session(&mut self, world: &World) -> Shown {
        self.go(&world.url(paths::SESSION), None)
    }
}

/// Whether it is a page of the server, and not on the way to one.
fn is_page(url: &str, server: &str) -> bool {
    url.starts_with(server) && !url.contains(paths::SESSION_OIDC)
}

/// A server with a provider. The address that browsers come back to has its port in it, so the server
/// runs before it knows its provider.
fn world() -> (World, Provider) {
    let mut world = World::new();
    // The provider takes any port of this machine.
    let provider = Provider::start(&format!("https://localhost{}", paths::SESSION_OIDC_CALLBACK));
    configure(&mut world, &provider, "");
    (world, provider)
}

fn configure(world: &mut World, provider: &Provider, more: &str) {
    world.stop();
    let issuer = &provider.issuer;
    std::fs::write(world.layout.root().join("oidc-secret"), "s3cret of updraft\n")
        .expect("written");
    world.configure(format!(
        "[oidc]\nissuer = \"{issuer}\"\nclient_id = \"updraft\"\n\
         client_secret_file = \"oidc-secret\"\nname = \"Example Inc.\"\n{more}\n\
         [oidc.groups]\nops = [\"operator\"]\nboss = [\"admin\"]\n"
    ));
    world.start();
}

#[test]
fn who_is_in_a_group_has_an_account_with_its_roles() {
    let (world, _provider) = world();
    let ways = world.get(&world.client(None, None), paths::SESSION_WAYS).expect(200).json();
    assert_eq!(ways, serde_json::json!({ "oidc": "Example Inc." }));
    let mut browser = Browser::new(&world);
    browser.session(&world).expect(401);
    let end = browser.log_in(&world, "ops-ada", "/devices%3Fstate%3Dfailed");
    assert_eq!(end, world.url("/devices?state=failed"));
    let shown = browser.session(&world).expect(200);
    let session: Session = serde_json::from_str(&shown.body).expect("a session");
    assert_eq!(session.name, "ops-ada");
    let scopes = serde_json::to_string(&session.scopes).expect("scopes");
    assert!(!scopes.contains("admin") && scopes.len() > "[\"read\"]".len(), "{scopes}");
    // It cannot be used with a password, and the audit log has it.
    let login = serde_json::json!({ "user": "ops-ada", "password": "" });
    world.send_json(&world.client(None, None), Method::Post, paths::SESSION, &login).expect(401);
    let audit = world.get(&world.operator(), paths::AUDIT).expect(200).text();
    assert!(audit.contains("ops-ada") && audit.contains("oidc"), "{audit}");

    // The same person in another browser is the same account.
    Browser::new(&world).log_in(&world, "ops-ada", "/");
    let users = world.get(&world.operator(), paths::USERS).expect(200).json();
    assert_eq!(users["items"].as_array().expect("users").len(), 1, "{users}");
}

#[test]
fn who_is_in_no_group_or_has_anothers_name_stays_out() {
    let (world, _provider) = world();
    let problem = |user: &str| {
        let mut browser = Browser::new(&world);
        let end = browser.log_in(&world, user, "/");
        browser.session(&world).expect(401);
        end.rsplit_once("problem=").map(|(_, code)| code.to_owned())
    };
    assert_eq!(problem("nobody-eve").as_deref(), Some("identity_refused"));
    // A name that cannot be an account's.
    assert_eq!(problem("ops-%2Fetc").as_deref(), Some("identity_refused"));
    let bob = serde_json::json!({ "name": "ops-bob", "password": "a long enough password", "roles": ["viewer"] });
    world.send_json(&world.operator(), Method::Post, paths::USERS, &bob).expect(201);
    assert_eq!(problem("ops-bob").as_deref(), Some("user_exists"));
    // Who was disabled here stays so.
    let mut browser = Browser::new(&world);
    browser.log_in(&world, "ops-ada", "/");
    browser.session(&world).expect(200);
    let disabled = serde_json::json!({ "disabled": true });
    let path = format!("{}/ops-ada", paths::USERS);
    world.send_json(&world.operator(), Method::Patch, &path, &disabled).expect(200);
    browser.session(&world).expect(401);
    assert_eq!(problem("ops-ada").as_deref(), Some("user_disabled"));
}

#[test]
fn a_login_ends_in_the_browser_in_which_it_began() {
    let (world, _provider) = world();
    let callback = world.url(paths::SESSION_OIDC_CALLBACK);
    let refused = |browser: &mut Browser, query: &str, code: &str| {
        let shown = browser.go(&format!("{callback}?{query}"), None).expect(303);
        assert_eq!(shown.next, Some(world.url(&format!("/?problem={code}"))), "{query}");
        browser.session(&world).expect(401);
    };
    let mut stranger = Browser::new(&world);
    refused(&mut stranger, "state=x&code=y", "login_not_begun");
    refused(&mut stranger, "error=access_denied&state=x", "identity_refused");
    refused(&mut stranger, "", "login_not_begun");
    // Begun here, and the answer of another login is put in.
    let begin = world.url(paths::SESSION_OIDC);
    let mut victim = Browser::new(&world);
    victim.go(&begin, None).expect(303);
    refused(&mut victim, "state=of-another&code=of-another", "login_not_begun");
    // The right state and a code that the provider never gave.
    let sent = victim.go(&begin, None).expect(303);
    let location = sent.next.expect("the provider");
    let state = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("state="));
    let state = state.expect("a state").to_owned();
    assert!(location.contains("code_challenge_method=S256"), "{location}");
    refused(&mut victim, &format!("state={state}&code=invented"), "identity_refused");
    // Too late.
    let sent = victim.go(&begin, None).expect(303);
    let location = sent.next.expect("the provider");
    let state = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("state="));
    world.clock.pass(601);
    let query = format!("state={}&code=late", state.expect("a state"));
    refused(&mut victim, &query, "login_not_begun");
}

#[test]
fn a_provider_that_is_not_there_is_no_way_in() {
    let (mut world, provider) = world();
    drop(provider);
    let begin = |world: &World| curl_as(world, paths::SESSION_OIDC, &[]);
    let text = |answer: &Answered| String::from_utf8_lossy(&answer.body).into_owned();
    let answer = begin(&world).expect(502);
    assert!(text(&answer).contains("provider of identities"), "{}", text(&answer));
    // Another one, whose metadata speaks for somebody else.
    let other = Provider::start(&format!("https://localhost{}", paths::SESSION_OIDC_CALLBACK));
    let moved =
        Provider { issuer: format!("{}/", other.issuer), process: no_process(), _out: None };
    configure(&mut world, &moved, "");
    let answer = begin(&world).expect(502);
    assert!(text(&answer).contains("says that it is"), "{}", text(&answer));
    // Without one there is none.
    world.stop();
    world.configure("");
    world.start();
    begin(&world).expect(404);
}

fn no_process() -> Child {
    Command::new("true").spawn().expect("true")
}
