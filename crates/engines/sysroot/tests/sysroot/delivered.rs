//! What a deployment gets beside its files: a composefs image, SELinux labels, `/var`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::path::Path;

use crate::support::{Lab, ostree};
use updraft_bootenv::KernelArgs;
use updraft_fs::{Dir, xattr};
use updraft_ostree::Checksum;
use updraft_repo::composefs::{Digests, checkout};
use updraft_sysroot::{Composefs, DeployRequest, DeploymentId, Origin};
use updraft_task::Context;

fn image_of(lab: &Lab, id: &DeploymentId) -> Option<Vec<u8>> {
    fs::read(lab.root().join(id.path()).join(".ostree.cfs")).ok()
}

/// The image of a commit, and its digest in GVariant's text form.
fn expected(lab: &Lab, commit: &Checksum, digests: Digests) -> (Vec<u8>, String) {
    let path = lab.root().parent().unwrap().join("image");
    let sysroot = lab.sysroot();
    let digest = checkout(&Context::silent(), sysroot.repo(), commit, &path, digests).unwrap();
    let bytes: Vec<String> =
        digest.as_bytes().iter().map(|byte| format!("byte 0x{byte:02x}")).collect();
    (fs::read(path).unwrap(), format!("[{}]", bytes.join(", ")))
}

/// The same tree in a commit that says what the digest of its image is.
fn with_digest(lab: &Lab, commit: &Checksum, digest: &str) -> Checksum {
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    let metadata = format!("--add-metadata=ostree.composefs.digest.v0={digest}");
    let tree = format!("--tree=ref={commit}");
    let words = ["commit", &repo, "-b", "os/main", "-s", "s", &metadata, &tree];
    ostree(&words).parse().unwrap()
}

#[test]
fn every_deployment_has_its_image() {
    let lab = Lab::ours();
    let plain = lab.commit("1", "k1", &[]);
    let id = lab.deploy(plain).id;
    assert!(image_of(&lab, &id) == Some(expected(&lab, &plain, Digests::Sealed).0));
    for (version, enabled) in [("2", "yes"), ("3", "maybe"), ("4", "no"), ("5", "signed")] {
        let text = format!("[composefs]\nenabled={enabled}\n");
        let commit = lab.commit(version, "k1", &[("usr/lib/ostree/prepare-root.conf", &text)]);
        let id = lab.deploy(commit).id;
        let image = image_of(&lab, &id).unwrap();
        assert!(image == expected(&lab, &commit, Digests::Sealed).0, "{enabled}");
    }
    // The administrator's file counts more than the image's.
    let both = [
        ("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n"),
        ("usr/etc/ostree/prepare-root.conf", "[composefs]\nenabled=no\n"),
    ];
    let id = lab.deploy(lab.commit("6", "k1", &both)).id;
    assert_eq!(lab.sysroot().composefs(&id).unwrap(), Composefs::No);
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    for value in ["yes", "maybe", "verity", "signed"] {
        ostree(&["config", &repo, "set", "ex-integrity.composefs", value]);
        let id = lab.deploy(lab.commit(&format!("7-{value}"), "k1", &[])).id;
        assert!(image_of(&lab, &id).is_some(), "{value}");
    }
}

#[test]
fn kernel_arguments_say_what_is_wanted_of_the_image() {
    let lab = Lab::ours();
    let (sysroot, ctx) = (lab.sysroot(), Context::silent());
    let deploy = |version: &str, enabled: &str, argument: Option<&str>| {
        let text = format!("[composefs]\nenabled={enabled}\n");
        let commit = lab.commit(version, "k1", &[("usr/lib/ostree/prepare-root.conf", &text)]);
        let mut request = DeployRequest::new("os", commit, Origin::following("os/main"));
        request.kernel_args = argument
            .map(|value| KernelArgs::parse(&format!("ostree.prepare-root.composefs={value}")));
        sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).map(|deployment| deployment.id)
    };
    for (number, (enabled, argument, wanted)) in [
        ("no", "signed", Composefs::Signed),
        ("no", "yes", Composefs::Yes),
        ("yes", "no", Composefs::No),
        ("verity", "maybe", Composefs::Verity),
        ("signed", "yes", Composefs::Verity),
    ]
    .into_iter()
    .enumerate()
    {
        let id = deploy(&number.to_string(), enabled, Some(argument)).unwrap();
        assert_eq!(sysroot.composefs(&id).unwrap(), wanted, "{enabled} {argument}");
        assert!(image_of(&lab, &id).is_some(), "{enabled} {argument}");
    }
    // The argument goes on to the next deployment, and what it asks for with it.
    let id = deploy("next", "no", None).unwrap();
    assert_eq!(sysroot.composefs(&id).unwrap(), Composefs::Yes);
    assert!(image_of(&lab, &id).is_some());
    // At boot there would be no deployment at all.
    for argument in ["verity", "perhaps"] {
        let error = deploy(argument, "no", Some(argument)).unwrap_err().to_string();
        assert!(error.contains("ostree.prepare-root.composefs"), "{error}");
    }
}

