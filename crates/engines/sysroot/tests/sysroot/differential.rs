//! The same steps by us and by the real `ostree admin`: same layout, and each goes on where the
//! other stopped.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::support::{Lab, layout, ostree, put};
use updraft_bootenv::KernelArgs;
use updraft_sysroot::{DeployRequest, Options, Origin, Sysroot};
use updraft_task::Context;

/// Commit checksums depend on time stamps only here, so both labs use the same fixed ones.
fn same_commit(lab: &Lab, version: &str, kernel: &str) -> updraft_ostree::Checksum {
    let first = lab.commit(version, kernel, &[("usr/etc/other", version)]);
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    let tree = format!("--tree=ref={first}");
    let version = format!("--add-metadata-string=version={version}");
    let fixed = ["commit", &repo, "-b", "os/main", "-s", "s", "--timestamp=@1700000000"];
    ostree(&[&fixed[..], &["--parent=none", &version, &tree]].concat()).parse().unwrap()
}

fn deploy_ours(lab: &Lab, commit: updraft_ostree::Checksum, arguments: Option<&str>) {
    let options = Options { older_entry_names: true, ..Options::default() };
    let sysroot = Sysroot::open_with(lab.root(), options).unwrap();
    let mut request = DeployRequest::new("os", commit, Origin::following("os/main"));
    request.kernel_args = arguments.map(KernelArgs::parse);
    sysroot.lock(&Context::silent()).unwrap().deploy(&Context::silent(), &request).unwrap();
}

#[test]
fn four_deployments_leave_the_layout_that_the_real_tool_leaves() {
    let (ours, theirs) = (Lab::ours(), Lab::theirs());
    // The same kernel and version twice changes links only; a new kernel changes the entries.
    for (version, kernel) in [("1", "k1"), ("2", "k1"), ("2", "k1"), ("3", "k2")] {
        let first = version == "1";
        let commit = same_commit(&ours, version, kernel);
        assert_eq!(same_commit(&theirs, version, kernel), commit);
        deploy_ours(&ours, commit, first.then_some("root=LABEL=x quiet"));
        let mut arguments = vec!["deploy", "--os=os"];
        if first {
            arguments.extend(["--karg=root=LABEL=x", "--karg=quiet"]);
        }
        arguments.push("os/main");
        theirs.admin(&arguments);
        assert_eq!(layout(&ours.root()), layout(&theirs.root()), "after version {version}");
        assert_eq!(refs(&ours), refs(&theirs));
        assert_eq!(ours.admin(&["status"]), theirs.admin(&["status"]));
    }
}

fn refs(lab: &Lab) -> Vec<String> {
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    let mut refs: Vec<String> = ostree(&["refs", &repo]).lines().map(str::to_owned).collect();
    refs.sort();
    refs
}

#[test]
fn the_real_tool_goes_on_where_we_stop_and_we_where_it_stops() {
    let lab = Lab::ours();
    let first = lab.commit("1", "k1", &[]);
    let deployed = lab.deploy(first);
    let etc = lab.root().join(deployed.id.path()).join("etc");
    put(&etc.join("plain"), "mine\n");

    lab.commit("2", "k2", &[]);
    lab.admin(&["deploy", "--os=os", "os/main"]);
    let sysroot = lab.sysroot();
    let list = sysroot.deployments().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].version.as_deref(), Some("2"));
    assert_eq!(lab.read(list[0].id.path().join("etc/plain")), "mine\n");

    let third = lab.commit("3", "k3", &[]);
    let deployed = lab.deploy(third);
    assert_eq!(lab.read(deployed.id.path().join("etc/plain")), "mine\n");
    let status = lab.admin(&["status"]);
    assert!(status.contains(&format!("os {third}.0")), "{status}");
    assert!(status.contains("origin refspec: os/main"), "{status}");
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    ostree(&["fsck", &repo]);
    lab.admin(&["undeploy", "1"]);
    assert_eq!(lab.sysroot().deployments().unwrap().len(), 1);
    lab.admin(&["cleanup"]);
    assert_eq!(lab.sysroot().deployments().unwrap()[0].id.checksum, third);
}

#[test]
fn a_rollback_is_seen_by_the_real_tool() {
    let lab = Lab::ours();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    assert_eq!(sysroot.lock(&ctx).unwrap().rollback(&ctx).unwrap(), first);
    let names: Vec<_> = sysroot.deployments().unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(names, [first.clone(), second.clone()]);
    let status = lab.admin(&["status"]);
    let at = |id: &updraft_sysroot::DeploymentId| status.find(&id.dir_name()).unwrap();
    assert!(at(&first) < at(&second), "{status}");
    assert_eq!(sysroot.lock(&ctx).unwrap().rollback(&ctx).unwrap(), second);
}

#[test]
fn the_etc_merge_agrees_with_the_real_tool() {
    let (ours, theirs) = (Lab::ours(), Lab::theirs());
    for lab in [&ours, &theirs] {
        lab.commit(
            "1",
            "k1",
            &[
                ("usr/etc/gone-locally", "x"),
                ("usr/etc/gone-upstream", "x"),
                ("usr/etc/becomes-link", "x"),
                ("usr/etc/tree/a", "x"),
                ("usr/etc/tree/b", "x"),
                ("usr/etc/upstream-dir/file", "x"),
            ],
        );
        lab.admin(&["deploy", "--os=os", "os/main"]);
        let id = lab.sysroot().deployments().unwrap()[0].id.clone();
        let etc = lab.root().join(id.path()).join("etc");
        put(&etc.join("plain"), "mine\n");
        put(&etc.join("new-file"), "mine\n");
        std::fs::create_dir_all(etc.join("new-dir/deep")).unwrap();
        put(&etc.join("new-dir/deep/file"), "mine\n");
        std::fs::remove_file(etc.join("gone-locally")).unwrap();
        put(&etc.join("gone-upstream"), "mine\n");
        std::fs::remove_file(etc.join("becomes-link")).unwrap();
        std::os::unix::fs::symlink("plain", etc.join("becomes-link")).unwrap();
        std::fs::remove_dir_all(etc.join("tree")).unwrap();
        put(&etc.join("upstream-dir/file"), "mine\n");
        // The next version drops a file and a folder that were changed here.
        let tree = lab.root().parent().unwrap().join("tree-2");
        lab.commit("2", "k1", &[("usr/etc/tree/c", "new"), ("usr/etc/plain", "new default")]);
        assert!(tree.is_dir());
    }
    deploy_ours(&ours, ours.sysroot().repo().resolve("os/main").unwrap(), None);
    theirs.admin(&["deploy", "--os=os", "os/main"]);
    let listing = |lab: &Lab| {
        let id = lab.sysroot().deployments().unwrap()[0].id.clone();
        let etc = lab.root().join(id.path()).join("etc");
        let script = "find . -printf '%y %m %U:%G %p -> %l\\n' | sort; \
                      find . -type f | sort | xargs sha256sum";
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .current_dir(etc)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(listing(&ours), listing(&theirs));
}

#[test]
fn a_directory_that_was_closed_stays_closed() {
    // The real tool gives it the mode of the new default again; a local change should win.
    let lab = Lab::ours();
    let id = lab.deploy(lab.commit("1", "k1", &[])).id;
    let closed = lab.root().join(id.path()).join("etc/dir");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(closed, mode).unwrap();
    let id = lab.deploy(lab.commit("2", "k1", &[])).id;
    let metadata = lab.root().join(id.path()).join("etc/dir").metadata().unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777, 0o700);
}
