//! The audit log: nothing is missing in it, and nobody can change it unseen.

use rusqlite::Connection;
use serde_json::json;
use updraft_api::{AuditEntry, AuditOutcome, Page, Role, Scope, paths};
use updraft_http::{Method, Request};
use updraft_server_service::storage::audit::{self, Checkpoint};

use crate::sessions::{PASSWORD, log_in, make_user, try_log_in};
use crate::world::{World, ask};

fn entries(world: &World, query: &str) -> Vec<AuditEntry> {
    let joint = if query.contains('?') { '&' } else { '?' };
    let path = format!("{}{query}{joint}order=oldest", paths::AUDIT);
    let page: Page<AuditEntry> = world.get(&world.operator(), &path).read();
    page.items
}

fn told(entries: &[AuditEntry]) -> Vec<(&str, &str, &str, &str)> {
    entries
        .iter()
        .map(|entry| {
            (
                entry.actor.as_str(),
                entry.credential.as_str(),
                entry.action.as_str(),
                entry.object.as_str(),
            )
        })
        .collect()
}

fn verified(world: &World, pinned: Option<&Checkpoint>) -> Result<Checkpoint, String> {
    world.database().read("verify", |reader| audit::verify(reader, pinned)).expect("read")
}

#[test]
fn who_did_what_over_every_interface() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Operator]);
    let anna = log_in(&world, "anna");
    anna.send(&world, Method::Post, paths::GROUPS, &json!({ "name": "lab" })).expect(201);
    anna.send(&world, Method::Put, &paths::group("lab"), &json!({ "description": "x" }))
        .expect(200);
    // Reading, and what changes nothing, is not in it.
    anna.get(&world, paths::GROUPS).expect(200);
    anna.send(&world, Method::Post, paths::GROUPS, &json!({ "name": "lab" })).expect(409);
    let admin = world.operator();
    let hawkbit = json!([{ "controllerId": "d1", "name": "d1" }]);
    let request = Request::new(Method::Post, world.url("/rest/v1/targets"))
        .header("Content-Type", "application/json")
        .body(hawkbit.to_string().into_bytes());
    ask(&admin, request).expect(201);
    let ota = json!({ "name": "night", "groupType": "static" });
    let path = "/deviceregistry/api/v1/device_groups";
    world.send_json(&admin, Method::Post, path, &ota).expect(201);
    anna.send(&world, Method::Delete, paths::SESSION, &json!({})).expect(204);
    let all = entries(&world, "");
    assert_eq!(
        told(&all),
        [
            ("user:anna", "password", "log in", "POST /api/v1/session"),
            ("user:anna", "session", "make a group", "POST /api/v1/groups"),
            ("user:anna", "session", "change a group", "PUT /api/v1/groups/lab"),
            ("token:admin", "token:admin", "make targets", "POST /rest/v1/targets"),
            (
                "token:admin",
                "token:admin",
                "make a group",
                "POST /deviceregistry/api/v1/device_groups"
            ),
            ("user:anna", "session", "log out", "DELETE /api/v1/session"),
        ]
    );
    assert!(all.iter().all(|entry| entry.outcome == AuditOutcome::Done));
    assert!(all.iter().all(|entry| entry.address.as_deref() == Some("127.0.0.1")));
    assert_eq!(all[1].details, ["group lab was made"]);
    assert_eq!(verified(&world, None).expect("whole").number, 6);
    // Filters.
    assert_eq!(entries(&world, "?actor=token:admin").len(), 2);
    assert_eq!(entries(&world, "?action=change%20a%20group").len(), 1);
    assert_eq!(entries(&world, "?object=device_groups").len(), 1);
    assert_eq!(entries(&world, "?after=4").len(), 2);
    // Without a word on the order, the newest first; pages go on in the same order.
    let page = |query: &str| -> (Vec<u64>, Option<String>) {
        let page: Page<AuditEntry> =
            world.get(&world.operator(), &format!("{}{query}", paths::AUDIT)).read();
        (page.items.iter().map(|entry| entry.number).collect(), page.next)
    };
    assert_eq!(page(""), (vec![6, 5, 4, 3, 2, 1], None));
    assert_eq!(page("?limit=4"), (vec![6, 5, 4, 3], Some("3".to_owned())));
    assert_eq!(page("?limit=4&after=3"), (vec![2, 1], None));
    assert_eq!(page("?limit=2&order=oldest&after=3"), (vec![4, 5], Some("5".to_owned())));
    world.get(&world.operator(), &format!("{}?order=odd", paths::AUDIT)).expect(400);
    let future = world.environment().now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(entries(&world, &format!("?since={future}")).len(), 0);
    assert_eq!(entries(&world, &format!("?until={future}")).len(), 6);
}

