//! Where each resource lives below the server's base URL.
//!
//! Templates in braces are those of OpenAPI; the functions beside them fill in one name, which
//! they percent-encode.

/// The prefix of the operator interface.
pub const API: &str = "/api/v1";
/// The OpenAPI description of this interface, as JSON. Needs no token.
pub const OPENAPI: &str = "/api/v1/openapi.json";
/// Whether the server lives; needs no token and says nothing else.
pub const HEALTH: &str = "/healthz";
/// Whether the server can answer requests now; without authentication.
pub const READY: &str = "/readyz";
/// Numbers for Prometheus.
pub const METRICS: &str = "/metrics";
/// What the server is and how it is doing.
pub const STATUS: &str = "/api/v1/status";
/// The fleet at a glance.
pub const OVERVIEW: &str = "/api/v1/overview";
/// All devices.
pub const DEVICES: &str = "/api/v1/devices";
/// One device.
pub const DEVICE: &str = "/api/v1/devices/{id}";
/// Refuses one device's certificate from now on.
pub const DEVICE_REVOKE: &str = "/api/v1/devices/{id}/revoke";
/// Pins one device to what it runs.
pub const DEVICE_PIN: &str = "/api/v1/devices/{id}/pin";
/// What happened to one device.
pub const DEVICE_EVENTS: &str = "/api/v1/devices/{id}/events";
/// The configuration that one device reported, as it sent it.
pub const DEVICE_CONFIGURATION: &str = "/api/v1/devices/{id}/configuration";
/// The logs that one device was asked for.
pub const DEVICE_LOGS: &str = "/api/v1/devices/{id}/logs";
/// One of them, as text.
pub const DEVICE_LOG: &str = "/api/v1/devices/{id}/logs/{log}";
/// What one device measures, with the newest values.
pub const DEVICE_METRICS: &str = "/api/v1/devices/{id}/metrics";
/// One metric of one device over time. Names may have slashes.
pub const DEVICE_METRIC: &str = "/api/v1/devices/{id}/metrics/{*name}";
/// The images that are encrypted for one device's components.
pub const ENCRYPTED_IMAGES: &str = "/api/v1/devices/{id}/encrypted-images";
/// One image that is encrypted for one component.
pub const ENCRYPTED_IMAGE: &str =
    "/api/v1/devices/{id}/components/{serial}/encrypted-images/{*target}";
