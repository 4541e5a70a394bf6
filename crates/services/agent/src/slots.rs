//! The slots of the device: opened as its settings say, and what is told of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};
use updraft_slots::{Engine, Overview, SlotImage, SlotsConfig};

use crate::config::Settings;
use crate::{Error, Result};

/// The slots; `session` tells this boot from others.
pub(crate) fn open(settings: &Settings, session: &str) -> Result<Engine> {
    let reading = "read what the slots are";
    let config = SlotsConfig::load(&settings.slots.config).map_err(Error::below(reading))?;
    let path = &settings.boot.kernel_cmdline;
    let command_line = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // A simulated device that never booted.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(Error::Read { path: path.clone(), source }),
    };
    let root = std::fs::metadata(Path::new("/")).map(|about| about.dev()).ok();
    let running = config.running_slot(&command_line, root);
    Engine::open(config, running, session).map_err(Error::below("open the slots"))
}

/// Everything that can be told of them.
pub(crate) fn overview(engine: &Engine) -> Result<Overview> {
    engine.overview().map_err(Error::below("look at the slots"))
}

/// What a slot holds, by its letter.
pub(crate) fn held(overview: &Overview, slot: Option<char>) -> Option<&SlotImage> {
    overview.slots.iter().find(|one| Some(one.name) == slot)?.holds.as_ref()
}

/// What the server is told of them.
pub(crate) fn report(overview: &Overview) -> Value {
    let slots = overview.slots.iter().map(|slot| {
        let holds = slot.holds.as_ref();
        json!({
            "name": slot.name,
            "bootable": slot.bootable,
            "successful": slot.successful,
            "tries_left": slot.tries_left,
            "holds": holds.map(|image| json!({"filepath": image.name, "sha256": image.sha256})),
        })
    });
    json!({
        "running": overview.running,
        "next": overview.active,
        "boot_control": overview.boot_control,
        "slots": slots.collect::<Vec<_>>(),
    })
}