#[test]
fn a_commit_is_held_to_the_digest_of_its_image() {
    let lab = Lab::ours();
    let text = "[composefs]\nenabled=yes\n";
    let commit = lab.commit("1", "k1", &[("usr/lib/ostree/prepare-root.conf", text)]);
    let (image, digest) = expected(&lab, &commit, Digests::All);
    let honest = with_digest(&lab, &commit, &digest);
    let id = lab.deploy(honest).id;
    assert!(image_of(&lab, &id).unwrap() == image);

    let other = lab.commit("2", "k2", &[("usr/lib/ostree/prepare-root.conf", text)]);
    let wrong = with_digest(&lab, &other, &digest);
    let request = DeployRequest::new("os", wrong, Origin::following("os/main"));
    let (sysroot, ctx) = (lab.sysroot(), Context::silent());
    let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err().to_string();
    assert!(error.starts_with("Generated composefs image digest ("), "{error}");
    assert!(error.contains(") doesn't match expected digest ("), "{error}");
    assert_eq!(sysroot.deployments().unwrap().len(), 1);

    // Where nobody will boot from the image, its digest is no reason not to deploy.
    let text = "[composefs]\nenabled=no\n";
    let other = lab.commit("3", "k2", &[("usr/lib/ostree/prepare-root.conf", text)]);
    lab.deploy(with_digest(&lab, &other, &digest));
}

const CONTEXTS: &str = "/.*\tdefault_t\n/etc(/.*)?\tetc_t\n/etc/plain\t--\tplain_t\n/var\t-d\tvar_t\n\
                        /var/lib(/.*)?\tlib_t\n/usr/etc(/.*)?\twrong_t\n";

fn label(path: &Path) -> Option<String> {
    let dir = Dir::open(path.parent().unwrap()).unwrap();
    let value = xattr::get_at(&dir, path.file_name().unwrap(), "security.selinux").unwrap();
    value.map(|bytes| String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned())
}

#[test]
fn etc_and_var_are_labelled_by_the_policy_of_the_tree() {
    let lab = Lab::ours();
    let policy = [
        ("usr/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n"),
        ("usr/etc/selinux/targeted/contexts/files/file_contexts", CONTEXTS),
        ("var/lib/app/data", "delivered"),
    ];
    let id = lab.deploy(lab.commit("1", "k1", &policy)).id;
    let root = lab.root().join(id.path());
    let var = lab.path("ostree/deploy/os/var");
    let labels = [
        (root.join("etc"), "etc_t"),
        (root.join("etc/plain"), "plain_t"),
        (root.join("etc/dir/nested"), "etc_t"),
        (var.clone(), "var_t"),
        (var.join("lib/app/data"), "lib_t"),
    ];
    for (path, wanted) in &labels {
        assert_eq!(label(path).as_deref(), Some(*wanted), "{}", path.display());
    }
    assert!(var.join(".ostree-selabeled").exists());
    // A file of the administrator gets its label too; /var is not labelled again.
    fs::write(root.join("etc/mine"), "x").unwrap();
    fs::write(var.join("lib/later"), "x").unwrap();
    let id = lab.deploy(lab.commit("2", "k1", &policy)).id;
    let root = lab.root().join(id.path());
    assert_eq!(label(&root.join("etc/mine")).as_deref(), Some("etc_t"));
    assert_eq!(label(&var.join("lib/later")), None);
    // Parts of a deployment can be labelled again.
    let (sysroot, ctx) = (lab.sysroot(), Context::silent());
    fs::write(root.join("etc/new"), "x").unwrap();
    let locked = sysroot.lock(&ctx).unwrap();
    assert_eq!(locked.ensure_labeled(&id, Path::new("/etc"), "").unwrap(), Some(1));
    assert_eq!(locked.ensure_labeled(&id, Path::new("/etc"), "").unwrap(), Some(0));
    assert_eq!(label(&root.join("etc/new")).as_deref(), Some("etc_t"));
}

#[test]
fn a_new_stateroot_gets_the_var_of_its_first_commit() {
    let lab = Lab::ours();
    let var = lab.path("ostree/deploy/os/var");
    assert_eq!(fs::read_dir(&var).unwrap().count(), 0);
    let files = [("var/lib/app/data", "delivered"), ("usr/lib/tmpfiles.d/x.conf", "x")];
    lab.deploy(lab.commit("1", "k1", &files));
    assert_eq!(fs::read_to_string(var.join("lib/app/data")).unwrap(), "delivered");
    // systemd makes the rest at boot.
    assert!(!var.join("tmp").exists());

    let lab = Lab::ours();
    let var = lab.path("ostree/deploy/os/var");
    lab.deploy(lab.commit("1", "k1", &[]));
    for name in ["tmp", "lib", "log"] {
        assert!(var.join(name).is_dir(), "{name}");
    }
    assert_eq!(fs::read_link(var.join("run")).unwrap(), Path::new("../run"));
    assert_eq!(fs::read_link(var.join("lock")).unwrap(), Path::new("../run/lock"));
}

#[test]
fn post_copy_seals_only_where_that_is_wanted() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    let (sysroot, ctx) = (lab.sysroot(), Context::silent());
    assert_eq!(sysroot.lock(&ctx).unwrap().post_copy(&ctx).unwrap(), 0);
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    ostree(&["config", &repo, "set", "ex-integrity.fsverity", "maybe"]);
    let sysroot = lab.sysroot();
    // How many there are depends on the file system.
    sysroot.lock(&ctx).unwrap().post_copy(&ctx).unwrap();
    ostree(&["fsck", &repo]);
}

#[test]
fn the_reserve_of_the_disk_is_kept() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    let commit = lab.commit("2", "k2", &[]);
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    ostree(&["config", &repo, "set", "core.min-free-space-size", "900TB"]);
    let request = DeployRequest::new("os", commit, Origin::following("os/main"));
    let (sysroot, ctx) = (lab.sysroot(), Context::silent());
    let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err().to_string();
    assert!(error.contains("MB would be exceeded, at least "), "{error}");
    assert_eq!(sysroot.deployments().unwrap().len(), 1);
    sysroot.lock(&ctx).unwrap().cleanup(&ctx).unwrap();
    assert_eq!(fs::read_dir(lab.path("ostree/deploy/os/deploy")).unwrap().count(), 2);
}
