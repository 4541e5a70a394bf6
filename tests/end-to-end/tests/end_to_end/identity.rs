//! Who somebody is: keys of devices, operators and servers in tokens, a certificate that is renewed,
//! and a server that forgot a device.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use crate::support;
use std::process::Command;

use crate::support::Refusal;
use crate::token::{PIN, Token};
use anyhow::{Context, Result, ensure};
use harness::{AktualizrDevice, Answer, Device, DeviceOptions, Site};

/// A value in the agent's state, as an independent reader has it.
fn stored(device: &Device, query: &str) -> Result<String> {
    let script = "import sqlite3,sys\n\
         print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let mut python = Command::new("python3");
    Ok(Answer::good(python.args(["-c", script]).arg(device.database()).arg(query))?.out)
}

fn certificate(device: &Device) -> Result<String> {
    stored(device, "SELECT certificate_pem FROM identity")
}

/// The agent when some hours have passed.
fn later(device: &Device, hours: u32, arguments: &[&str]) -> Result<Answer> {
    let agent = device.agent(arguments);
    let mut command = Command::new("faketime");
    command.args(["-f", &format!("+{hours}h")]).arg(agent.get_program()).args(agent.get_args());
    command.env("NO_COLOR", "1");
    Answer::of(&mut command)
}

#[test]
fn a_certificate_is_renewed_before_it_ends() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("renewing", &DeviceOptions::default())?;
    // Valid for a day from now, and from an hour before.
    Answer::good(&mut device.agent(&["--set", "provision.expiry_days=1", "provision"]))?;
    let (first, key) =
        (certificate(&device)?, stored(&device, "SELECT private_key_pem FROM identity")?);
    device.run_once()?;
    let never = later(&device, 22, &["--set", "est.renew_percent=0", "run-once"])?;
    ensure!(never.code == 0 && certificate(&device)? == first, "renewed: {}", never.err);
    // A server that renews nothing stops nothing.
    let nowhere = format!("est.server={}/nowhere", site.server.url());
    let without = later(&device, 22, &["--set", &nowhere, "run-once"])?;
    ensure!(without.code == 0 && without.err.contains("not renewed"), "{}", without.err);
    ensure!(certificate(&device)? == first, "renewed by nobody");

    let renewed = later(&device, 22, &["run-once"])?;
    ensure!(renewed.code == 0, "{}", renewed.err);
    let second = certificate(&device)?;
    ensure!(second != first, "not renewed: {}", renewed.err);
    ensure!(
        stored(&device, "SELECT private_key_pem FROM identity")? != key,
        "the key is the old one"
    );
    let file = folder.path().join("second.pem");
    std::fs::write(&file, second)?;
    let month = (30 * 86_400).to_string();
    Answer::good(
        Command::new("openssl").args(["x509", "-noout", "-checkend", &month, "-in"]).arg(&file),
    )?;
    // It is this device still, and takes updates.
    site.assign("renewing", "v1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted");
    Ok(())
}

#[test]
fn a_device_that_the_server_forgot_gets_in_again_only_when_it_is_told_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let device = site.device_on("v1", "forgotten", &DeviceOptions::default())?;
    let first = certificate(&device)?;
    let known = Refusal { code: 5, says: &["device_already_registered"], hint: "device rm" };
    known.of(&site, &device, &["provision", "--again"])?;
    ensure!(certificate(&device)? == first, "another certificate");

    site.operator.run(&["device", "rm", "forgotten"])?;
    let refused = Refusal { code: 9, says: &["403"], hint: "provision --again" };
    refused.of(&site, &device, &["run-once"])?;
    refused.of(&site, &device, &["run-once"])?;
    Answer::good(&mut device.agent(&["provision"]))?;
    ensure!(certificate(&device)? == first, "another certificate, and nobody asked for it");

    let again = Answer::good(&mut device.agent(&["provision", "--again", "--json"]))?.json()?;
    ensure!(again["provisioned"] == true && again["device_id"] == "forgotten", "{again}");
    ensure!(certificate(&device)? != first, "the old certificate");
    device.run_once()?;
    support::unchanged(&site, &device)?;
    site.assign("forgotten", "v2")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v2"), "v2 is not booted");
    Ok(())
}

