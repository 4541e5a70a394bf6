//! Who may use the interface of the OTA world's servers, route by route.

use std::collections::BTreeSet;
use std::path::Path;

use updraft_api::Scope;
use updraft_http::Method;

use crate::world::World;

/// Everything that has a route, by method; `x` stands for any name. Below `/api/v1/devices/x` there
/// are those of this server's own interface, too, whose paths these are.
const ROUTES: &[(Method, &[&str])] = &[
    (
        Method::Get,
        &[
            "/api/v1/user_repo/root",
            "/api/v1/user_repo/root/private_keys/x",
            "/api/v1/user_repo/targets.json",
            "/api/v1/user_repo/comments",
            "/api/v1/user_repo/comments/x",
            "/api/v1/user_repo/target_items",
            "/api/v1/user_repo/target_items/x",
            "/api/v1/user_repo/trusted-delegations",
            "/api/v1/user_repo/trusted-delegations/keys",
            "/api/v1/user_repo/trusted-delegations/info",
            "/api/v1/user_repo/trusted-delegations/x/info",
            "/api/v1/user_repo/delegations/x.json",
            "/api/v1/user_repo/delegations_items",
            "/api/v1/user_repo/targets/x",
            "/api/v1/admin/repo/root.json",
            "/api/v1/admin/devices/x/ecus/x/auto_update",
            "/api/v1/device_groups/x/auto_update",
            "/api/v2/campaigns/x/deliveries",
            "/api/v1/admin/repo/offline-updates/x",
            "/api/v1/admin/devices",
            "/api/v1/admin/devices/hardware_identifiers",
            "/api/v1/admin/devices/ecus",
            "/api/v1/admin/devices/x",
            "/api/v1/admin/devices/x/images",
            "/api/v1/admin/devices/x/queue",
            "/api/v1/admin/devices/x/ecus/public_key",
            "/api/v1/admin/devices/x/ecus/x/public_key",
            "/api/v1/multi_target_updates",
            "/api/v1/multi_target_updates/x",
            "/api/v1/assignments",
            "/api/v1/assignments/devices",
            "/api/v1/assignments/x",
            "/api/v1/updates",
            "/api/v1/updates/x/devices",
            "/api/v1/updates/devices/x",
            "/api/v1/updates/devices/x/x",
            "/api/v1/updates/devices/x/x/events",
            "/api/v1/root/x",
            "/api/v1/root/x/unsigned",
            "/api/v1/root/x/keys/x",
            "/api/v1/root/x/keys/targets/pairs",
            "/api/v1/root/x/1",
            "/api/v1/devices",
            "/api/v1/devices/x",
            "/api/v1/devices/x/device_tags",
            "/api/v1/device_tags",
            "/api/v1/devices/count",
            "/api/v1/devices/stats",
            "/api/v1/devices/x/groups",
            "/api/v1/devices/x/packages",
            "/api/v1/devices/x/installation_reports",
            "/api/v1/devices/x/installation_history",
            "/api/v1/devices/x/system_info",
            "/api/v1/devices/x/system_info/network",
            "/api/v1/devices/x/system_info/config",
            "/api/v1/device_groups",
            "/api/v1/device_groups/x",
            "/api/v1/device_groups/x/count",
            "/api/v1/device_groups/x/devices",
            "/deviceregistry/api/v1/devices",
            "/deviceregistry/api/v1/devices/x",
            "/deviceregistry/api/v1/devices/x/events",
            "/treehub/api/v3/manifests/x",
            "/treehub/api/v3/config",
            "/treehub/api/v3/refs/heads/x",
            "/api/v2/updates",
            "/api/v2/updates/x",
            "/api/v2/campaigns",
            "/api/v2/campaigns/x",
            "/api/v2/campaigns/x/stats",
        ],
    ),
    (
        Method::Post,
        &[
            "/api/v1/user_repo",
            "/api/v1/user_repo/root",
            "/api/v1/user_repo/targets/x",
            "/api/v1/admin/repo",
            "/api/v1/admin/repo/root",
            "/api/v1/admin/repo/offline-updates/x",
            "/api/v1/admin/images/installed_count",
            "/api/v1/admin/devices",
            "/api/v1/admin/devices/list-installed-targets",
            "/api/v1/admin/devices/x/receipts",
            "/api/v1/multi_target_updates",
            "/api/v1/assignments",
            "/api/v1/updates/devices",
            "/api/v1/updates/devices/x",
            "/api/v1/root/x/unsigned",
            "/api/v1/devices",
            "/deviceregistry/api/v1/devices",
            "/api/v1/device_tags",
            "/api/v1/device_groups",
            "/api/v1/device_groups/x/devices/x",
            "/api/v1/device_groups/x/x",
            "/api/v2/updates",
            "/api/v2/campaigns",
            "/api/v2/campaigns/x/launch",
            "/api/v2/campaigns/x/cancel",
            "/treehub/api/v3/config",
            "/treehub/api/v3/refs/heads/x",
        ],
    ),
    (
        Method::Put,
        &[
            "/api/v1/user_repo/root/rotate",
            "/api/v1/user_repo/targets",
            "/api/v1/user_repo/targets/expire/not-before",
            "/api/v1/user_repo/targets/x",
            "/api/v1/user_repo/uploads/x",
            "/api/v1/user_repo/comments/x",
            "/api/v1/user_repo/trusted-delegations",
            "/api/v1/user_repo/trusted-delegations/keys",
            "/api/v1/user_repo/trusted-delegations/x/remote",
            "/api/v1/user_repo/trusted-delegations/x/remote/refresh",
            "/api/v1/user_repo/delegations/x.json",
            "/api/v1/admin/devices/x/targets.json",
            "/api/v1/admin/devices/x/multi_target_update/x",
            "/api/v1/admin/devices/x/ecus/x/auto_update/x",
            "/api/v1/root/x/rotate",
            "/api/v1/device_groups/x/auto_update/x",
            "/api/v1/devices",
            "/deviceregistry/api/v1/devices",
            "/api/v1/devices/x",
            "/deviceregistry/api/v1/devices/x",
            "/api/v1/device_tags/x",
            "/api/v2/campaigns/x",
            "/treehub/api/v3/config",
            "/treehub/api/v3/manifests/x",
            "/treehub/api/v3/refs/heads/x",
        ],
    ),
    (
        Method::Patch,
        &[
            "/api/v1/user_repo/targets/x",
            "/api/v1/user_repo/proprietary-custom/x",
            "/api/v1/user_repo/trusted-delegations/x/info",
            "/api/v1/assignments",
            "/api/v1/assignments/x",
            "/api/v1/updates/x",
            "/api/v1/updates/devices/x/x",
            "/api/v1/devices/x",
            "/deviceregistry/api/v1/devices/x",
            "/api/v1/devices/x/device_tags",
        ],
    ),
    (
        Method::Delete,
        &[
            "/api/v1/user_repo/root/private_keys/x",
            "/api/v1/user_repo/trusted-delegations/x",
            "/api/v1/user_repo/targets/x",
            "/api/v1/admin/devices/x/ecus/x/auto_update/x",
            "/api/v1/assignments/x",
            "/api/v1/root/x/private_keys/x",
            "/api/v1/devices/x",
            "/api/v1/device_tags/x",
            "/deviceregistry/api/v1/devices/x",
            "/api/v1/device_groups/x",
            "/api/v1/device_groups/x/auto_update/x",
            "/api/v1/device_groups/x/devices/x",
        ],
    ),
];