/// The ciphertext of an image, by its SHA-256.
pub const CIPHERTEXT: &str = "/api/v1/ciphertexts/{sha256}";
/// All alarms.
pub const ALERTS: &str = "/api/v1/alerts";
/// Somebody knows of one alarm.
pub const ALERT_ACKNOWLEDGE: &str = "/api/v1/alerts/{id}/acknowledge";
/// All rules for alarms.
pub const ALERT_RULES: &str = "/api/v1/alert-rules";
/// One rule.
pub const ALERT_RULE: &str = "/api/v1/alert-rules/{name}";
/// Who is told of events.
pub const SUBSCRIPTIONS: &str = "/api/v1/subscriptions";
/// One who is.
pub const SUBSCRIPTION: &str = "/api/v1/subscriptions/{name}";
/// Telling one subscription of a trial.
pub const SUBSCRIPTION_TEST: &str = "/api/v1/subscriptions/{name}/test";
/// All groups.
pub const GROUPS: &str = "/api/v1/groups";
/// One group.
pub const GROUP: &str = "/api/v1/groups/{name}";
/// The devices in one group.
pub const GROUP_DEVICES: &str = "/api/v1/groups/{name}/devices";
/// One device's membership in one group.
pub const GROUP_DEVICE: &str = "/api/v1/groups/{name}/devices/{id}";
/// All releases.
pub const RELEASES: &str = "/api/v1/releases";
/// One release.
pub const RELEASE: &str = "/api/v1/releases/{name}";
/// All rollouts.
pub const ROLLOUTS: &str = "/api/v1/rollouts";
/// Which devices a rollout would reach and in which phase, without creating it.
pub const ROLLOUT_PREVIEW: &str = "/api/v1/rollouts/preview";
/// One rollout.
pub const ROLLOUT: &str = "/api/v1/rollouts/{name}";
/// The devices of one rollout with their states.
pub const ROLLOUT_DEVICES: &str = "/api/v1/rollouts/{name}/devices";
/// Why devices of one rollout failed.
pub const ROLLOUT_FAILURES: &str = "/api/v1/rollouts/{name}/failures";
/// Hands out no new assignments until resumed.
pub const ROLLOUT_PAUSE: &str = "/api/v1/rollouts/{name}/pause";
/// Goes on after a pause.
pub const ROLLOUT_RESUME: &str = "/api/v1/rollouts/{name}/resume";
/// Ends a rollout and takes back what no device has started.
pub const ROLLOUT_STOP: &str = "/api/v1/rollouts/{name}/stop";
/// Begins a rollout that waits to be started.
pub const ROLLOUT_START: &str = "/api/v1/rollouts/{name}/start";
/// Approves of a rollout that waits for it.
pub const ROLLOUT_APPROVE: &str = "/api/v1/rollouts/{name}/approve";
/// Denies a rollout that waits for an approval.
pub const ROLLOUT_DENY: &str = "/api/v1/rollouts/{name}/deny";
/// Gives the devices of a rollout that failed another attempt.
pub const ROLLOUT_RETRY: &str = "/api/v1/rollouts/{name}/retry";
/// Begins the next phase of a rollout.
pub const ROLLOUT_ADVANCE: &str = "/api/v1/rollouts/{name}/advance";
/// Gives the devices that have a rollout's release back what they had before.
pub const ROLLOUT_ROLLBACK: &str = "/api/v1/rollouts/{name}/rollback";
/// Times in which rollouts tell devices nothing.
pub const FREEZES: &str = "/api/v1/freezes";
/// One of them.
pub const FREEZE: &str = "/api/v1/freezes/{name}";
/// What happened, in order.
pub const EVENTS: &str = "/api/v1/events";
/// What happens, as it happens: server-sent events.
pub const EVENT_STREAM: &str = "/api/v1/events/stream";
/// What operators did, and what they were refused.
pub const AUDIT: &str = "/api/v1/audit";
/// The session of a browser: log in, look, log out.
pub const SESSION: &str = "/api/v1/session";
/// How one can log in.
pub const SESSION_WAYS: &str = "/api/v1/session/ways";
/// Logging in by a provider of identities.
pub const SESSION_OIDC: &str = "/api/v1/session/oidc";
/// Where a provider of identities sends the browser back to.
pub const SESSION_OIDC_CALLBACK: &str = "/api/v1/session/oidc/callback";
/// All operators' accounts.
pub const USERS: &str = "/api/v1/users";
/// One account.
pub const USER: &str = "/api/v1/users/{name}";
/// The password of one account.
pub const USER_PASSWORD: &str = "/api/v1/users/{name}/password";
/// The one-time codes of one account.
pub const USER_ONE_TIME_CODES: &str = "/api/v1/users/{name}/one-time-codes";
/// The sessions of an account.
pub const USER_SESSIONS: &str = "/api/v1/users/{name}/sessions";
/// One session of an account.
pub const USER_SESSION: &str = "/api/v1/users/{name}/sessions/{id}";
/// API tokens: one's own, or all of them for who manages users.
pub const TOKENS: &str = "/api/v1/tokens";
/// One API token.
pub const TOKEN: &str = "/api/v1/tokens/{name}";
/// The keys with which the server signs snapshot and timestamp of the Image repository.
pub const ONLINE_KEYS: &str = "/api/v1/image-repository/online-keys";
/// The current root of the Image repository.
pub const IMAGE_ROOT: &str = "/api/v1/image-repository/root";
/// One version of the Image repository's root; operators follow them one by one.
pub const IMAGE_ROOT_VERSION: &str = "/api/v1/image-repository/roots/{version}";
/// The current top-level targets of the Image repository.
pub const IMAGE_TARGETS: &str = "/api/v1/image-repository/targets";
/// One delegated role of the Image repository.
pub const IMAGE_DELEGATION: &str = "/api/v1/image-repository/delegations/{role}";
/// Targets and delegated targets that are published together.
pub const IMAGE_CHANGE: &str = "/api/v1/image-repository/change";
/// The newest root of the Image repository in the form of TUF 1.0.
pub const TUF_ROOT: &str = "/tuf/root.json";
/// The content of one target file that is not an OSTree commit.
pub const IMAGE_FILE: &str = "/api/v1/image-repository/files/{*name}";
/// The OSTree repository; operators upload below it with their token.
pub const TREEHUB: &str = "/treehub";

/// The path of one device.
pub fn device(id: &str) -> String {
    format!("{DEVICES}/{}", encode(id))
}

/// The path that revokes one device.
pub fn device_revoke(id: &str) -> String {
    format!("{DEVICES}/{}/revoke", encode(id))
}

/// The path of one device's events.
pub fn device_events(id: &str) -> String {
    format!("{DEVICES}/{}/events", encode(id))
}

/// The path of the configuration that one device reported.
pub fn device_configuration(id: &str) -> String {
    format!("{DEVICES}/{}/configuration", encode(id))
}

/// The path of the logs that one device was asked for.
pub fn device_logs(id: &str) -> String {
    format!("{DEVICES}/{}/logs", encode(id))
}

/// The path of one log of one device.
pub fn device_log(id: &str, log: u64) -> String {
    format!("{DEVICES}/{}/logs/{log}", encode(id))
}

/// The path of one device's metrics.
pub fn device_metrics(id: &str) -> String {
    format!("{DEVICES}/{}/metrics", encode(id))
}

