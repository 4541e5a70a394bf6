//! The dashboard's files and what protects them. What is in them is tested in a browser.

use updraft_http::{Method, Request};

use crate::world::{Answer, World, ask};

fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::new(Method::Get, world.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(&world.client(None, None), request)
}

#[test]
fn every_address_below_the_prefix_shows_the_page_and_none_elsewhere() {
    let world = World::new();
    for path in ["/ui/", "/ui/devices", "/ui/devices/a%20b", "/ui/api/v1/devices"] {
        let answer = get(&world, path, &[]).expect(200);
        assert_eq!(answer.headers.get("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(answer.text().starts_with("<!doctype html>"), "{path}");
    }
    for path in ["/", "/ui"] {
        // The client follows.
        assert!(get(&world, path, &[]).expect(200).text().starts_with("<!doctype html>"));
    }
    get(&world, "/ui/assets/index-00000000.js", &[]).expect(404);
    for path in ["/api/v1/nothing", "/devices/nothing", "/uix", "/director/ui"] {
        let answer = get(&world, path, &[]);
        assert!(answer.status >= 400, "{path}: {}", answer.status);
        assert!(!answer.text().contains("<!doctype"), "{path}");
    }
}

#[test]
fn pages_are_protected() {
    let world = World::new();
    for path in ["/ui/", "/ui/devices", "/ui/icon.svg", "/ui/assets/nothing.js"] {
        let answer = get(&world, path, &[]);
        let policy = answer.headers.get("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers.get("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.headers.get("referrer-policy"), Some("no-referrer"));
    }
}

#[test]
fn files_travel_once_and_small() {
    let world = World::new();
    let page = get(&world, "/ui/", &[]).expect(200);
    if page.text().contains("cargo xtask web") {
        // Built without: then the page says how to build it, and is not kept.
        assert_eq!(page.headers.get("cache-control"), Some("no-store"));
        return;
    }
    assert_eq!(page.headers.get("cache-control"), Some("no-cache"));
    let text = page.text();
    let script = text.split("src=\"").nth(1).and_then(|rest| rest.split('"').next());
    let script = script.expect("the page has a script");
    let packed = get(&world, script, &[("accept-encoding", "br")]).expect(200);
    assert_eq!(packed.headers.get("content-encoding"), Some("br"));
    let keep = "public, max-age=31536000, immutable";
    assert_eq!(packed.headers.get("cache-control"), Some(keep));
    let plain = get(&world, script, &[("accept-encoding", "identity")]).expect(200);
    assert_eq!(plain.headers.get("content-encoding"), None);
    assert!(packed.body.len() * 2 < plain.body.len());
    let tag = packed.headers.get("etag").expect("a tag").to_owned();
    assert_ne!(plain.headers.get("etag"), Some(&*tag));
    let known = [("accept-encoding", "br"), ("if-none-match", &*tag)];
    let answer = get(&world, script, &known).expect(304);
    assert!(answer.body.is_empty());
    assert_eq!(answer.headers.get("etag"), Some(&*tag));
}
