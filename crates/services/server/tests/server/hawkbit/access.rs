//! Who is admitted, and as which device.

use serde_json::json;

use super::{Hawkbit, links};
use crate::world::World;

#[test]
fn nothing_is_admitted_until_it_is_switched_on() {
    let hawkbit = Hawkbit { world: World::new() };
    hawkbit.make_target("d1");
    let try_with = |header: &str, more: &[&str]| {
        let mut arguments = vec!["-H", header];
        arguments.extend_from_slice(more);
        hawkbit.curl("/default/controller/v1/d1", &arguments).status
    };
    let target = "Authorization: TargetToken d1-token";
    let gateway = "Authorization: GatewayToken g";
    let proxy = "X-Controller-Id: d1";
    let authority = ["-H", "X-Authority-1: deadbeef"];
    assert_eq!(try_with(target, &[]), 401);
    assert_eq!(try_with(gateway, &[]), 401);
    assert_eq!(try_with(proxy, &authority), 401);
    hawkbit.configure("authentication.targettoken.enabled", &json!(true));
    assert_eq!(try_with(target, &[]), 200);
    assert_eq!(try_with("Authorization: TargetToken other", &[]), 401);
    assert_eq!(try_with(gateway, &[]), 401);
    hawkbit.configure("authentication.gatewaytoken.enabled", &json!(true));
    // There is no token that is empty.
    assert_eq!(try_with("Authorization: GatewayToken ", &[]), 401);
    hawkbit.configure("authentication.gatewaytoken.key", &json!("g"));
    assert_eq!(try_with(gateway, &[]), 200);
    hawkbit.configure("authentication.header.authority", &json!("cafe, deadbeef"));
    hawkbit.configure("authentication.header.enabled", &json!("true"));
    assert_eq!(try_with(proxy, &authority), 200);
    assert_eq!(try_with(proxy, &["-H", "X-Authority: other;DEADBEEF"]), 200);
    assert_eq!(try_with(proxy, &["-H", "X-Authority: other"]), 401);
    assert_eq!(try_with("X-Controller-Id: d2", &authority), 401);
    // Off again, and what was remembered is good no more.
    hawkbit.configure("authentication.targettoken.enabled", &json!(false));
    assert_eq!(try_with(target, &[]), 401);
}

#[test]
fn a_token_is_good_for_its_own_device_only() {
    let hawkbit = Hawkbit::new();
    hawkbit.make_target("d1");
    hawkbit.make_target("d2");
    let header = ["-H", "Authorization: TargetToken d1-token"];
    for path in ["d2", "d2/deploymentBase/1", "d2/confirmationBase", "d3"] {
        assert_eq!(hawkbit.curl(&format!("/default/controller/v1/{path}"), &header).status, 401);
    }
    // A device without a record is registered only by what is good for all.
    assert_eq!(hawkbit.rest("GET", "targets/d3", None).status, 404);
    let (set, module) = hawkbit.make_set("1", b"content");
    let action = hawkbit.assign(set, "d2", &json!({}));
    let of_d1 = format!("/deploymentBase/{action}");
    assert_eq!(hawkbit.ddi("d1", &of_d1, &[]).status, 404);
    assert_eq!(hawkbit.feedback("d1", action, "closed", "success").status, 404);
    let file = format!("/softwaremodules/{module}/artifacts/update.bin");
    assert_eq!(hawkbit.ddi("d1", &file, &[]).status, 404);
    assert_eq!(hawkbit.ddi("d2", &file, &[]).status, 200);
}

#[test]
fn tenants_slashes_forms_and_methods() {
    let hawkbit = Hawkbit::new();
    let header = ["-H", "Authorization: GatewayToken gateway-secret"];
    for path in
        ["/DEFAULT/controller/v1/d1", "//default//controller/v1/d1/", "/Default/controller//v1/d1"]
    {
        assert_eq!(hawkbit.curl(path, &header).status, 200, "{path}");
    }
    assert_eq!(hawkbit.curl("/other/controller/v1/d1", &header).status, 404);
    assert_eq!(hawkbit.curl("/default/controller/v1/", &header).status, 404);
    assert_eq!(hawkbit.ddi("d1", "", &["-X", "DELETE"]).status, 405);
    assert_eq!(hawkbit.ddi("d1", "", &["-H", "Accept: application/atom+xml"]).status, 406);
    let form = |accept: &str| {
        let answer = hawkbit.ddi("d1", "", &["-H", &format!("Accept: {accept}")]).expect(200);
        answer.header("content-type").expect("a type").to_owned()
    };
    assert_eq!(form("*/*"), "application/hal+json");
    assert_eq!(form("application/json"), "application/json");
    assert_eq!(form("application/cbor"), "application/cbor");
    let long = "x".repeat(257);
    assert_eq!(hawkbit.ddi(&long, "", &[]).status, 400);
    assert_eq!(hawkbit.rest("GET", &format!("targets/{long}"), None).status, 404);
    let refusal = hawkbit.curl("/default/controller/v1/d1", &[]).expect(401).json();
    assert!(
        refusal["errorCode"].as_str().is_some_and(|code| code.starts_with("hawkbit.server.error"))
    );
    assert!(refusal["message"].is_string() && refusal["exceptionClass"].is_string());
}

#[test]
fn a_proxy_says_where_the_server_is_and_who_calls() {
    let hawkbit = Hawkbit::new();
    let answer = hawkbit
        .ddi(
            "d1",
            "",
            &[
                "-H",
                "X-Forwarded-Proto: https",
                "-H",
                "X-Forwarded-Host: ota.example",
                "-H",
                // The caller may have sent the first one; the proxy added the last.
                "X-Forwarded-For: 10.0.0.1, 203.0.113.7",
            ],
        )
        .expect(200)
        .json();
    let href = answer["_links"]["configData"]["href"].as_str().expect("a link");
    assert_eq!(href, "https://ota.example/DEFAULT/controller/v1/d1/configData");
    assert_eq!(hawkbit.target("d1")["ipAddress"], "203.0.113.7");
    // Somebody who is no proxy of ours says nothing.
    hawkbit.world.configure("[hawkbit]\ntrusted_proxies = []\n");
    let mut hawkbit = hawkbit;
    hawkbit.world.restart();
    let answer = hawkbit.ddi("d1", "", &["-H", "X-Forwarded-For: 203.0.113.8"]).expect(200).json();
    assert_eq!(links(&answer), ["configData"]);
    assert_eq!(hawkbit.target("d1")["ipAddress"], "127.0.0.1");
}

#[test]
fn scripts_need_a_token_with_the_scope() {
    let hawkbit = Hawkbit::new();
    let refused = hawkbit.curl("/rest/v1/targets", &[]).expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Basic")));
    let reader = hawkbit.world.make_token("reader", updraft_api::Scope::Read);
    let user = format!("anybody:{reader}");
    hawkbit.make_target("d1");
    let seen = hawkbit.curl("/rest/v1/targets/d1", &["-u", &user]).expect(200).json();
    assert!(seen.get("securityToken").is_none(), "{seen}");
    for (path, body) in [("targets", "[]"), ("softwaremodules", "[]"), ("distributionsets", "[]")] {
        let path = format!("/rest/v1/{path}");
        assert_eq!(hawkbit.curl(&path, &["-u", &user, "-d", body]).status, 403, "{path}");
    }
    assert_eq!(hawkbit.curl("/rest/v1/system/configs", &["-u", &user]).status, 403);
}
