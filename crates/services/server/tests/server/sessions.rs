//! Accounts, and sessions of browsers.

use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};
use updraft_api::{
    ApiToken, NewUser, OneTimeSecret, OpenSession, OperatorKind, Page, RecoveryCodes, Role, Scope,
    Session, Status, User, paths,
};
use updraft_http::{Client, Method, Request};
use updraft_server_service::fleet::operators::Operator;
use updraft_server_service::fleet::users::Users;

use crate::world::{Answer, World, ask};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// What a browser keeps of a session.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) session: Session,
}

impl Browser {
    /// A request as the dashboard's pages send it.
    pub(crate) fn request(&self, world: &World, method: Method, path: &str) -> Request {
        Request::new(method, world.url(path))
            .header("Cookie", &self.cookie)
            .header("X-CSRF-Token", &self.session.csrf_token)
    }

    pub(crate) fn send(&self, world: &World, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(world, method, path).body(body.to_string().into_bytes());
        ask(&world.client(None, None), request)
    }

    pub(crate) fn get(&self, world: &World, path: &str) -> Answer {
        ask(&world.client(None, None), self.request(world, Method::Get, path))
    }
}

pub(crate) fn make_user(world: &World, name: &str, roles: &[Role]) {
    let environment = world.environment();
    let database = world.fleet().database();
    let users = Users { database, environment: &environment, operator: Operator::local() };
    let (name, password) = (name.to_owned(), PASSWORD.to_owned());
    users.add(&NewUser { name, password, roles: roles.to_vec() }).expect("a user");
}

pub(crate) fn try_log_in(world: &World, login: &Value) -> Answer {
    world.send_json(&world.client(None, None), Method::Post, paths::SESSION, login)
}

fn browser(answer: &Answer) -> Browser {
    let cookie = answer.headers.get("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    Browser { cookie, session: answer.read() }
}

pub(crate) fn log_in(world: &World, name: &str) -> Browser {
    browser(&try_log_in(world, &json!({ "user": name, "password": PASSWORD })))
}

fn code_of(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_person_logs_in_works_and_logs_out() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Operator]);
    let answer = try_log_in(&world, &json!({ "user": "anna", "password": PASSWORD })).expect(200);
    let cookie = answer.headers.get("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("__Host-updraft_session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let anna = browser(&answer);
    assert_eq!((anna.session.name.as_str(), anna.session.kind), ("anna", OperatorKind::User));
    assert_eq!(anna.session.scopes, [Scope::Read, Scope::Operate, Scope::Approve]);
    let shown: Session = anna.get(&world, paths::SESSION).read();
    assert_eq!(shown.csrf_token, anna.session.csrf_token);
    anna.send(&world, Method::Post, paths::GROUPS, &json!({ "name": "lab" })).expect(201);
    // A role allows what its scopes allow.
    anna.send(&world, Method::Post, paths::RELEASES, &json!({})).expect(403);
    let events = anna.get(&world, paths::EVENTS).expect(200).text();
    assert!(events.contains("user:anna"), "{events}");
    let ended = anna.send(&world, Method::Delete, paths::SESSION, &json!({})).expect(204);
    assert!(ended.headers.get("set-cookie").expect("a cookie").contains("Max-Age=0"));
    anna.get(&world, paths::SESSION).expect(401);
    anna.get(&world, paths::STATUS).expect(401);
}

#[test]
fn the_first_session_is_begun_by_the_administrators_token() {
    let world = World::new();
    let admin = browser(&try_log_in(&world, &json!({ "token": world.token })).expect(200));
    assert_eq!((admin.session.name.as_str(), admin.session.kind), ("admin", OperatorKind::Token));
    assert_eq!(admin.session.scopes, Scope::ALL);
    let new = json!({ "name": "anna", "password": PASSWORD, "roles": ["admin"] });
    admin.send(&world, Method::Post, paths::USERS, &new).expect(201);
    log_in(&world, "anna");
    // The session is as good as its token.
    admin.send(&world, Method::Delete, &paths::token("admin"), &json!({})).expect(204);
    admin.get(&world, paths::STATUS).expect(401);
}

