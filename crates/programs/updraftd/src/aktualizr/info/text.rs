//! The lines of `aktualizr-info` (aktualizr: `src/aktualizr_info/main.cc`).

use updraft_agent::{DeviceInfo, PrimaryInfo, SecondaryInfo};
use updraft_terminal::{Result, Terminal};
use updraft_tuf::{Repository, RoleName};

use super::options::Options;
use crate::print;

/// Prints what options ask for, in aktualizr's order whatever theirs is; whether any did.
pub(super) fn asked_for(terminal: &Terminal, options: &Options, info: &DeviceInfo) -> Result<bool> {
    let credentials = credentials(terminal, options, info)?;
    let keys = keys(terminal, options, info)?;
    let metadata = metadata(terminal, options, info)?;
    Ok(credentials || keys || metadata)
}

fn credentials(terminal: &Terminal, options: &Options, info: &DeviceInfo) -> Result<bool> {
    let ca = info.ca_pem.as_deref().unwrap_or_default();
    let certificate = info.certificate_pem.as_deref().unwrap_or_default();
    let key = info.private_key_pem.as_deref().unwrap_or_default();
    if options.tls_creds {
        terminal.line(format_args!("Root CA certificate:\n{ca}"))?;
        terminal.line(format_args!("Client certificate:\n{certificate}"))?;
        terminal.line(format_args!("Client private key:\n{key}"))?;
    }
    let wanted = [options.tls_root_ca, options.tls_cert, options.tls_prv_key];
    for (wanted, pem) in wanted.iter().zip([ca, certificate, key]) {
        if *wanted {
            terminal.line(pem)?;
        }
    }
    Ok(options.tls_creds || wanted.contains(&true))
}

/// Keys that are not there are said not to be, and count as not asked for: as aktualizr has it.
fn keys(terminal: &Terminal, options: &Options, info: &DeviceInfo) -> Result<bool> {
    let Options { ecu_keys, ecu_keyid, ecu_pub_key, ecu_prv_key, .. } = options;
    let Some(PrimaryInfo { key_id, public_key, private_key_pem, .. }) = &info.primary else {
        for wanted in [ecu_keys, ecu_keyid, ecu_pub_key, ecu_prv_key] {
            if *wanted {
                terminal.line("Failed to load Primary ECU keys!")?;
            }
        }
        return Ok(false);
    };
    if *ecu_keys {
        terminal.line(format_args!("Public key ID: {key_id}"))?;
        terminal.line(format_args!("Public key:\n{public_key}"))?;
        terminal.line(format_args!("Private key:\n{private_key_pem}"))?;
    }
    let wanted = [*ecu_keyid, *ecu_pub_key, *ecu_prv_key];
    for (wanted, text) in wanted.iter().zip([key_id, public_key, private_key_pem]) {
        if *wanted {
            terminal.line(text)?;
        }
    }
    Ok(*ecu_keys || wanted.contains(&true))
}

fn metadata(terminal: &Terminal, options: &Options, info: &DeviceInfo) -> Result<bool> {
    use Repository::{Director, Image};
    let version = options.root_version;
    let files = [
        (options.image_root, Image, RoleName::Root, version),
        (options.image_targets, Image, RoleName::Targets, None),
        (options.delegation, Image, RoleName::Delegated(String::new()), None),
        (options.director_root, Director, RoleName::Root, version),
        (options.director_targets, Director, RoleName::Targets, None),
        (options.image_snapshot, Image, RoleName::Snapshot, None),
        (options.image_timestamp, Image, RoleName::Timestamp, None),
    ];
    let mut any = false;
    for (_, repository, role, version) in files.into_iter().filter(|(wanted, ..)| *wanted) {
        any = true;
        if !info.has_metadata {
            terminal.line("Metadata is not available")?;
        } else if matches!(role, RoleName::Delegated(_)) {
            delegations(terminal, info)?;
        } else {
            let file = info.metadata(repository, &role, version).map_err(print::failure)?;
            terminal.bytes(&file.unwrap_or_default())?;
            terminal.line("")?;
        }
    }
    Ok(any)
}

fn delegations(terminal: &Terminal, info: &DeviceInfo) -> Result {
    let delegations = info.delegations().map_err(print::failure)?;
    if delegations.is_empty() {
        return terminal.line("Delegations are not present");
    }
    for (role, bytes) in delegations {
        terminal.line(format_args!("{role}: {}", String::from_utf8_lossy(&bytes)))?;
    }
    Ok(())
}

/// What is printed when nothing special is asked for.
pub(super) fn general(terminal: &Terminal, options: &Options, info: &DeviceInfo) -> Result {
    match &info.device_id {
        Some(id) => terminal.line(format_args!("Device ID: {id}"))?,
        None => terminal.line("Couldn't load device ID")?,
    }
    match &info.primary {
        Some(ecu) => {
            terminal.line(format_args!("Primary ECU serial ID: {}", ecu.serial))?;
            terminal.line(format_args!("Primary ECU hardware ID: {}", ecu.hardware_id))?;
        }
        None => terminal.line("Couldn't load ECU serials")?,
    }
    if !info.secondaries.is_empty() {
        terminal.line("Secondaries:")?;
        for (index, ecu) in info.secondaries.iter().enumerate() {
            secondary(terminal, options, index.saturating_add(1), ecu)?;
        }
    } else if options.secondary_keys {
        terminal.line("Failed to load Secondary data!")?;
    }
    if !info.misconfigured.is_empty() {
        terminal.line("Removed or unregistered ECUs (deprecated):")?;
        for (serial, hardware, removed) in &info.misconfigured {
            let state =
                if *removed { "has been removed from config" } else { "not registered yet" };
            terminal.line(format_args!("   '{serial}' with hardware_id '{hardware}' {state}"))?;
        }
    }
    let yes_or_no = |yes| if yes { "yes" } else { "no" };
    terminal.line(format_args!("Provisioned on server: {}", yes_or_no(info.is_registered)))?;
    terminal.line(format_args!("Fetched metadata: {}", yes_or_no(info.has_metadata)))?;
    match &info.running {
        Some(sha256) => {
            terminal.line(format_args!("Current Primary ECU running version: {sha256}"))?;
        }
        None => terminal.line("No currently running version on Primary ECU")?,
    }
    if let Some(sha256) = &info.pending {
        terminal.line(format_args!("Pending Primary ECU version: {sha256}"))?;
    }
    Ok(())
}

fn secondary(terminal: &Terminal, options: &Options, number: usize, ecu: &SecondaryInfo) -> Result {
    terminal.line(format_args!("{number}) serial ID: {}", ecu.serial))?;
    terminal.line(format_args!("   hardware ID: {}", ecu.hardware_id))?;
    if ecu.installed.is_none() && ecu.pending.is_none() {
        terminal.line("   no details about installed nor pending images")?;
    }
    if let Some((sha256, name)) = &ecu.installed {
        terminal.line(format_args!("   installed image hash: {sha256}"))?;
        terminal.line(format_args!("   installed image filename: {name}"))?;
    }
    if let Some((sha256, name)) = &ecu.pending {
        terminal.line(format_args!("   pending image hash: {sha256}"))?;
        terminal.line(format_args!("   pending image filename: {name}"))?;
    }
    match &ecu.key {
        Some((id, public)) if options.secondary_keys => {
            terminal.line(format_args!("   public key ID: {id}"))?;
            terminal.line(format_args!("   public key:\n{public}"))
        }
        None if options.secondary_keys => {
            terminal.line("   Failed to find matching Secondary info!")
        }
        _ => Ok(()),
    }
}
