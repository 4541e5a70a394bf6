//! Who may do what, as a whole: every operation of `/api/v1` that the OpenAPI document has, by every
//! role and by those who may nothing. A new operation changes the table, and so does a new answer.

use std::fmt::Write as _;

use serde_json::Value;
use updraft_api::{Role, paths};
use updraft_http::{Client, Method, Request};

use crate::sessions::{Browser, log_in, make_user};
use crate::world::World;

/// Methods and paths, those of sessions last: logging out ends what the others need.
fn operations() -> Vec<(Method, String)> {
    let description: Value =
        serde_json::from_str(&updraft_server_service::http::openapi::json()).expect("JSON");
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let method = match method.as_str() {
                "get" => Method::Get,
                "post" => Method::Post,
                "put" => Method::Put,
                "patch" => Method::Patch,
                "delete" => Method::Delete,
                other => panic!("{other} {path}"),
            };
            all.push((method, path.clone()));
        }
    }
    all.sort_by_key(|(method, path)| {
        (path == paths::SESSION, path.clone(), *method == Method::Delete, format!("{method:?}"))
    });
    all
}

/// A path that leads to nothing that there is.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        let part = match part {
            "{version}" | "{log}" => "99",
            "{sha256}" => "0000",
            part if part.starts_with('{') => "none",
            part => part,
        };
        write!(filled, "/{part}").expect("a part");
    }
    filled
}

#[test]
fn the_whole_matrix_of_permissions() {
    let world = World::new();
    for role in Role::ALL {
        make_user(&world, role.name(), &[role]);
    }
    make_user(&world, "late", &[Role::Admin]);
    let late = log_in(&world, "late");
    world.clock.pass(2 * 3600);
    let client = world.client(None, None);
    let admin = log_in(&world, "admin");
    let stranger = Browser {
        cookie: format!("{}=00{}", "__Host-updraft_session", "ab".repeat(31)),
        ..admin.clone()
    };
    let bare = |method: Method, path: &str| Request::new(method, world.url(path)).body(Vec::new());
    // The body is not read: the stream of events has no end.
    let status =
        |client: &Client, request: Request| client.send(request).expect("an answer").status;
    let browsers: Vec<(Role, Browser)> =
        Role::ALL.into_iter().map(|role| (role, log_in(&world, role.name()))).collect();
    let mut table = format!("{:75} nobody stranger ended no-csrf", "");
    for role in Role::ALL {
        write!(table, " {role}").expect("a cell");
    }
    table.push('\n');
    for (method, path) in operations() {
        let at = filled(&path);
        let as_browser = |browser: &Browser| browser.request(&world, method, &at).body(Vec::new());
        let nobody = status(&client, bare(method, &at));
        let foreign = status(&client, as_browser(&stranger));
        let ended = status(&client, as_browser(&late));
        let without = bare(method, &at).header("Cookie", &admin.cookie);
        let no_csrf = status(&client, without);
        let name = format!("{method:?} {path}");
        write!(table, "{name:75} {nobody:6} {foreign:8} {ended:5} {no_csrf:7}").expect("cells");
        for (role, browser) in &browsers {
            let width = role.name().len();
            let answer = status(&client, as_browser(browser));
            write!(table, " {answer:width$}").expect("a cell");
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}
