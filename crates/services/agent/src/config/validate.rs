//! What types alone cannot say about settings.

use std::net::SocketAddr;

use crate::config::{KeySource, Loaded, Settings};
use crate::{Error, Result};

/// The shortest pause between two checks that makes sense, in seconds.
const POLLING_RANGE: std::ops::RangeInclusive<u64> = 1..=31_536_000;
const HEALTH_TIMEOUT_RANGE: std::ops::RangeInclusive<u64> = 1..=3600;
/// How long a secondary may be waited for, in seconds.
const LONGEST_WAIT: u64 = 86_400;
/// Seconds of silence, or of a slow transfer.
const TRANSFER_TIME_RANGE: std::ops::RangeInclusive<u64> = 1..=3600;
const MOST_RETRIES: u32 = 100;
const MAX_HEALTH_CHECKS: usize = 64;
/// As the servers of the aktualizr world have it.
const MAX_SERIAL: usize = 64;
const MAX_HARDWARE_ID: usize = 200;
const MAX_DEVICE_ID: usize = 64;

/// Refuses settings that cannot work.
pub(super) fn check(loaded: &Loaded) -> Result<()> {
    rules(&loaded.settings).into_iter().find_map(|rule| rule.broken_in(loaded)).map_or(Ok(()), Err)
}

struct Rule {
    key: &'static str,
    holds: bool,
    problem: &'static str,
    hint: &'static str,
}

impl Rule {
    fn broken_in(&self, loaded: &Loaded) -> Option<Error> {
        if self.holds {
            return None;
        }
        let place = loaded
            .origins
            .get(self.key)
            .map_or_else(|| self.key.to_owned(), |origin| format!("{origin}: {}", self.key));
        Some(Error::Config { place, problem: self.problem.to_owned(), hint: self.hint.to_owned() })
    }
}

fn rules(settings: &Settings) -> Vec<Rule> {
    let rule = |key, holds, problem, hint| Rule { key, holds, problem, hint };
    let url = |key, value: &str| {
        rule(
            key,
            value.is_empty() || is_url(value),
            "it is not an address",
            "write it as `https://HOST:PORT`",
        )
    };
    let provision = &settings.provision;
    let mut rules = vec![
        url("tls.server", &settings.tls.server),
        url("provision.server", &provision.server),
        url("provision.ecu_registration_endpoint", &provision.ecu_registration_endpoint),
        url("uptane.director_server", &settings.uptane.director_server),
        url("uptane.repo_server", &settings.uptane.repo_server),
        url("pacman.ostree_server", &settings.pacman.ostree_server),
        url("transfer.proxy", &settings.transfer.proxy),
        rule(
            "transfer.retries",
            settings.transfer.retries <= MOST_RETRIES,
            "it is more than 100",
            "write how often a request is repeated",
        ),
        rule(
            "transfer.timeout_sec",
            TRANSFER_TIME_RANGE.contains(&settings.transfer.timeout_sec),
            "it is not between 1 and 3600",
            "write for how many seconds the other side may be silent",
        ),
        rule(
            "transfer.low_speed_sec",
            TRANSFER_TIME_RANGE.contains(&settings.transfer.low_speed_sec),
            "it is not between 1 and 3600",
            "write for how many seconds a transfer may be too slow",
        ),
        rule(
            "uptane.polling_sec",
            POLLING_RANGE.contains(&settings.uptane.polling_sec),
            "it is not between 1 and 31536000",
            "write the seconds between two checks",
        ),
        rule(
            "uptane.secondary_preinstall_wait_sec",
            settings.uptane.secondary_preinstall_wait_sec <= LONGEST_WAIT,
            "it is more than 86400",
            "write how many seconds a secondary may be out of reach",
        ),
        rule(
            "pacman.type",
            ["ostree", "slots", "none"].contains(&settings.pacman.kind.as_str()),
            "this version installs `ostree`, `slots` and `none` only",
            "write `type = \"ostree\"` for deployments, `\"slots\"` for payloads, `\"none\"` for files",
        ),
        rule(
            "slots.page",
            is_loopback_or_empty(&settings.slots.page),
            "it is no address of this device alone",
            "write `page = \"127.0.0.1:8484\"`, or nothing",
        ),
        rule(
            "pacman.storage_watermark",
            (1..=100).contains(&settings.pacman.storage_watermark),
            "it is not between 1 and 100",
            "write how full the file system may get, in percent",
        ),
        rule(
            "storage.type",
            settings.storage.kind == "sqlite",
            "this version keeps its state in `sqlite` only",
            "write `type = \"sqlite\"`",
        ),
        rule(
            "bootloader.rollback_mode",
            ["none", "uboot_generic", "uboot_masked"]
                .contains(&settings.bootloader.rollback_mode.as_str()),
            "this version knows `none`, `uboot_generic` and `uboot_masked`",
            "write `rollback_mode = \"none\"`",
        ),
        rule(
            "logger.loglevel",
            settings.logger.loglevel <= 5,
            "it is not between 0 and 5",
            "0 says everything, 5 only errors",
        ),
        rule(
            "provision.primary_ecu_serial",
            is_name(&provision.primary_ecu_serial, MAX_SERIAL),
            "it is not 1 to 64 printable ASCII characters without a space",
            "choose a shorter serial number",
        ),
        rule(
            "provision.primary_ecu_hardware_id",
            is_name(&provision.primary_ecu_hardware_id, MAX_HARDWARE_ID),
            "it is not 1 to 200 printable ASCII characters without a space",
            "choose a shorter hardware id",
        ),
        rule(
            "provision.device_id",
            is_name(&provision.device_id, MAX_DEVICE_ID),
            "it is not 1 to 64 printable ASCII characters without a space",
            "choose a shorter name",
        ),
        rule(
            "provision.expiry_days",
            provision.expiry_days > 0,
            "it is 0",
            "write the days for which the device's certificate shall be valid",
        ),
        rule(
            "health.checks",
            settings.health.checks.len() <= MAX_HEALTH_CHECKS,
            "there are more than 64",
            "let one program run several checks",
        ),
    ];
    rules.extend(health_rules(settings));
    rules.extend(key_rules(settings));
    for check in &settings.health.checks {
        rules.push(rule(
            "health.checks",
            !check.name.is_empty() && check.command.first().is_some_and(|name| !name.is_empty()),
            "a check has no name or no command",
            "write `{ name = \"NAME\", command = [\"PROGRAM\", \"ARGUMENT\"] }`",
        ));
        rules.push(rule(
            "health.checks",
            HEALTH_TIMEOUT_RANGE.contains(&check.timeout_sec),
            "a check's `timeout_sec` is not between 1 and 3600",
            "write how many seconds the check may take",
        ));
    }
    rules
}