#[test]
fn what_is_wrong_is_not_told_apart() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let wrong = [
        json!({ "user": "anna", "password": "correct horse batterz" }),
        json!({ "user": "nobody", "password": PASSWORD }),
        json!({ "user": "../anna", "password": PASSWORD }),
        json!({ "token": "updraft_0000" }),
        json!({ "token": "" }),
    ];
    let answers: Vec<Vec<u8>> =
        wrong.iter().map(|login| try_log_in(&world, login).expect(401).body).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(code_of(&try_log_in(&world, &wrong[0])), "wrong_credentials");
    for odd in [
        json!({}),
        json!({ "user": "anna" }),
        json!({ "user": "anna", "password": PASSWORD, "token": world.token }),
        json!({ "usr": "anna" }),
    ] {
        try_log_in(&world, &odd).expect(400);
    }
}

#[test]
fn guessing_is_slowed_down_and_ends_with_time() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    make_user(&world, "bert", &[Role::Viewer]);
    let guess = json!({ "user": "anna", "password": "correct horse batterz" });
    for _ in 0..5 {
        try_log_in(&world, &guess).expect(401);
    }
    // Each further one doubles the wait.
    let wait = loop {
        let answer = try_log_in(&world, &guess);
        if answer.status == 401 {
            continue;
        }
        assert_eq!(code_of(&answer), "too_many_attempts");
        let wait: i64 =
            answer.headers.get("retry-after").expect("a wait").parse().expect("seconds");
        if wait >= 30 {
            break wait;
        }
        world.clock.pass(wait);
    };
    // Even the right password, until the time has passed; others are not concerned.
    try_log_in(&world, &json!({ "user": "anna", "password": PASSWORD })).expect(429);
    log_in(&world, "bert");
    world.clock.pass(wait + 1);
    log_in(&world, "anna");
}

#[test]
fn other_sites_cannot_use_a_session() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Operator]);
    let anna = log_in(&world, "anna");
    let other = log_in(&world, "anna");
    let client = world.client(None, None);
    let body = || json!({ "name": "lab" }).to_string().into_bytes();
    let bare = || {
        let request = Request::new(Method::Post, world.url(paths::GROUPS)).body(body());
        request.header("Cookie", &anna.cookie)
    };
    let refused = |request: Request, code: &str| {
        let answer = ask(&client, request).expect(403);
        assert_eq!(code_of(&answer), code);
    };
    refused(bare(), "wrong_csrf_token");
    refused(bare().header("X-CSRF-Token", ""), "wrong_csrf_token");
    refused(bare().header("X-CSRF-Token", &other.session.csrf_token), "wrong_csrf_token");
    let good = || bare().header("X-CSRF-Token", &anna.session.csrf_token);
    for site in ["cross-site", "same-site", "", "Same-Origin"] {
        refused(good().header("Sec-Fetch-Site", site), "foreign_origin");
    }
    let port = world.address().port();
    for origin in ["null", "https://evil.example", &format!("https://localhost:{}", port ^ 1)] {
        refused(good().header("Origin", origin), "foreign_origin");
    }
    // Nobody is logged in, or out, by another site's page.
    let login = json!({ "user": "anna", "password": PASSWORD }).to_string().into_bytes();
    let login = Request::new(Method::Post, world.url(paths::SESSION)).body(login);
    refused(login.header("Sec-Fetch-Site", "cross-site"), "foreign_origin");
    let out = Request::new(Method::Delete, world.url(paths::SESSION));
    refused(out.header("Cookie", &anna.cookie), "wrong_csrf_token");
    // Our own pages may.
    let own = good().header("Sec-Fetch-Site", "same-origin");
    ask(&client, own.header("Origin", world.url(""))).expect(201);
    // A token is not sent by browsers by themselves, and needs nothing beside it.
    let new = json!({ "name": "lab-2" });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &new).expect(201);
}

