//! What scripts do: targets, modules, sets, types, queries.

use serde_json::{Value, json};

use super::Hawkbit;

#[test]
fn targets_are_made_listed_changed_and_deleted() {
    let hawkbit = Hawkbit::new();
    let body = json!([
        { "controllerId": "t-1", "name": "One", "description": "first", "securityToken": "tok" },
        { "controllerId": "t-2" },
        { "controllerId": "other", "name": "Three" },
    ]);
    let made = hawkbit.rest("POST", "targets", Some(&body)).expect(201).json();
    assert_eq!(made.as_array().map(Vec::len), Some(3));
    assert_eq!(made[0]["securityToken"], "tok");
    assert_eq!(made[1]["name"], "t-2");
    let conflict = hawkbit.rest("POST", "targets", Some(&body)).expect(409).json();
    assert_eq!(conflict["errorCode"], "hawkbit.server.error.repo.entitiyAlreayExists");
    let list =
        |query: &str| hawkbit.rest("GET", &format!("targets{query}"), None).expect(200).json();
    let ids = |list: &Value| -> Vec<String> {
        let content = list["content"].as_array().expect("a list");
        content.iter().map(|one| one["controllerId"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(ids(&list("?sort=controllerId:DESC")), ["t-2", "t-1", "other"]);
    let page = list("?limit=1&offset=1&sort=id:ASC");
    assert_eq!(
        (ids(&page), &page["total"], &page["size"]),
        (vec!["t-1".to_owned()], &json!(3), &json!(1))
    );
    assert_eq!(ids(&list("?q=id==t-*;name!=One")), ["t-2"]);
    assert_eq!(ids(&list("?q=name==one,description=is=null&sort=id:ASC")), ["other", "t-1", "t-2"]);
    let refused = |query: &str| {
        hawkbit.rest("GET", &format!("targets{query}"), None).expect(400).json()["errorCode"]
            .clone()
    };
    assert_eq!(refused("?q=id="), "hawkbit.server.error.rest.param.rsqlParamSyntax");
    assert_eq!(refused("?q=odd==1"), "hawkbit.server.error.rest.param.rsqlInvalidField");
    assert_eq!(refused("?sort=odd"), "hawkbit.server.error.rest.param.sortParamSyntax");
    let changed = hawkbit
        .rest("PUT", "targets/t-1", Some(&json!({ "description": "changed" })))
        .expect(200)
        .json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("One"), &json!("changed")));
    hawkbit
        .rest("POST", "targets/t-1/metadata", Some(&json!([{ "key": "k", "value": "v" }])))
        .expect(201);
    assert_eq!(ids(&list("?q=metadata.k==v")), ["t-1"]);
    hawkbit.rest("PUT", "targets/t-1/metadata/k", Some(&json!({ "value": "w" }))).expect(200);
    assert_eq!(hawkbit.rest("GET", "targets/t-1/metadata/k", None).json()["value"], "w");
    hawkbit.rest("DELETE", "targets/t-1/metadata/k", None).expect(204);
    assert_eq!(hawkbit.rest("DELETE", "targets/t-1/metadata/k", None).status, 404);
    let (set, _) = hawkbit.make_set("1", b"one");
    let action = hawkbit.assign(set, "t-1", &json!({}));
    hawkbit.rest("DELETE", "targets/t-1", None).expect(204);
    assert_eq!(hawkbit.rest("GET", "targets/t-1", None).status, 404);
    assert_eq!(hawkbit.rest("GET", &format!("actions/{action}"), None).status, 404);
    for wrong in [
        json!([{ "controllerId": "a b" }]),
        json!([{ "controllerId": "" }]),
        json!([{}]),
        json!("x"),
    ] {
        assert_eq!(hawkbit.rest("POST", "targets", Some(&wrong)).status, 400, "{wrong}");
    }
    assert_eq!(hawkbit.rest("GET", "userinfo", None).json()["username"], "admin");
}

#[test]
fn uploads_are_compared_with_what_their_sender_says() {
    let hawkbit = Hawkbit::new();
    let body = json!([{ "name": "fw", "version": "1", "type": "os", "vendor": "v" }]);
    let module = hawkbit.rest("POST", "softwaremodules", Some(&body)).expect(201).json()[0]["id"]
        .as_i64()
        .expect("a number");
    assert_eq!(hawkbit.rest("POST", "softwaremodules", Some(&body)).status, 409);
    let odd = json!([{ "name": "fw", "version": "1", "type": "odd" }]);
    assert_eq!(hawkbit.rest("POST", "softwaremodules", Some(&odd)).status, 404);
    let made = hawkbit.upload(module, "a.bin", b"content").expect(201).json();
    assert_eq!(made["providedFilename"], "a.bin");
    assert_eq!(made["size"], 7);
    assert_eq!(made["hashes"]["sha1"], "040f06fd774092478d450774f5ba30c5da78acc8");
    assert_eq!(hawkbit.upload(module, "a.bin", b"content").status, 409);
    let path = hawkbit.world.folder.path().join("a.bin");
    let form = format!("file=@{}", path.display());
    let user = format!("admin:{}", hawkbit.world.token);
    let send = |query: &str| {
        let at = format!("/rest/v1/softwaremodules/{module}/artifacts?{query}");
        hawkbit.curl(&at, &["-u", &user, "-F", &form])
    };
    let wrong = send("filename=b.bin&md5sum=00").expect(400).json();
    assert_eq!(wrong["errorCode"], "hawkbit.server.error.artifact.uploadFailed.checksum.md5.match");
    assert_eq!(send("filename=b.bin&sha256sum=00").status, 400);
    assert_eq!(send("filename=..%2Fb.bin").status, 400);
    let sha1 = "040F06FD774092478D450774F5BA30C5DA78ACC8";
    let made = send(&format!("filename=b.bin&sha1sum={sha1}")).expect(201).json();
    let id = made["id"].as_i64().expect("a number");
    let at = format!("softwaremodules/{module}/artifacts");
    assert_eq!(hawkbit.rest("GET", &at, None).json().as_array().map(Vec::len), Some(2));
    let download = hawkbit.rest("GET", &format!("{at}/{id}/download"), None).expect(200);
    assert_eq!(download.body, b"content");
    hawkbit.rest("DELETE", &format!("{at}/{id}"), None).expect(204);
    assert_eq!(hawkbit.rest("GET", &format!("{at}/{id}"), None).status, 404);
    assert_eq!(
        hawkbit.rest("GET", "softwaremodules?q=type==os;vendor==v", None).json()["total"],
        1
    );
    hawkbit.rest("DELETE", &format!("softwaremodules/{module}"), None).expect(204);
    assert_eq!(hawkbit.rest("GET", &format!("softwaremodules/{module}"), None).status, 404);
}

#[test]
fn sets_are_complete_before_they_are_assigned_and_locked_afterwards() {
    let hawkbit = Hawkbit::new();
    hawkbit.make_target("d1");
    let empty = json!({ "name": "empty", "version": "1", "type": "os_app" });
    let set = hawkbit.rest("POST", "distributionsets", Some(&json!([empty]))).expect(201).json();
    let id = set[0]["id"].as_i64().expect("a number");
    assert_eq!(set[0]["complete"], false);
    let assign = format!("distributionsets/{id}/assignedTargets");
    let refused = hawkbit.rest("POST", &assign, Some(&json!([{ "id": "d1" }]))).expect(400).json();
    assert_eq!(refused["errorCode"], "hawkbit.server.error.distributionset.incomplete");
    let module = hawkbit.make_module("1", "a.bin", b"one");
    let modules = format!("distributionsets/{id}/assignedSM");
    hawkbit.rest("POST", &modules, Some(&json!([{ "id": module }]))).expect(200);
    let complete = hawkbit.rest("GET", &format!("distributionsets/{id}"), None).expect(200).json();
    assert_eq!((&complete["complete"], &complete["locked"]), (&json!(true), &json!(false)));
    let app = json!([{ "name": "app", "version": "1", "type": "application" }]);
    let app = hawkbit.rest("POST", "softwaremodules", Some(&app)).json()[0]["id"].clone();
    let os =
        json!([{ "name": "os only", "version": "1", "type": "os", "modules": [{ "id": app }] }]);
    assert_eq!(hawkbit.rest("POST", "distributionsets", Some(&os)).status, 400);
    let unknown =
        hawkbit.rest("POST", &assign, Some(&json!([{ "id": "nobody" }]))).expect(200).json();
    assert_eq!(unknown["total"], 0);
    hawkbit.assign(id, "d1", &json!({}));
    let locked = hawkbit.rest("POST", &modules, Some(&json!([{ "id": app }]))).expect(423).json();
    assert_eq!(locked["errorCode"], "hawkbit.server.error.locked");
    assert_eq!(hawkbit.upload(module, "b.bin", b"two").status, 423);
    let found = hawkbit.rest("GET", &assign, None).expect(200).json();
    assert_eq!(found["content"][0]["controllerId"], "d1");
    let invalid = json!({ "actionCancelationType": "force", "cancelRollouts": false });
    hawkbit.rest("POST", &format!("distributionsets/{id}/invalidate"), Some(&invalid)).expect(200);
    assert_eq!(
        hawkbit.rest("GET", "targets/d1/actions", None).json()["content"][0]["detailStatus"],
        "canceled"
    );
    assert_eq!(hawkbit.rest("POST", &assign, Some(&json!([{ "id": "d1" }]))).status, 400);
    hawkbit.rest("DELETE", &format!("distributionsets/{id}"), None).expect(204);
    assert_eq!(hawkbit.rest("GET", "distributionsets", None).json()["total"], 0);
}

#[test]
fn types_actions_and_configuration_as_scripts_use_them() {
    let hawkbit = Hawkbit::new();
    let kinds = hawkbit.rest("GET", "softwaremoduletypes?sort=key:ASC", None).expect(200).json();
    let keys: Vec<_> =
        kinds["content"].as_array().expect("a list").iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, ["application", "os", "runtime"]);
    let new = json!([{ "key": "fpga", "name": "FPGA", "maxAssignments": 2 }]);
    let kind =
        hawkbit.rest("POST", "softwaremoduletypes", Some(&new)).expect(201).json()[0]["id"].clone();
    let new = json!([{ "key": "board", "name": "Board", "mandatorymodules": [{ "id": kind }] }]);
    let set = hawkbit.rest("POST", "distributionsettypes", Some(&new)).expect(201).json()[0]["id"]
        .clone();
    let mandatory =
        hawkbit.rest("GET", &format!("distributionsettypes/{set}/mandatorymoduletypes"), None);
    assert_eq!(mandatory.expect(200).json()[0]["key"], "fpga");
    assert_eq!(hawkbit.rest("DELETE", &format!("softwaremoduletypes/{kind}"), None).status, 409);
    hawkbit.rest("DELETE", &format!("distributionsettypes/{set}"), None).expect(204);
    hawkbit.rest("DELETE", &format!("softwaremoduletypes/{kind}"), None).expect(204);
    // A trailing slash, as FullMetalUpdate has it.
    hawkbit
        .rest("PUT", "system/configs/pollingTime/", Some(&json!({ "value": "00:00:30" })))
        .expect(200);
    let value = hawkbit.rest("GET", "system/configs/pollingTime", None).expect(200).json();
    assert_eq!((&value["value"], &value["global"]), (&json!("00:00:30"), &json!(false)));
    hawkbit.rest("DELETE", "system/configs/pollingTime", None).expect(204);
    let all = hawkbit.rest("GET", "system/configs", None).expect(200).json();
    assert_eq!(all["pollingTime"]["value"], "00:05:00~10%");
    assert_eq!(all["pollingTime"]["global"], true);
    let both = json!({ "pollingTime": "00:07:00", "rollout.approval.enabled": 7 });
    assert_eq!(hawkbit.rest("PUT", "system/configs", Some(&both)).status, 400);
    let polling = hawkbit.rest("GET", "system/configs/pollingTime", None).json();
    assert_eq!(polling["value"], "00:05:00~10%");
    // Actions of all targets.
    hawkbit.make_target("d1");
    let (first, _) = hawkbit.make_set("1", b"one");
    let action = hawkbit.assign(first, "d1", &json!({ "weight": 7 }));
    let found = hawkbit
        .rest("GET", "actions?q=status==running;target.controllerId==d1", None)
        .expect(200)
        .json();
    assert_eq!(
        (&found["content"][0]["id"], &found["content"][0]["weight"]),
        (&json!(action), &json!(7))
    );
    assert_eq!(hawkbit.rest("DELETE", &format!("actions/{action}"), None).status, 409);
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    hawkbit.rest("DELETE", "actions?rsql=status==finished", None).expect(204);
    assert_eq!(hawkbit.rest("GET", "actions", None).json()["total"], 0);
}