fn health_rules(settings: &Settings) -> [Rule; 4] {
    let rule = |key, holds, problem, hint| Rule { key, holds, problem, hint };
    let (health, watchdog) = (&settings.health, &settings.watchdog);
    [
        rule(
            "health.script_timeout_sec",
            HEALTH_TIMEOUT_RANGE.contains(&health.script_timeout_sec),
            "it is not between 1 and 3600",
            "write how many seconds a script may take",
        ),
        rule(
            "health.wait_sec",
            health.wait_sec <= *HEALTH_TIMEOUT_RANGE.end(),
            "it is more than 3600",
            "write how many seconds the server and units are waited for",
        ),
        rule(
            "watchdog.interval_sec",
            HEALTH_TIMEOUT_RANGE.contains(&watchdog.interval_sec),
            "it is not between 1 and 3600",
            "write a third of the watchdog's own time",
        ),
        rule(
            "watchdog.pending_sec",
            POLLING_RANGE.contains(&watchdog.pending_sec),
            "it is not between 1 and 31536000",
            "write how many seconds a verdict on a new system may take",
        ),
    ]
}

fn key_rules(settings: &Settings) -> [Rule; 7] {
    let rule = |key, holds, problem, hint| Rule { key, holds, problem, hint };
    let (tls, p11, est) = (&settings.tls, &settings.p11, &settings.est);
    let named = |source, id: &str| source == KeySource::File || is_object(id);
    let unnamed = "the token's object is not named";
    let way_out = "write its id in hexadecimal digits, or its `pkcs11:` URI";
    let sources = [tls.ca_source, tls.pkey_source, tls.cert_source, settings.uptane.key_source];
    [
        rule(
            "p11.module",
            sources.iter().all(|source| *source == KeySource::File)
                || !p11.module.as_os_str().is_empty(),
            "something is kept in a token, and its module is not named",
            "write the path of the PKCS#11 module",
        ),
        rule(
            "p11.uptane_key_id",
            named(settings.uptane.key_source, &p11.uptane_key_id),
            unnamed,
            way_out,
        ),
        rule("p11.tls_cacert_id", named(tls.ca_source, &p11.tls_cacert_id), unnamed, way_out),
        rule("p11.tls_pkey_id", named(tls.pkey_source, &p11.tls_pkey_id), unnamed, way_out),
        rule(
            "p11.tls_clientcert_id",
            named(tls.cert_source, &p11.tls_clientcert_id),
            unnamed,
            way_out,
        ),
        rule(
            "est.server",
            est.server.is_empty() || is_url(&est.server),
            "it is not an address",
            "write it as `https://HOST:PORT/.well-known/est`",
        ),
        rule(
            "est.renew_percent",
            est.renew_percent <= 90,
            "it is more than 90",
            "write how much of its life may be left when a certificate is renewed",
        ),
    ]
}

/// An object's id in hexadecimal digits, or its URI.
fn is_object(text: &str) -> bool {
    let is_id = !text.is_empty() && text.len() <= 128 && text.len().is_multiple_of(2);
    let is_id = is_id && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id || text.starts_with("pkcs11:")
}

fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
        })
    })
}

/// Empty means: not set.
fn is_name(text: &str, longest: usize) -> bool {
    text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether it is an address of loopback with a port, or nothing.
fn is_loopback_or_empty(text: &str) -> bool {
    text.is_empty() || text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}
