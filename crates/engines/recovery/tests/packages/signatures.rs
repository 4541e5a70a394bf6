//! Signatures of whole packages: every sort of key, against every way of being wrong.

use std::fs;

use updraft_crypto::package::PackageSigner;
use updraft_error::{Classify as _, Kind};
use updraft_recovery_engine::{Package, sign};
use updraft_task::Context;

use super::world::{SORTS, World, open};

#[test]
fn each_key_accepts_what_it_signed_with_its_own_hash_only() {
    let world = World::new();
    for sort in &SORTS {
        world.key(sort);
        world.openssl_signs(sort.name, sort.hash, &format!("{}.zip", sort.name));
    }
    for signed in &SORTS {
        let package = format!("{}.zip", signed.name);
        for trusted in &SORTS {
            let certificate = format!("{}.x509.pem", trusted.name);
            let is_own = signed.name == trusted.name;
            let (signed, trusted) = (signed.name, trusted.name);
            assert_eq!(world.accepts(&package, &[&certificate]), is_own, "{signed} by {trusted}");
        }
        let all: Vec<String> = SORTS.iter().map(|sort| format!("{}.x509.pem", sort.name)).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert!(world.accepts(&package, &all));
        // The same key under the other hash: v1 as v3, v2 as v4, and back.
        if signed.name != "v5" {
            let other = if signed.hash == "sha1" { "sha256" } else { "sha1" };
            world.certificate(signed.name, "other.x509.pem", other);
            assert!(!world.accepts(&package, &["other.x509.pem"]), "{} by {other}", signed.name);
        }
    }
    // Without being asked to, nobody takes SHA-1.
    let keys = world.keys(&["v1.x509.pem", "v2.x509.pem"]).unwrap();
    let error = open(&world.path("v1.zip"), &keys).unwrap_err();
    assert_eq!(error.kind(), Kind::Rejected);
    assert!(error.to_string().contains("SHA-1"), "{error}");
}

#[test]
fn what_signapk_signs_is_accepted() {
    let world = World::new();
    for sort in SORTS.iter().filter(|sort| ["v2", "v4", "v5", "rsa4096"].contains(&sort.name)) {
        world.key(sort);
        world.signapk_signs(sort.name, "signed.zip");
        let certificate = format!("{}.x509.pem", sort.name);
        assert!(world.accepts("signed.zip", &[&certificate]), "{}", sort.name);
        let package = Package::open(&world.path("signed.zip")).unwrap();
        for name in ["stored", "deflated"] {
            assert_eq!(package.read(name, 100).unwrap().unwrap(), b"hello, recovery");
        }
    }
}

#[test]
fn what_is_signed_here_openssl_and_we_accept_and_nothing_moves() {
    let world = World::new();
    world.key(&SORTS[3]);
    world.key(&SORTS[4]);
    // One that has a signature already gets another one.
    world.openssl_signs("v4", "sha256", "before.zip");
    for name in ["v4", "v5"] {
        for input in ["unsigned.zip", "before.zip"] {
            let key = fs::read(world.path(&format!("{name}.pk8"))).unwrap();
            let pem = fs::read(world.path(&format!("{name}.pem"))).unwrap();
            let certificate = format!("{name}.x509.pem");
            let text = fs::read_to_string(world.path(&certificate)).unwrap();
            PackageSigner::new(&pem, &text).unwrap();
            let signer = PackageSigner::new(&key, &text).unwrap();
            let (from, to) = (world.path(input), world.path("ours.zip"));
            sign(&Context::silent(), &from, &signer, &to).unwrap();
            assert!(world.openssl_accepts("ours.zip", &certificate), "{name} of {input}");
            assert!(world.accepts("ours.zip", &[&certificate]));
            let other = if name == "v4" { "v5.x509.pem" } else { "v4.x509.pem" };
            assert!(!world.accepts("ours.zip", &[other]));
            let package = Package::open(&to).unwrap();
            let before = Package::open(&from).unwrap();
            assert_eq!(package.entries(), before.entries());
        }
    }
    world.python("import zipfile; assert zipfile.ZipFile('ours.zip').testzip() is None");
}