#[test]
fn sessions_end_when_idle_and_in_any_case() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let anna = log_in(&world, "anna");
    world.clock.pass(61 * 60);
    anna.get(&world, paths::STATUS).expect(401);
    let anna = log_in(&world, "anna");
    for _ in 0..14 {
        world.clock.pass(50 * 60);
        anna.get(&world, paths::STATUS).expect(200);
    }
    // 11 hours and 40 minutes so far; it is used, but 12 hours are the end.
    world.clock.pass(21 * 60);
    anna.get(&world, paths::STATUS).expect(401);
}

#[test]
fn a_session_ends_with_its_password_its_account_and_its_restarted_server_keeps_it() {
    let mut world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let (one, other) = (log_in(&world, "anna"), log_in(&world, "anna"));
    world.restart();
    let path = paths::user_password("anna");
    let wrong = json!({ "current": "correct horse batterz", "new": "another good password" });
    one.send(&world, Method::Put, &path, &wrong).expect(403);
    one.send(&world, Method::Put, &path, &json!({ "new": "another good password" })).expect(403);
    let short = json!({ "current": PASSWORD, "new": "short" });
    one.send(&world, Method::Put, &path, &short).expect(400);
    other.get(&world, paths::STATUS).expect(200);
    let change = json!({ "current": PASSWORD, "new": "another good password" });
    one.send(&world, Method::Put, &path, &change).expect(204);
    one.get(&world, paths::STATUS).expect(200);
    other.get(&world, paths::STATUS).expect(401);
    try_log_in(&world, &json!({ "user": "anna", "password": PASSWORD })).expect(401);
    let admin = world.operator();
    let disable = json!({ "disabled": true });
    let user: User = world.send_json(&admin, Method::Patch, &paths::user("anna"), &disable).read();
    assert!(user.disabled_at.is_some());
    one.get(&world, paths::STATUS).expect(401);
    let login = json!({ "user": "anna", "password": "another good password" });
    try_log_in(&world, &login).expect(401);
    world.send_json(&admin, Method::Patch, &paths::user("anna"), &json!({ "disabled": false }));
    one.get(&world, paths::STATUS).expect(401);
    let again = browser(&try_log_in(&world, &login).expect(200));
    world.send(&admin, Method::Delete, &paths::user("anna"), "").expect(204);
    again.get(&world, paths::STATUS).expect(401);
    let users: Page<User> = world.get(&admin, paths::USERS).read();
    assert_eq!(users.items, []);
}

#[test]
fn one_time_codes_are_good_once() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let anna = log_in(&world, "anna");
    let path = paths::user_one_time_codes("anna");
    let begun: OneTimeSecret = anna.send(&world, Method::Post, &path, &json!({})).read();
    assert!(begun.uri.starts_with("otpauth://totp/Updraft:anna?secret="), "{}", begun.uri);
    let code = || totp(&begun.secret, &world);
    // Until it is confirmed nothing is asked for.
    log_in(&world, "anna");
    anna.send(&world, Method::Put, &path, &json!({ "code": "000000x" })).expect(403);
    let confirmed = code();
    let codes: RecoveryCodes =
        anna.send(&world, Method::Put, &path, &json!({ "code": confirmed })).read();
    let login = |code: &str| {
        let login = json!({ "user": "anna", "password": PASSWORD, "one_time_code": code });
        try_log_in(&world, &login)
    };
    let needed = try_log_in(&world, &json!({ "user": "anna", "password": PASSWORD })).expect(401);
    assert_eq!(code_of(&needed), "one_time_code_needed");
    // The code that confirmed was used by that.
    login(&confirmed).expect(401);
    world.clock.pass(30);
    let used = code();
    login(&used).expect(200);
    login(&used).expect(401);
    let recovery = &codes.codes[0];
    login(recovery).expect(200);
    login(recovery).expect(401);
    login(&codes.codes[1].to_uppercase().replace('-', " ")).expect(200);
    let shown: User = anna.get(&world, &paths::user("anna")).read();
    assert_eq!((shown.one_time_codes, shown.recovery_codes), (true, 8));
    // Neither the secret's owner's password nor a code is ever asked of an administrator who
    // takes the codes away, as when a phone was lost.
    world.send(&world.operator(), Method::Post, &path, "").expect(403);
    world.send(&world.operator(), Method::Delete, &path, "").expect(204);
    log_in(&world, "anna");
}

