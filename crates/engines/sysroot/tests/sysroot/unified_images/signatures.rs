//! Images that are signed where they are put together, and those that nothing would boot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_bootenv::PeImage;
use updraft_error::{Classify as _, Kind};
use updraft_sysroot::{DeployRequest, Options, Origin, Sysroot};
use updraft_task::Context;

use super::{STUB, bootable, ids, lab, names};

/// Makes an RSA key and its certificate below `folder`.
fn make_key(folder: &Path, name: &str) {
    let place = |end: &str| folder.join(format!("{name}.{end}"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]);
    openssl.args(["-subj", "/CN=device", "-keyout"]).arg(place("key"));
    let output = openssl.arg("-out").arg(place("crt")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the firmware's way of checking finds the image signed by this certificate.
fn is_signed(image: &Path, certificate: &Path) -> bool {
    let mut verify = Command::new("sbverify");
    let output = verify.arg("--cert").arg(certificate).arg(image).output().expect("sbsigntool");
    output.status.success()
}

#[test]
fn images_are_signed_by_the_key_that_is_configured() {
    let (lab, esp) = lab("efi");
    let keys = tempfile::tempdir().unwrap();
    make_key(keys.path(), "one");
    make_key(keys.path(), "two");
    let place = |name: &str| keys.path().join(name);
    let image = |name: &str| esp.join("EFI/Linux").join(name);
    let configure = |key: &str, certificate: &str| {
        let (key, certificate) = (place(key), place(certificate));
        let lines = [("uki-sign-key", key), ("uki-sign-certificate", certificate)];
        let lines = lines.map(|(key, path)| format!("{key}={}\n", path.display()));
        lab.configure_ours(&lines.concat());
    };
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    assert!(!is_signed(&image("ostree-1.efi"), &place("one.crt")));
    configure("one.key", "one.crt");
    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    // The one that was not signed would not boot any more: it is made anew.
    assert_eq!(names(&esp), ["ostree-3.efi", "ostree-2.efi"]);
    assert_eq!(bootable(&lab, &esp), ["2", "1"]);
    for name in names(&esp) {
        assert!(is_signed(&image(&name), &place("one.crt")), "{name}");
        assert!(!is_signed(&image(&name), &place("two.crt")), "{name}");
    }
    let mut changed = fs::read(image("ostree-3.efi")).unwrap();
    let cmdline = PeImage::parse(&changed).unwrap().section(".cmdline").unwrap().offset as usize;
    changed[cmdline] ^= 1;
    fs::write(place("changed.efi"), changed).unwrap();
    assert!(!is_signed(&place("changed.efi"), &place("one.crt")));

    let ctx = Context::silent();
    let refused = |words: &str| {
        let commit = lab.commit("3", "k3", &[]);
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let sysroot = lab.sysroot();
        let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(ids(&lab), [second.clone(), first.clone()]);
    };
    let mode = |mode| fs::set_permissions(place("one.key"), fs::Permissions::from_mode(mode));
    mode(0o640).unwrap();
    refused("chmod 600");
    mode(0o600).unwrap();
    configure("two.key", "one.crt");
    refused("not that of the certificate");
    configure("none.key", "two.crt");
    refused("none.key, which [updraft] uki-sign-key names, is not there");
    // Going back needs no key.
    assert_eq!(lab.sysroot().lock(&ctx).unwrap().rollback(&ctx).unwrap(), first);
    assert_eq!(bootable(&lab, &esp), ["1", "2"]);
}

#[test]
fn an_image_that_firmware_would_refuse_is_not_made() {
    let (lab, esp) = lab("efi");
    let variables = tempfile::tempdir().unwrap();
    let set = |name: &str, value: u8| {
        fs::write(variables.path().join(name), [6, 0, 0, 0, value]).unwrap();
    };
    let place = lab.path(STUB.trim_start_matches('/'));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(STUB, place).unwrap();
    let deploy = |version: &str, running_root: PathBuf| {
        let firmware_variables = variables.path().to_path_buf();
        let options = Options { running_root, firmware_variables, ..Options::default() };
        let sysroot = Sysroot::open_with(lab.root(), options).unwrap();
        let commit = lab.commit(version, version, &[]);
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let ctx = Context::silent();
        sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).map(drop)
    };
    deploy("1", lab.root()).unwrap();
    set("SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", 1);
    let error = deploy("2", lab.root()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("uki-sign-key"), "{error}");
    assert_eq!(bootable(&lab, &esp), ["1"], "nothing is changed");
    // A disk that is filled here starts elsewhere.
    deploy("3", "/".into()).unwrap();
    // shim was told to let everything pass.
    set("MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23", 1);
    deploy("4", lab.root()).unwrap();
    assert_eq!(bootable(&lab, &esp)[0], "4");
}