/// The path of one metric of one device; slashes in its name stay.
pub fn device_metric(id: &str, name: &str) -> String {
    format!("{DEVICES}/{}/metrics/{}", encode(id), encode_path(name))
}

/// The path of the images that are encrypted for one device.
pub fn encrypted_images(id: &str) -> String {
    format!("{DEVICES}/{}/encrypted-images", encode(id))
}

/// The path of one image that is encrypted for one component; slashes in the target's name stay.
pub fn encrypted_image(id: &str, serial: &str, target: &str) -> String {
    let (id, serial, target) = (encode(id), encode(serial), encode_path(target));
    format!("{DEVICES}/{id}/components/{serial}/encrypted-images/{target}")
}

/// The path of one ciphertext.
pub fn ciphertext(sha256: &str) -> String {
    format!("{API}/ciphertexts/{}", encode(sha256))
}

/// The path that says that an alarm is known.
pub fn alert_acknowledge(id: u64) -> String {
    format!("{ALERTS}/{id}/acknowledge")
}

/// The path of one rule for alarms.
pub fn alert_rule(name: &str) -> String {
    format!("{ALERT_RULES}/{}", encode(name))
}

/// The path of one subscription.
pub fn subscription(name: &str) -> String {
    format!("{SUBSCRIPTIONS}/{}", encode(name))
}

/// The path of one group.
pub fn group(name: &str) -> String {
    format!("{GROUPS}/{}", encode(name))
}

/// The path of one group's devices.
pub fn group_devices(name: &str) -> String {
    format!("{GROUPS}/{}/devices", encode(name))
}

/// The path of one device's membership in one group.
pub fn group_device(name: &str, id: &str) -> String {
    format!("{GROUPS}/{}/devices/{}", encode(name), encode(id))
}

/// The path of one release.
pub fn release(name: &str) -> String {
    format!("{RELEASES}/{}", encode(name))
}

/// The path of one rollout.
pub fn rollout(name: &str) -> String {
    format!("{ROLLOUTS}/{}", encode(name))
}

/// The path of one rollout's devices.
pub fn rollout_devices(name: &str) -> String {
    format!("{ROLLOUTS}/{}/devices", encode(name))
}

/// The path of why devices of one rollout failed.
pub fn rollout_failures(name: &str) -> String {
    format!("{ROLLOUTS}/{}/failures", encode(name))
}

/// The path that pauses one rollout.
pub fn rollout_pause(name: &str) -> String {
    format!("{ROLLOUTS}/{}/pause", encode(name))
}

/// The path that resumes one rollout.
pub fn rollout_resume(name: &str) -> String {
    format!("{ROLLOUTS}/{}/resume", encode(name))
}

/// The path that stops one rollout.
pub fn rollout_stop(name: &str) -> String {
    format!("{ROLLOUTS}/{}/stop", encode(name))
}

/// The path that does something with one rollout: `start`, `approve`, `deny`, `retry`, `rollback`.
pub fn rollout_verb(name: &str, verb: &str) -> String {
    format!("{ROLLOUTS}/{}/{verb}", encode(name))
}

/// The path of one freeze.
pub fn freeze(name: &str) -> String {
    format!("{FREEZES}/{}", encode(name))
}

/// The path of one device's pin.
pub fn device_pin(id: &str) -> String {
    format!("{DEVICES}/{}/pin", encode(id))
}

/// The path of one account.
pub fn user(name: &str) -> String {
    format!("{USERS}/{}", encode(name))
}

/// The path of one account's password.
pub fn user_password(name: &str) -> String {
    format!("{USERS}/{}/password", encode(name))
}

/// The path of one account's one-time codes.
pub fn user_one_time_codes(name: &str) -> String {
    format!("{USERS}/{}/one-time-codes", encode(name))
}

/// The path of one API token.
pub fn token(name: &str) -> String {
    format!("{TOKENS}/{}", encode(name))
}

/// The path of one version of the Image repository's root.
pub fn image_root_version(version: u64) -> String {
    format!("{API}/image-repository/roots/{version}")
}

/// The path of one delegated role of the Image repository.
pub fn image_delegation(role: &str) -> String {
    format!("{API}/image-repository/delegations/{}", encode(role))
}

/// The path of one target file; slashes in the name stay slashes.
pub fn image_file(name: &str) -> String {
    format!("{API}/image-repository/files/{}", encode_path(name))
}

fn encode_path(name: &str) -> String {
    let name: Vec<String> = name.split('/').map(encode).collect();
    name.join("/")
}

/// Percent-encodes all but RFC 3986's unreserved characters, so that a name is one path segment.
pub fn encode(segment: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{device, encode, image_file};

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(encode("a/b c?d%é"), "a%2Fb%20c%3Fd%25%C3%A9");
        assert_eq!(device("dev/../x"), "/api/v1/devices/dev%2F..%2Fx");
        assert_eq!(image_file("a/b c"), "/api/v1/image-repository/files/a/b%20c");
    }
}
