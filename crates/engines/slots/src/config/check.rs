//! What cannot be right of a configuration.

use std::path::Path;

use super::{BootControlConfig, ConfigError, SlotsConfig};

/// Names of partitions beside paths, and where Linux keeps them.
pub(super) const NAMES: [(&str, &str); 2] =
    [("PARTLABEL=", "/dev/disk/by-partlabel"), ("PARTUUID=", "/dev/disk/by-partuuid")];

/// Says of a key that its value cannot be right, and why.
type Bad<'a> = dyn Fn(&str, &dyn std::fmt::Display, &'static str) -> Result<(), ConfigError> + 'a;

impl SlotsConfig {
    pub(super) fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let bad = |key: &str, value: &dyn std::fmt::Display, problem: &'static str| {
            let value = format!("{value:?}", value = value.to_string());
            let (path, key, problem) = (path.to_owned(), key.to_owned(), problem.to_owned());
            Err(ConfigError::Value { path, key, value, problem })
        };
        if !self.state.is_absolute() {
            return bad("state", &self.state.display(), "give a path that begins with `/`");
        }
        if let Some(key) = self.keys.iter().find(|key| !key.is_absolute()) {
            return bad("keys", &key.display(), "give a path that begins with `/`");
        }
        if self.tries == 0 {
            return bad("tries", &self.tries, "a new slot has to be tried once at least");
        }
        if let Some(ask) = self.ask.as_deref().filter(|ask| !ask.is_absolute()) {
            return bad("ask", &ask.display(), "give a path that begins with `/`");
        }
        if let Some(program) = self.powerwash.as_deref().filter(|program| !program.is_absolute()) {
            return bad("powerwash", &program.display(), "give a path that begins with `/`");
        }
        if !self.updates.is_absolute() {
            return bad("updates", &self.updates.display(), "give a path that begins with `/`");
        }
        if self.partitions.is_empty() {
            return bad("partitions", &"{}", "name the partitions that a payload writes");
        }
        let mut seen: Vec<&Path> = Vec::new();
        for (name, both) in &self.partitions {
            let key = format!("partitions.{name}");
            for place in both.both().into_iter().flatten() {
                let shown = place.display();
                if !is_place(place) {
                    let problem =
                        "give a path that begins with `/`, `PARTLABEL=NAME` or `PARTUUID=ID`";
                    return bad(&key, &shown, problem);
                }
                if seen.contains(&place.as_path()) {
                    let problem = "it is named twice, and each slot has to have its own";
                    return bad(&key, &shown, problem);
                }
                seen.push(place);
            }
        }
        self.check_boot_control(&bad)
    }

    fn check_boot_control(&self, bad: &Bad<'_>) -> Result<(), ConfigError> {
        let (key, [a, b]) = match &self.boot_control {
            BootControlConfig::Misc { .. } => return Ok(()),
            BootControlConfig::UbootMender { partitions: [a, b], .. } => {
                ("boot-control.uboot-mender.partitions", [a.to_string(), b.to_string()])
            }
            BootControlConfig::UbootRauc { default_tries: 0, .. } => {
                let problem = "a slot has to be started once at least";
                return bad("boot-control.uboot-rauc.default-tries", &0, problem);
            }
            BootControlConfig::UbootRauc { names, .. } => {
                ("boot-control.uboot-rauc.names", names.clone())
            }
            BootControlConfig::Gpt { partitions, .. } => {
                ("boot-control.gpt.partitions", partitions.clone())
            }
            BootControlConfig::Grub { names, .. } => ("boot-control.grub.names", names.clone()),
            BootControlConfig::Entries { names, .. } => {
                ("boot-control.entries.names", names.clone())
            }
            BootControlConfig::Efi { names, .. } => ("boot-control.efi.names", names.clone()),
        };
        if a.is_empty() || a == b {
            return bad(key, &a, "the two slots need two names");
        }
        if b.is_empty() {
            return bad(key, &b, "the two slots need two names");
        }
        Ok(())
    }
}

fn is_place(place: &Path) -> bool {
    let text = place.to_str().unwrap_or_default();
    let named = NAMES.iter().find_map(|(prefix, _)| text.strip_prefix(prefix));
    match named {
        Some(name) => !name.is_empty() && !name.contains('/'),
        None => place.is_absolute(),
    }
}
