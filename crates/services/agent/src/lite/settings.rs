//! The settings of aktualizr-lite: the agent's, and what only aktualizr-lite has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::RollbackMode;
use crate::config::{Settings, UptaneKeyType};

/// Where production and development roots lie in the system image.
const ROOTS: &str = "/usr/lib/sota/tuf";
/// What aktualizr-lite takes as a sign that apps are to be run.
const DOCKER: [&str; 2] = ["/usr/bin/dockerd", "/usr/bin/docker"];
/// The command that reboots when none is set.
const REBOOT: &str = "/sbin/reboot";
/// What aktualizr-lite accepts of `pacman.storage_watermark`.
const WATERMARKS: std::ops::RangeInclusive<u8> = 20..=95;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteSettings {
    /// Those that the agent shares.
    pub agent: Settings,
    /// `pacman.tags`: targets must have one of these; none: all do.
    pub tags: Vec<String>,
    /// `pacman.callback_program`: run at each step.
    pub callback_program: PathBuf,
    /// `pacman.compose_apps`: the apps that are on. `None`: all.
    pub apps: Option<Vec<String>>,
    /// `pacman.type`: whether it is the one for apps. When it is not set: whether Docker is there.
    pub has_apps: bool,
    /// `bootloader.rollback_mode`.
    pub rollback_mode: RollbackMode,
    /// `pacman.ostree_update_block`: nothing is installed while boot firmware awaits its reboot.
    pub update_block: bool,
    /// Whether the server is sent what is known about the device.
    pub report_device: bool,
    /// `storage.uptane_metadata_path`: the folder with `ci/N.root.json` and `prod/N.root.json`.
    pub roots: PathBuf,
    /// What was set of [`Self::KEYS`], as (`section.key`, value): the server is told.
    pub own: Vec<(String, String)>,
}

impl LiteSettings {
    /// The agent's settings with aktualizr-lite's own, as `section.key` → value. What is out of
    /// range is replaced by its default, as aktualizr-lite does, and told in the log.
    pub fn new(mut agent: Settings, own: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| own.get(key).map(|value| value.trim()).unwrap_or_default();
        let given = |key: &str| Some(text(key)).filter(|value| !value.is_empty());
        let command = own.get("bootloader.reboot_command").map_or(REBOOT, |command| command);
        command.clone_into(&mut agent.bootloader.reboot_command);
        if let Some(watermark) = given("pacman.storage_watermark").and_then(watermark) {
            agent.pacman.storage_watermark = watermark;
        }
        // Nothing is signed with it: the kind that is made fastest.
        agent.uptane.key_type = UptaneKeyType::Ed25519;
        if matches!(text("pacman.booted"), "0" | "false" | "staged") {
            // Nothing of the sysroot is booted: its default stands for that.
            agent.boot.kernel_cmdline = PathBuf::new();
        }
        // aktualizr-lite does not tell which packages there are.
        agent.pacman.packages_file = PathBuf::new();
        let registered = !agent.tls.server.is_empty();
        agent.telemetry.report_network &= registered;
        agent.telemetry.report_config &= registered;
        Self {
            tags: words(text("pacman.tags")),
            callback_program: PathBuf::from(text("pacman.callback_program")),
            apps: own.get("pacman.compose_apps").map(|value| words(value)),
            has_apps: match text("pacman.type") {
                "" | "none" => DOCKER.iter().all(|path| Path::new(path).exists()),
                kind => kind == "ostree+compose_apps",
            },
            rollback_mode: RollbackMode::parse(text("bootloader.rollback_mode")),
            report_device: registered,
            update_block: !matches!(text("pacman.ostree_update_block"), "0" | "false"),
            roots: given("storage.uptane_metadata_path")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| PathBuf::from(ROOTS)),
            own: Self::KEYS
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), own.get(*key)?.clone())))
                .collect(),
            agent,
        }
    }

    /// Keys beyond aktualizr's that have an effect.
    pub const KEYS: [&str; 9] = [
        "bootloader.rollback_mode",
        "pacman.booted",
        "pacman.callback_program",
        "pacman.compose_apps",
        "pacman.ostree_update_block",
        "pacman.storage_watermark",
        "pacman.tags",
        "pacman.type",
        "storage.uptane_metadata_path",
    ];

    /// Where the configuration is when nobody names it; what does not exist is passed by.
    pub const FILES: [&str; 3] =
        ["/usr/lib/sota/conf.d", "/var/sota/sota.toml", "/etc/sota/conf.d"];

    /// Whether an app is on.
    pub fn is_on(&self, app: &str) -> bool {
        self.apps.as_ref().is_none_or(|apps| apps.iter().any(|name| name == app))
    }
}

/// `a,b`, `a, b` or `a b`.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn watermark(text: &str) -> Option<u8> {
    let parsed = text.parse().ok().filter(|value| WATERMARKS.contains(value));
    if parsed.is_none() {
        tracing::warn!(text, "pacman.storage_watermark is not between 20 and 95: it has no effect");
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> LiteSettings {
        let own = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        LiteSettings::new(Settings::default(), &own.collect())
    }

    #[test]
    fn lists_are_separated_by_commas_and_spaces() {
        let settings = of(&[("pacman.tags", "a, b c,,d"), ("pacman.compose_apps", "")]);
        assert_eq!(settings.tags, ["a", "b", "c", "d"]);
        assert_eq!(settings.apps, Some(Vec::new()));
        assert!(!settings.is_on("x"));
        assert!(of(&[]).is_on("x"));
    }

    #[test]
    fn apps_are_told_of_where_the_package_manager_is_the_one_for_apps() {
        assert!(of(&[("pacman.type", "ostree+compose_apps")]).has_apps);
        assert!(!of(&[("pacman.type", "ostree")]).has_apps);
    }

    #[test]
    fn without_a_command_the_usual_one_reboots() {
        assert_eq!(of(&[]).agent.bootloader.reboot_command, REBOOT);
        let none = of(&[("bootloader.reboot_command", "")]);
        assert_eq!(none.agent.bootloader.reboot_command, "");
    }

    #[test]
    fn a_watermark_out_of_range_has_no_effect() {
        for (text, value) in [("20", 20), ("95", 95), ("19", 100), ("x", 100)] {
            let settings = of(&[("pacman.storage_watermark", text)]);
            assert_eq!(settings.agent.pacman.storage_watermark, value);
        }
    }
}