#[test]
fn every_route_of_the_ota_world_demands_a_token() {
    let world = World::new();
    let nobody = world.client(None, None);
    let wrong = world.client(None, Some("updraft_0000"));
    for (method, paths) in ROUTES {
        for path in *paths {
            for client in [&nobody, &wrong] {
                let body = if *method == Method::Get { "" } else { "{}" };
                let status = world.send(client, *method, path, body).status;
                assert_eq!(status, 401, "{method:?} {path}");
            }
        }
    }
}

#[test]
fn a_token_for_reading_changes_nothing_and_sees_no_private_key() {
    let world = World::new();
    crate::ota_repository::create(&world);
    let token = world.make_token("reader", Scope::Read);
    let reader = world.client(None, Some(&token));
    // These give what they are asked for in a body.
    let questions = ["installed_count", "list-installed-targets"];
    for (method, paths) in ROUTES.iter().filter(|(method, _)| *method != Method::Get) {
        for path in paths.iter().filter(|path| !questions.iter().any(|it| path.ends_with(it))) {
            let status = world.send(&reader, *method, path, "{}").status;
            assert!((400..500).contains(&status) && status != 401, "{method:?} {path}: {status}");
        }
    }
    for path in ["/api/v1/user_repo/root/private_keys/x", "/api/v1/user_repo/root/rotate"] {
        let method = if path.ends_with("rotate") { Method::Put } else { Method::Get };
        assert_eq!(world.send(&reader, method, path, "").status, 403, "{path}");
    }
}