/// What an authenticator app shows, by another implementation than the server's.
fn totp(secret: &str, world: &World) -> String {
    use std::process::Command;
    let secret = hex::encode(BASE32_NOPAD.decode(secret.as_bytes()).expect("Base32"));
    let step = world.environment().now().as_second() / 30;
    let program = "import hmac,sys\n\
        tag = hmac.digest(bytes.fromhex(sys.argv[1]), int(sys.argv[2]).to_bytes(8, 'big'), 'sha1')\n\
        at = tag[-1] & 15\n\
        print('%06d' % ((int.from_bytes(tag[at:at+4], 'big') & 0x7fffffff) % 10**6))";
    let step = step.to_string();
    let output =
        Command::new("python3").args(["-c", program, &secret, &step]).output().expect("python3");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn tokens_of_users_may_do_no_more_than_their_owners() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Operator, Role::Publisher]);
    make_user(&world, "bert", &[Role::Viewer]);
    let (anna, bert) = (log_in(&world, "anna"), log_in(&world, "bert"));
    let new = |name: &str, scopes: &[&str]| json!({ "name": name, "scopes": scopes, "days": 30 });
    anna.send(&world, Method::Post, paths::TOKENS, &new("ci", &["admin"])).expect(403);
    anna.send(&world, Method::Post, paths::TOKENS, &new("ci", &[])).expect(400);
    anna.send(&world, Method::Post, paths::TOKENS, &json!({ "name": "ci", "scopes": ["read"] }))
        .expect(400);
    let made = anna
        .send(&world, Method::Post, paths::TOKENS, &new("ci", &["operate", "publish"]))
        .expect(201);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let ci = world.client(None, Some(&token));
    let group = |name: &str| json!({ "name": name });
    world.send_json(&ci, Method::Post, paths::GROUPS, &group("lab")).expect(201);
    let status: Status = world.get(&ci, paths::STATUS).read();
    assert_eq!(status.token, "anna");
    // It is seen by its owner and by who manages users.
    let listed = |client: &Client| -> Vec<String> {
        let all: Vec<ApiToken> = world.get(client, paths::TOKENS).read();
        all.into_iter().map(|token| token.name).collect()
    };
    assert_eq!(listed(&ci), ["ci"]);
    assert_eq!(listed(&world.operator()), ["admin", "ci"]);
    let theirs: Vec<ApiToken> = bert.get(&world, paths::TOKENS).read();
    assert_eq!(theirs, []);
    bert.send(&world, Method::Delete, &paths::token("ci"), &json!({})).expect(404);
    // What its owner may not do any more, it may not either.
    let update = json!({ "roles": ["publisher"] });
    world.send_json(&world.operator(), Method::Patch, &paths::user("anna"), &update).expect(200);
    world.send_json(&ci, Method::Post, paths::GROUPS, &group("lab-2")).expect(403);
    anna.send(&world, Method::Delete, &paths::token("ci"), &json!({})).expect(204);
    world.get(&ci, paths::STATUS).expect(401);
}