#[test]
fn what_was_refused_is_in_it_and_a_flood_is_not() {
    let world = World::new();
    make_user(&world, "anna", &[Role::Viewer]);
    let wrong = json!({ "user": "anna", "password": "correct horse batterz" });
    try_log_in(&world, &wrong).expect(401);
    try_log_in(&world, &json!({ "token": "updraft_0000" })).expect(401);
    let reader = world.client(None, Some(&world.make_token("reader", Scope::Read)));
    let refused = world.send_json(&reader, Method::Post, paths::GROUPS, &json!({ "name": "x" }));
    assert_eq!(refused.status, 403);
    world.get(&world.client(None, Some("updraft_0000")), paths::STATUS).expect(401);
    // A visitor who shows nothing is no operator who is refused something.
    world.get(&world.client(None, None), paths::STATUS).expect(401);
    let all = entries(&world, "");
    assert_eq!(
        told(&all),
        [
            ("user:anna", "password", "refuse", "POST /api/v1/session"),
            ("unknown", "token", "refuse", "POST /api/v1/session"),
            ("token:reader", "token:reader", "refuse", "POST /api/v1/groups"),
            ("unknown", "authorization", "refuse", "GET /api/v1/status"),
        ]
    );
    assert!(all.iter().all(|entry| entry.outcome == AuditOutcome::Refused));
    assert_eq!(all[2].details, ["403 insufficient_scope"]);
    let id = refused.headers.get("x-request-id").expect("an id");
    assert_eq!(all[2].request_id, id);
    let stranger = world.client(None, Some("updraft_0000"));
    for _ in 0..300 {
        world.get(&stranger, paths::STATUS).expect(401);
    }
    assert!(entries(&world, "?limit=1000").len() <= 4 + 2 * 120);
    // Who may read, and who not.
    world.get(&reader, paths::AUDIT).expect(403);
    let auditor = world.client(None, Some(&world.make_token("auditor", Scope::Audit)));
    world.get(&auditor, paths::AUDIT).expect(200);
    assert!(!world.get(&auditor, paths::AUDIT).text().contains(PASSWORD));
}

#[test]
fn a_change_that_fails_leaves_no_entry_and_an_entry_that_fails_no_change() {
    let mut world = World::with_sqlite();
    let group = json!({ "name": "lab" });
    world.stop();
    let database = Connection::open(world.layout.database()).expect("database");
    database
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON audit
             WHEN json_extract(new.entry, '$.action') = 'make a group' BEGIN SELECT raise(ABORT, 'broken'); END;",
        )
        .expect("a trigger");
    world.start();
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(500);
    world.get(&world.operator(), &paths::group("lab")).expect(404);
    database.execute_batch("DROP TRIGGER broken").expect("dropped");
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    assert_eq!(entries(&world, "").len(), 1);
}

/// A log of five entries in a server that is stopped.
fn log_of_five() -> (World, Connection) {
    let mut world = World::with_sqlite();
    for n in 0..5 {
        let group = json!({ "name": format!("lab-{n}") });
        world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    }
    world.stop();
    let database = Connection::open(world.layout.database()).expect("database");
    (world, database)
}