/// A device whose keys are in a token, made known with the credentials that all devices share; then
/// the same one once more, with an identity that is all in the token.
fn with_keys_in(token: &Token, site: &Site, id: &str) -> Result<()> {
    let configuration = format!(
        "[tls]\npkey_source = \"pkcs11\"\n\n[p11]\nmodule = \"{}\"\npass = \"{PIN}\"\n\
         uptane_key_id = \"02\"\ntls_pkey_id = \"01\"\ntls_clientcert_id = \"01\"\n",
        token.module()
    );
    let device = site.device(id, &DeviceOptions { configuration, ..DeviceOptions::default() })?;
    let run = |arguments: &[&str]| {
        let mut agent = device.agent(arguments);
        agent.env("UPDRAFTD_UPTANE_KEY_SOURCE", "pkcs11");
        Answer::good(token.known_to(&mut agent))
    };
    run(&["run-once"])?;
    for table in ["identity", "ecu"] {
        let key = stored(&device, &format!("SELECT private_key_pem FROM {table}"))?;
        ensure!(key.is_empty(), "a private key is in the state: {table}");
    }
    let shown = run(&["config", "show", "--effective"])?.out;
    ensure!(!shown.contains(PIN) && shown.contains("(hidden)"), "the PIN is shown: {shown}");
    site.assign(id, "v1")?;
    run(&["run-once"])?;
    device.boot()?;
    run(&["run-once"])?;
    let known = site.operator.device(id)?;
    ensure!(known["last_report"]["success"] == true, "the server heard {known}");

    // A wrong PIN is told as one, and is tried once only.
    let mut agent = device.agent(&["--set", "p11.pass=4321", "run-once"]);
    let wrong = Answer::of(token.known_to(agent.env("UPDRAFTD_UPTANE_KEY_SOURCE", "pkcs11")))?;
    ensure!(wrong.code == 9 && !wrong.err.contains("4321"), "{} {}", wrong.code, wrong.err);

    let files = site.folder().join(format!("{id}-import"));
    std::fs::create_dir(&files)?;
    std::fs::write(files.join("client.pem"), certificate(&device)?)?;
    std::fs::write(files.join("ca.pem"), stored(&device, "SELECT ca_pem FROM identity")?)?;
    token.add_certificate(&files.join("client.pem"))?;
    std::fs::remove_dir_all(device.database().parent().context("a folder")?)?;
    let mut agent = device.agent(&["run-once"]);
    agent.env("UPDRAFTD_UPTANE_KEY_SOURCE", "pkcs11").env("UPDRAFTD_TLS_CERT_SOURCE", "pkcs11");
    agent.env("UPDRAFTD_PROVISION_MODE", "DeviceCred").env("UPDRAFTD_IMPORT_BASE_PATH", &files);
    agent.env("UPDRAFTD_IMPORT_TLS_CACERT_PATH", "ca.pem");
    agent.env("UPDRAFTD_TLS_SERVER", site.server.url());
    Answer::good(token.known_to(&mut agent))?;
    ensure!(device.status()?["provisioned"] == true, "{}", device.status()?);
    Ok(())
}

#[test]
fn keys_may_be_in_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let soft = Token::soft(folder.path())?;
    for (id, key_type) in [("01", "EC:prime256v1"), ("02", "EC:edwards25519")] {
        soft.generate(id, key_type)?;
    }
    with_keys_in(&soft, &site, "soft-token").context("SoftHSM")?;
    let tpm = Token::tpm(folder.path())?;
    for (id, key_type) in [("01", "EC:prime256v1"), ("02", "rsa:2048")] {
        tpm.generate(id, key_type)?;
    }
    with_keys_in(&tpm, &site, "tpm-token").context("TPM 2.0")
}

#[test]
fn aktualizr_lite_keeps_its_identity_in_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let token = Token::soft(folder.path())?;
    // Its identity is moved to the token, the certificate beside the key.
    let device = AktualizrDevice::create(&site, "lite-token", "")?;
    let import = device.folder().join("import");
    token.import(&import.join("pkey.pem"))?;
    token.add_certificate(&import.join("client.pem"))?;
    for name in ["pkey.pem", "client.pem", "client.der"] {
        std::fs::remove_file(import.join(name))?;
    }
    let url = site.server.url();
    let text = format!(
        "[tls]\nserver = \"{url}\"\npkey_source = \"pkcs11\"\ncert_source = \"pkcs11\"\n\
         [p11]\nmodule = \"{}\"\npass = \"{PIN}\"\ntls_pkey_id = \"01\"\ntls_clientcert_id = \"01\"\n\
         helper = \"{}\"\n[import]\nbase_path = \"import\"\ntls_cacert_path = \"ca.pem\"\n\
         [provision]\nprimary_ecu_hardware_id = \"demo-board\"\n[storage]\npath = \"lite\"\n\
         [uptane]\nrepo_server = \"{url}/repo\"\n\
         [pacman]\nsysroot = \"sysroot\"\nos = \"lmp\"\ncreate_sysroot = 1\nbooted = 0\n",
        token.module(),
        site.programs().path("updraftd-keys").display(),
    );
    std::fs::write(device.folder().join("sota.toml"), text)?;
    std::os::unix::fs::symlink(
        site.programs().path("updraftd"),
        device.folder().join("aktualizr-lite"),
    )?;
    let check = || device.command("aktualizr-lite", &["check", "--json", "1"]);
    let checked = Answer::of(token.known_to(&mut check()))?;
    ensure!(checked.code == 16, "{}: {} {}", checked.code, checked.out, checked.err);
    ensure!(checked.json()?.as_array().is_some_and(|list| !list.is_empty()), "{}", checked.out);
    // The name is the certificate's.
    let status = &mut device.command("aktualizr-lite", &["status", "--json", "1"]);
    let status = Answer::of(token.known_to(status))?.json()?;
    ensure!(status["uuid"] == "lite-token", "{status}");
    // Without its token it gets nothing from a server that wants to know who asks.
    std::fs::remove_dir_all(device.folder().join("lite"))?;
    let alone = Answer::of(&mut check())?;
    ensure!(alone.code != 16 && !alone.err.contains(PIN), "{}: {}", alone.code, alone.err);
    Ok(())
}