#[test]
fn nobody_makes_somebody_who_may_do_more() {
    let world = World::new();
    let clerk = world.client(None, Some(&world.make_token("clerk", Scope::Users)));
    let new = |name: &str, role: &str| {
        let new = json!({ "name": name, "password": PASSWORD, "roles": [role] });
        world.send_json(&clerk, Method::Post, paths::USERS, &new).status
    };
    assert_eq!((new("v", "viewer"), new("o", "operator"), new("a", "admin")), (201, 403, 403));
    make_user(&world, "root", &[Role::Admin]);
    let change = json!({ "new": "another good password" });
    world.send_json(&clerk, Method::Put, &paths::user_password("root"), &change).expect(403);
    world.send_json(&clerk, Method::Put, &paths::user_password("v"), &change).expect(204);
    world.send(&clerk, Method::Delete, &paths::user("root"), "").expect(403);
    world.send(&clerk, Method::Delete, &paths::user_one_time_codes("root"), "").expect(403);
    let update = json!({ "roles": ["admin"] });
    world.send_json(&clerk, Method::Patch, &paths::user("v"), &update).expect(403);
    world.send(&clerk, Method::Delete, &paths::token("admin"), "").expect(403);
    world.send(&clerk, Method::Delete, &paths::user("v"), "").expect(204);
}

#[test]
fn secrets_are_not_in_the_database() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let anna = log_in(&world, "anna");
    let id = anna.cookie.split_once('=').expect("a pair").1.to_owned();
    let raw = hex::decode(&id).expect("hexadecimal digits");
    world.fleet().flush().expect("flushed");
    for entry in std::fs::read_dir(world.layout.root()).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("file");
            for secret in [PASSWORD.as_bytes(), id.as_bytes(), raw.as_slice()] {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{}", path.display());
            }
        }
    }
}

#[test]
fn over_plain_http_the_cookie_is_plain_and_a_trusted_proxy_tells_of_tls() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let login = || {
        let login = json!({ "user": "anna", "password": PASSWORD }).to_string().into_bytes();
        Request::new(Method::Post, world.plain_url(paths::SESSION)).body(login)
    };
    let client = world.client(None, None);
    let cookie = |request| {
        let answer = ask(&client, request).expect(200);
        answer.headers.get("set-cookie").expect("a cookie").to_owned()
    };
    let plain = cookie(login());
    assert!(plain.starts_with("updraft_session=") && !plain.contains("Secure"), "{plain}");
    let proxied = cookie(login().header("X-Forwarded-Proto", "https"));
    assert!(proxied.starts_with("__Host-updraft_session="), "{proxied}");
    assert!(proxied.contains("; Secure"), "{proxied}");
}

#[test]
fn ones_sessions_are_listed_and_ended() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Operator]);
    make_user(&world, "bert", &[Role::Operator]);
    let (here, there, bert) =
        (log_in(&world, "anna"), log_in(&world, "anna"), log_in(&world, "bert"));
    let path = format!("{}/anna/sessions", paths::USERS);
    let list = |browser: &Browser| -> Vec<OpenSession> { browser.get(&world, &path).read() };
    let sessions = list(&here);
    assert_eq!(sessions.iter().filter(|session| session.current).count(), 1);
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| !session.current).expect("another").id.clone();
    let end = |browser: &Browser, id: &str| {
        browser.send(&world, Method::Delete, &format!("{path}/{id}"), &Value::Null)
    };
    // What a list shows lets nobody in.
    let cookie = format!("__Host-updraft_session={other}");
    let request = Request::new(Method::Get, world.url(paths::SESSION)).header("cookie", cookie);
    ask(&world.client(None, None), request).expect(401);
    // Nobody else's, and none that there is not.
    bert.get(&world, &path).expect(403);
    end(&bert, &other).expect(403);
    end(&here, &"0".repeat(64)).expect(404);
    end(&here, "x").expect(404);
    there.get(&world, paths::SESSION).expect(200);
    end(&here, &other).expect(204);
    there.get(&world, paths::SESSION).expect(401);
    assert_eq!(list(&here).len(), 1);
    end(&here, &other).expect(404);
    // Who manages users may.
    let all: Vec<OpenSession> = world.get(&world.operator(), &path).read();
    assert!(all.len() == 1 && !all[0].current);
    let one = format!("{path}/{}", all[0].id);
    world.send(&world.operator(), Method::Delete, &one, "").expect(204);
    here.get(&world, paths::SESSION).expect(401);
}
