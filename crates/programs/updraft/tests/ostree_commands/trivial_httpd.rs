//! The small web server: the peer and we pull from it, also when it misbehaves.

use std::fs;

use super::world::World;

/// The repository of a world, served with these options.
struct Served<'a> {
    world: &'a World,
    url: String,
}

impl<'a> Served<'a> {
    fn new(world: &'a World, options: &[&str]) -> Self {
        // The server ends when the folder it serves is gone.
        if world.path("served").exists() {
            fs::remove_dir_all(world.path("served")).unwrap();
        }
        world.copy("served");
        let fixed = ["trivial-httpd", "--daemonize", "--autoexit", "--port-file=port"];
        let outcome = world.ours(&[&fixed[..], options, &["served"]].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let port = fs::read_to_string(world.path("port")).unwrap();
        Self { world, url: format!("127.0.0.1:{}", port.trim()) }
    }

    /// A new repository with the server as its remote.
    fn client(&self, name: &str, user: &str) {
        if self.world.path(name).exists() {
            fs::remove_dir_all(self.world.path(name)).unwrap();
        }
        let repo = format!("--repo={name}");
        self.world.peer_ok(&["init", &repo, "--mode=bare-user"]);
        let url = format!("http://{user}{}", self.url);
        self.world.peer_ok(&["remote", &repo, "add", "--no-gpg-verify", "o", &url]);
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        // Without its folder it ends.
        let _ = fs::remove_dir_all(self.world.path("served"));
    }
}

const PULL: [&str; 4] = ["pull", "--repo=client", "o", "main"];

#[test]
fn both_pull_from_it() {
    let world = World::new("archive");
    let served = Served::new(&world, &[]);
    for is_ours in [true, false] {
        served.client("client", "");
        let outcome = if is_ours { world.ours(&PULL) } else { world.peer(&PULL) };
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        world.peer_ok(&["fsck", "--repo=client"]);
    }
}

#[test]
fn half_bodies_are_completed() {
    let world = World::new("archive");
    let served = Served::new(&world, &["--force-range-requests"]);
    served.client("client", "");
    let outcome = world.ours(&PULL);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    world.peer_ok(&["fsck", "--repo=client"]);
}

#[test]
fn errors_that_pass_are_waited_for() {
    let world = World::new("archive");
    let served = Served::new(&world, &["--random-500s=40", "--random-500s-max=5"]);
    served.client("client", "");
    let outcome = world.ours(&PULL);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    drop(served);
    let served = Served::new(&world, &["--random-500s=99"]);
    served.client("client", "");
    let outcome = world.ours(&[&PULL[..], &["--network-retries=0"]].concat());
    assert_eq!(outcome.code, 1);
    assert!(outcome.error().contains("500"), "{}", outcome.stderr);
}

#[test]
fn who_is_not_asked_for_gets_nothing() {
    let world = World::new("archive");
    let served = Served::new(&world, &["--require-basic-auth"]);
    for (user, code) in [("foouser:barpw@", 0), ("foouser:wrong@", 1), ("", 1)] {
        served.client("client", user);
        assert_eq!(world.ours(&PULL).code, code, "{user}");
    }
    drop(served);
    let served = Served::new(&world, &["--expected-cookies=a=b", "--expected-header=X-Foo=bar"]);
    served.client("client", "");
    let header = [&PULL[..], &["--http-header=X-Foo=bar"]].concat();
    assert_eq!(world.ours(&header).code, 1, "the cookie is missing");
    let cookie = ["remote", "--repo=client", "add-cookie", "o", "127.0.0.1", "/", "a", "b"];
    world.peer_ok(&cookie);
    assert_eq!(world.ours(&PULL).code, 1, "the header is missing");
    let outcome = world.ours(&header);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