#[test]
fn a_signer_whom_no_device_would_believe_is_refused() {
    let world = World::new();
    world.key(&SORTS[3]);
    world.key(&SORTS[4]);
    let key = fs::read(world.path("v4.pk8")).unwrap();
    world.certificate("v4", "sha1.x509.pem", "sha1");
    for (certificate, words) in
        [("v5.x509.pem", "not that of the certificate"), ("sha1.x509.pem", "SHA-1")]
    {
        let text = fs::read_to_string(world.path(certificate)).unwrap();
        let error = PackageSigner::new(&key, &text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn whatever_byte_is_changed_the_package_is_refused() {
    let world = World::new();
    world.key(&SORTS[4]);
    world.openssl_signs("v5", "sha256", "good.zip");
    let good = fs::read(world.path("good.zip")).unwrap();
    let unsigned = fs::metadata(world.path("unsigned.zip")).unwrap().len();
    let signed = usize::try_from(unsigned).unwrap() - 2;
    let bad = world.path("bad.zip");
    let keys = world.keys(&["v5.x509.pem"]).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let error = open(&bad, &keys).map(|_| ()).expect_err(what);
        assert!(matches!(error.kind(), Kind::Rejected), "{what}: {error}");
    };
    for at in 0..signed + 2 {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        refused(&bytes, &format!("byte {at}"));
    }
    // The signature of another file, none, noise, an end of a directory in the comment.
    fs::write(world.path("unsigned.zip"), {
        let mut other = good[..signed].to_vec();
        other[40] ^= 1;
        [&other[..], &[0, 0]].concat()
    })
    .unwrap();
    world.openssl_signs("v5", "sha256", "other.zip");
    let other = fs::read(world.path("other.zip")).unwrap();
    let transplant = [&good[..signed], &other[signed..]].concat();
    refused(&transplant, "another signature");
    refused(&[&good[..signed], &[0, 0]].concat(), "no comment");
    refused(&[&good[..signed], &[9, 0], b"any words"].concat(), "a comment");
    let mut second = good.clone();
    second[signed + 2..signed + 6].copy_from_slice(b"PK\x05\x06");
    refused(&second, "a second end");
    refused(&[&good[..], b"x"].concat(), "something after it");
    refused(&good[..good.len() - 1], "cut");
}

#[test]
fn keys_come_from_otacerts_and_from_res_keys() {
    let world = World::new();
    for sort in &SORTS {
        world.key(sort);
        world.openssl_signs(sort.name, sort.hash, &format!("{}.zip", sort.name));
    }
    world.python(
        "import zipfile\n\
         with zipfile.ZipFile('otacerts.zip', 'w', zipfile.ZIP_DEFLATED) as z:\n\
         \x20z.write('v3.x509.pem'); z.write('v5.x509.pem', 'folder/a.x509.pem')\n\
         \x20z.writestr('README', 'no certificate')\n\
         with zipfile.ZipFile('bad.zip', 'w') as z:\n\
         \x20z.write('v3.x509.pem'); z.writestr('x.x509.pem', 'no certificate')\n\
         with zipfile.ZipFile('none.zip', 'w') as z: z.write('v3.x509.pem', 'v3.pem')\n",
    );
    for (name, is_in) in [("v3.zip", true), ("v5.zip", true), ("v4.zip", false)] {
        assert_eq!(world.accepts(name, &["otacerts.zip"]), is_in, "{name}");
    }
    // One bad certificate makes all of them bad.
    for bad in ["bad.zip", "none.zip", "hello"] {
        assert_eq!(world.keys(&[bad]).unwrap_err().kind(), Kind::Invalid, "{bad}");
    }

    let texts: Vec<String> = SORTS.iter().map(|sort| res_key(&world, sort.name)).collect();
    for (sort, text) in SORTS.iter().zip(&texts) {
        fs::write(world.path("keys"), text).unwrap();
        for package in &SORTS {
            let is_own = package.name == sort.name;
            let name = format!("{}.zip", package.name);
            assert_eq!(world.accepts(&name, &["keys"]), is_own, "{} by {name}", sort.name);
        }
    }
    fs::write(world.path("keys"), texts.join(",\n")).unwrap();
    for sort in &SORTS {
        assert!(world.accepts(&format!("{}.zip", sort.name), &["keys"]));
    }
    fs::write(world.path("keys"), texts.join(",\n") + ",").unwrap();
    world.keys(&["keys"]).unwrap_err();
}

/// A key as dumpkey writes it.
fn res_key(world: &World, name: &str) -> String {
    let list = |numbers: Vec<String>| numbers.join(",");
    let bytes = |bytes: &[u8]| list(bytes.iter().rev().map(ToString::to_string).collect());
    let pem = format!("{name}.pem");
    if name == "v5" {
        let der = world.openssl(&["pkey", "-in", &pem, "-pubout", "-outform", "DER"]);
        let point = &der[der.len() - 64..];
        return format!("v5 {{32,{{{}}},{{{}}}}}", bytes(&point[..32]), bytes(&point[32..]));
    }
    let text = world.openssl(&["rsa", "-in", &pem, "-modulus", "-noout"]);
    let text = String::from_utf8(text).unwrap();
    let modulus = text.trim().strip_prefix("Modulus=").unwrap();
    let words: Vec<String> = modulus
        .as_bytes()
        .rchunks(8)
        .map(|word| {
            u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap().to_string()
        })
        .collect();
    let (count, words) = (words.len(), list(words));
    let prefix = match name {
        "v1" => String::new(),
        "rsa4096" => "v4 ".to_owned(),
        other => format!("{other} "),
    };
    format!("{prefix}{{{count},0x12345678,{{{words}}},{{{words}}}}}")
}