#[test]
fn the_database_refuses_to_change_it() {
    let (world, database) = log_of_five();
    for statement in [
        "UPDATE audit SET entry = '{}' WHERE number = 2",
        "DELETE FROM audit WHERE number = 5",
        "DELETE FROM audit",
        "REPLACE INTO audit (number, entry, hash, at) VALUES (2, '{}', x'00', 0)",
        "INSERT INTO audit (number, entry, hash, at) VALUES (9, '{}', x'00', 0)",
        "INSERT INTO audit (entry, hash, at) VALUES ('{}', x'00', 0)",
    ] {
        let refused = database.execute(statement, []).expect_err(statement).to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(verified(&world, None).expect("whole").number, 5);
}

#[test]
fn whoever_changes_it_all_the_same_is_found_out() {
    let check = |what: &str, statement: &str, expected: &str| {
        let (world, database) = log_of_five();
        let pinned = verified(&world, None).expect("whole");
        database
            .execute_batch(
                "DROP TRIGGER audit_update; DROP TRIGGER audit_delete; DROP TRIGGER audit_insert;",
            )
            .expect("dropped");
        database.execute_batch(statement).expect(what);
        let found = verified(&world, Some(&pinned)).expect_err(what);
        assert_eq!(found, expected, "{what}");
    };
    check(
        "an actor is changed",
        "UPDATE audit SET entry = replace(entry, 'token:admin', 'token:other') WHERE number = 3",
        "entry 3 was changed",
    );
    check(
        "a time is changed",
        "UPDATE audit SET at = at - 1 WHERE number = 3",
        "entry 3 was changed",
    );
    check("an entry is removed", "DELETE FROM audit WHERE number = 3", "entry 3 was removed");
    check(
        "an entry is removed and the gap closed",
        "DELETE FROM audit WHERE number = 3;
         UPDATE audit SET number = number - 1 WHERE number > 3;",
        "entry 3 was changed",
    );
    check(
        "an entry is inserted",
        "UPDATE audit SET number = -number - 1 WHERE number > 2;
         UPDATE audit SET number = -number WHERE number < 0;
         INSERT INTO audit (number, entry, hash, at) SELECT 3, entry, hash, at FROM audit
             WHERE number = 2;",
        "entry 3 was changed",
    );
    check(
        "the end is removed",
        "DELETE FROM audit WHERE number > 3",
        "entries 4 to 5 were removed: the log ends before the one that was pinned",
    );
}

#[test]
fn a_whole_new_chain_is_not_the_pinned_one() {
    let (world, _) = log_of_five();
    let (other, _) = log_of_five();
    let pinned = verified(&world, None).expect("whole");
    assert_eq!(verified(&world, Some(&pinned)), Ok(pinned.clone()));
    let found = verified(&other, Some(&pinned)).expect_err("another chain");
    assert_eq!(found, "entry 5 is not the one that was pinned");
    assert_eq!(pinned.to_string().parse(), Ok(pinned));
}

/// The chain can be followed by whoever has the export, with another program.
#[test]
fn another_program_follows_the_chain() {
    let (mut world, _) = log_of_five();
    world.start();
    let page = world.get(&world.operator(), &format!("{}?order=oldest", paths::AUDIT));
    let page = page.expect(200);
    let path = world.folder.path().join("page.json");
    std::fs::write(&path, &page.body).expect("written");
    let program = "import hashlib, json, sys\n\
        previous = '0' * 64\n\
        for entry in json.load(open(sys.argv[1]))['items']:\n\
        \x20   own = entry.pop('hash')\n\
        \x20   text = json.dumps(entry, sort_keys=True, separators=(',', ':'))\n\
        \x20   assert entry['previous'] == previous\n\
        \x20   assert hashlib.sha256(text.encode()).hexdigest() == own, text\n\
        \x20   previous = own\n\
        print(previous)";
    let output = std::process::Command::new("python3")
        .args(["-c", program])
        .arg(&path)
        .output()
        .expect("python3");
    let last = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(last, verified(&world, None).expect("whole").hash, "{trouble}");
}
