//! Operators who may publish for one delegated role only.

use updraft_api::{ImageChange, Scope, paths};
use updraft_crypto::SigningKey;
use updraft_http::{Client, Method};
use updraft_publish::Draft;
use updraft_server_service::fleet::operators::TokenOptions;
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Hashes, Key, RoleKeys, Sign as _, Target,
    Targets,
};

use crate::device::HARDWARE;
use crate::operator::{Build, Operator, in_days, key, new_release, ostree_target};
use crate::world::{Answer, World};

/// Delegates `team-*` for the test hardware, and `other-*`, to two roles; both have targets.
fn delegate(world: &World, operator: &mut Operator) -> (SigningKey, SigningKey) {
    let (team, other) = (key(), key());
    let targets = operator.draft_targets(world, |targets| {
        let mut all = Delegations::empty();
        for (name, key, hardware) in
            [("team", &team, Some(vec![HARDWARE.to_owned()])), ("other", &other, None)]
        {
            let id = key.public_key().key_id(Dialect::Uptane);
            all.keys.insert(id.clone(), Key::new(Dialect::Uptane, key.public_key().clone()));
            let paths = DelegatedPaths::Patterns(vec![format!("{name}-*")]);
            let role = DelegatedRole::new(name, RoleKeys::new(vec![id], 1), paths);
            all.roles.push(DelegatedRole { hardware_ids: hardware, ..role });
        }
        targets.delegations = Some(all);
    });
    operator.upload_targets(world, &targets).expect(200);
    (team, other)
}

/// Targets of a role, signed.
fn signed(
    world: &World,
    operator: &mut Operator,
    (role, key): (&str, &SigningKey),
    edit: impl FnOnce(&mut Targets),
) -> Vec<u8> {
    let expires = in_days(world, 30);
    let draft = operator.repository.draft_delegated(role, expires, Vec::new(), edit);
    let mut draft: Draft = draft.expect("a delegation");
    draft.sign(&[key]).expect("signed");
    draft.finish().expect("enough signatures")
}

fn put(world: &World, client: &Client, role: &str, bytes: Vec<u8>) -> Answer {
    world.send(client, Method::Put, &paths::image_delegation(role), bytes)
}

#[test]
fn an_operator_limited_to_a_role_uploads_what_the_delegation_allows_and_nothing_else() {
    let world = World::new();
    let mut operator = Operator::new(&world);
    let (team, other) = delegate(&world, &mut operator);
    let role = Some("team".to_owned());
    let options = TokenOptions { scope: Scope::Publish, role, days: None };
    let client = world.client(None, Some(&world.make_token_with("team-ci", options)));

    // What is its own: content, targets, releases, branches of its name.
    let content = b"firmware of the team";
    let file = |targets: &mut Targets| {
        let mut target = Target::new(content.len() as u64, Hashes::of(content));
        target.custom = Some(serde_json::json!({ "hardwareIds": [HARDWARE] }));
        targets.targets.insert("team-fw".to_owned(), target);
    };
    let build = Build::new(&world, "own", "tree");
    let push = |branch: &str| {
        let repo = updraft_repo::Repo::open(&build.repo).expect("repository");
        let commit = build.commit.parse().expect("commit");
        let context = updraft_task::Context::silent();
        let base = world.url(paths::TREEHUB);
        updraft_repo::push::push(&context, &repo, &client, &base, &commit, Some(branch))
    };
    let commit = build.commit.clone();
    let bytes = signed(&world, &mut operator, ("team", &team), |targets| {
        file(targets);
        targets.targets.insert("team-os".to_owned(), ostree_target(&commit, &[HARDWARE]));
    });
    put(&world, &client, "team", bytes.clone()).expect(200);
    operator.repository.accept_delegated("team", &bytes, world.environment().now()).expect("same");
    let upload = |client: &Client, name: &str, content: &[u8]| {
        world.send(client, Method::Put, &paths::image_file(name), content)
    };
    upload(&client, "team-fw", content).expect(201);
    push("team/main").expect("pushed");
    let release = |name: &str, target: &str| {
        let new = new_release(name, target, &build.commit);
        world.send_json(&client, Method::Post, paths::RELEASES, &new)
    };
    release("v1", "team-os").expect(201);

    // What its delegation does not allow.
    for (path, hardware, why) in
        [("other-os", HARDWARE, "other-os"), ("team-2", "toaster", "team-2")]
    {
        let bytes = signed(&world, &mut operator, ("team", &team), |targets| {
            targets.targets.insert(path.to_owned(), ostree_target(&commit, &[hardware]));
        });
        let text = put(&world, &client, "team", bytes).expect(403).text();
        assert!(text.contains(why) && !text.contains("limited to the role"), "{text}");
    }

    // What belongs to others, and what is no role's.
    let others = signed(&world, &mut operator, ("other", &other), |targets| {
        targets.targets.insert("other-os".to_owned(), ostree_target(&commit, &[HARDWARE]));
    });
    put(&world, &client, "other", others.clone()).expect(403);
    let text = String::from_utf8(others.clone()).expect("text");
    let change =
        ImageChange { delegations: [("other".to_owned(), text)].into(), ..ImageChange::default() };
    world.send_json(&client, Method::Post, paths::IMAGE_CHANGE, &change).expect(403);
    put(&world, &world.operator(), "other", others).expect(200);
    upload(&client, "other-os", b"x").expect(403);
    upload(&client, "nobodys", b"x").expect(403);
    release("v2", "other-os").expect(403);
    push("main").expect_err("a branch of others");
    push("teams/main").expect_err("a branch of others");
    let top = operator.draft_targets(&world, |_| {});
    world.send(&client, Method::Put, paths::IMAGE_TARGETS, top).expect(403);
    world.send(&client, Method::Put, paths::IMAGE_ROOT, "{}").expect(403);
    world.send(&client, Method::Post, "/api/v1/user_repo/targets/team-x", "{}").expect(400);
    let path = "/api/v1/user_repo/targets/team-x?name=a&version=1";
    world.send(&client, Method::Put, path, "x").expect(403);
    let rollout = serde_json::json!({ "name": "r", "release": "v1" });
    world.send_json(&client, Method::Post, paths::ROLLOUTS, &rollout).expect(403);
    world.get(&client, paths::RELEASES).expect(200);

    // A limit belongs to those who publish.
    let role = Some("team".to_owned());
    let options = TokenOptions { scope: Scope::Admin, role, days: None };
    let made = updraft_server_service::fleet::operators::create_token(
        world.fleet().database(),
        &world.environment(),
        "wrong",
        options,
    );
    made.expect_err("no limit for administrators");
}