/// Where the routes of each file are found; all together have every path of the table.
const FILES: &[(&str, &[&str])] = &[
    ("reposerver.rs", &["/api/v1", "/api/v1/user_repo"]),
    ("director.rs", &["/api/v1", "/api/v1/admin"]),
    ("keyserver.rs", &["/api/v1"]),
    ("registry.rs", &["/api/v1", "/deviceregistry/api/v1"]),
    ("campaigner.rs", &["/api/v2"]),
    ("treehub.rs", &["/treehub/api/v3"]),
];

/// The paths in the calls of `.route(…)`.
fn routes_in(source: &str) -> Vec<String> {
    let calls = source.split(".route(").skip(1);
    calls.filter_map(|call| Some(call.split('"').nth(1)?.to_owned())).collect()
}

/// Whether a path of the table is one of a route: `{name}` stands for a segment, `{*name}` for all
/// that is left.
fn is_of(route: &str, path: &str) -> bool {
    let mut wanted = path.split('/');
    for part in route.split('/') {
        match wanted.next() {
            Some(_) if part.starts_with("{*") => return true,
            Some(found) if found == part || part.starts_with('{') => {}
            _ => return false,
        }
    }
    wanted.next().is_none()
}

#[test]
fn the_table_has_every_route() {
    let paths: BTreeSet<&str> = ROUTES.iter().flat_map(|(_, paths)| *paths).copied().collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/ota");
    let mut with_routes = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("sources") {
        let path = entry.expect("a source").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let routes = routes_in(&std::fs::read_to_string(path).expect("a source"));
        let prefixes = FILES.iter().find(|(file, _)| *file == name).map(|(_, prefixes)| *prefixes);
        for route in &routes {
            let found = prefixes
                .unwrap_or_default()
                .iter()
                .any(|prefix| paths.iter().any(|path| is_of(&format!("{prefix}{route}"), path)));
            assert!(found, "{name}: the table lacks {route}");
        }
        if !routes.is_empty() {
            with_routes.insert(name);
        }
    }
    assert_eq!(with_routes, FILES.iter().map(|(file, _)| (*file).to_owned()).collect());
}

#[test]
fn no_path_of_the_table_has_another_method() {
    let world = World::new();
    let nobody = world.client(None, None);
    let all = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];
    let paths: BTreeSet<&str> = ROUTES.iter().flat_map(|(_, paths)| *paths).copied().collect();
    let mut unknown = Vec::new();
    for path in paths {
        for method in all {
            let is_listed =
                ROUTES.iter().any(|(known, paths)| *known == method && paths.contains(&path));
            if !is_listed && world.send(&nobody, method, path, "").status != 405 {
                unknown.push(format!("{method:?} {path}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "are not in the table");
}