/// A program in the place of the helper, which finds the token.
fn helper_for(token: &Token, site: &Site) -> Result<String> {
    let mut real = site.programs().command("updraftd-keys");
    let variables: Vec<String> = token
        .known_to(&mut real)
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    let program = site.programs().path("updraftd-keys");
    let text = format!("#!/bin/sh\n{}exec '{}'\n", variables.concat(), program.display());
    let path = site.folder().join("helper");
    std::fs::write(&path, text)?;
    Answer::good(Command::new("chmod").arg("0755").arg(&path))?;
    Ok(path.display().to_string())
}

#[test]
fn metadata_is_signed_by_keys_in_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 1)?;
    let device = site.device("follower", &DeviceOptions::default())?;
    device.run_once()?;
    let token = Token::soft(folder.path())?;
    for (id, key_type) in [("11", "EC:edwards25519"), ("12", "rsa:2048"), ("13", "EC:edwards25519")]
    {
        token.generate(id, key_type)?;
    }
    let helper = helper_for(&token, &site)?;
    std::fs::write(folder.path().join("pin"), PIN)?;
    let pin = folder.path().join("pin").display().to_string();
    let at = |name: &str| {
        format!(
            "pkcs11:token=up;object={name}?module-path={}&pin-source=file:{pin}",
            token.module()
        )
    };

    // The operator's targets key: added, entered by a new root, and used.
    let add =
        |name: &str| site.operator.json(&["keys", "add-token", &at(name), "--helper", &helper]);
    let key = add("11")?["keyid"].as_str().context("an id")?.to_owned();
    let public = folder.path().join("targets.pub").display().to_string();
    site.operator.run(&["keys", "export", &key, "-o", &public])?;
    let before = site.operator.json(&["keys", "ls"])?;
    let old = before.as_array().into_iter().flatten().find(|one| one["roles"][0] == "targets");
    let old = old.and_then(|one| one["keyid"].as_str()).context("the targets key")?.to_owned();
    site.operator.run(&["keys", "rotate", "targets", "--add", &public, "--remove", &old])?;
    site.operator.run(&["keys", "rm", &old])?;
    site.operator.run(&["release", "renew", "--expires-days", "30"])?;
    // A ceremony: the request is signed where the token is.
    let request = folder.path().join("request.json").display().to_string();
    site.operator.run(&["release", "renew", "--sign-request", &request])?;
    let signed = site.operator.json(&["keys", "sign", &request])?;
    ensure!(signed["missing"].as_array().is_some_and(Vec::is_empty), "{signed}");
    site.operator.run(&["release", "import", &request])?;
    // A wrong PIN is told as one.
    std::fs::write(folder.path().join("pin"), "4321")?;
    let wrong = site.operator.try_run(&["release", "renew"])?;
    ensure!(wrong.code == 9 && !wrong.err.contains("4321"), "{} {}", wrong.code, wrong.err);
    std::fs::write(folder.path().join("pin"), PIN)?;

    // The Director's targets and root keys: devices follow its root, and believe the token.
    site.server.stop()?;
    let data = site.server.data().display().to_string();
    let server = |arguments: &[&str]| {
        let mut command = site.programs().command("updraft-server");
        Answer::good(command.args(arguments).args(["--data", &data, "--json"]))?.json()
    };
    let keys_of = |role: &str| -> Result<Vec<String>> {
        let listed = server(&["key", "ls"])?;
        let own = listed.as_array().into_iter().flatten().filter(|one| one["role"] == role);
        Ok(own.filter_map(|one| one["keyid"].as_str().map(str::to_owned)).collect())
    };
    let replace = |role: &str, name: &str| -> Result<()> {
        let old = keys_of(role)?.pop().context("a key")?;
        server(&["key", "add-token", "--role", role, &at(name), "--helper", &helper])?;
        if role == "director/root" {
            // The old key vouches for the new one before it goes.
            server(&["key", "apply"])?;
        }
        let mut remove = site.programs().command("updraft-server");
        Answer::good(remove.args(["key", "rm", "--role", role, &old, "--data", &data]))?;
        ensure!(server(&["key", "apply"])?["version"].is_u64(), "{role}: no new root");
        Ok(())
    };
    replace("director/targets", "12")?;
    replace("director/root", "13")?;
    ensure!(server(&["key", "apply"])?["version"].is_null(), "another root of the same keys");
    site.server.run()?;
    site.assign("follower", "v1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted");
    Ok(())
}
