//! aktualizr's configuration, read unchanged and mapped onto ours.
//!
//! * Files: [`DEFAULT_FOLDERS`], or what the command line names; see [`files`]. Their syntax is
//!   in [`ini`].
//! * Sections and keys have the same names here and there. What is different is in [`adapt`].
//! * A key that has no effect is warned about and does not stop the device: the files were
//!   written for another program.

mod adapt;
mod files;
mod ini;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use files::DEFAULT_FOLDERS;
pub use ini::{Entry, Malformed, parse};

use crate::Result;
use crate::config::load::Layers;
use crate::config::{Loaded, Origin, validate};

/// Everything that the settings may come from, weakest first.
#[derive(Debug, Clone, Default)]
pub struct AktualizrSources {
    /// Files, or folders of `*.toml`.
    pub paths: Vec<PathBuf>,
    /// Options as (`section.key`, value).
    pub options: Vec<(String, String)>,
    /// Keys beyond aktualizr's (`section.key`) that the program itself understands; it finds them
    /// in [`AktualizrLoaded::raw`].
    pub also_known: Vec<String>,
}

/// aktualizr's settings as ours.
#[derive(Debug, Clone, Default)]
pub struct AktualizrLoaded {
    /// The settings, where each comes from, and the files that were read.
    pub loaded: Loaded,
    /// What has no effect, one line each.
    pub warnings: Vec<String>,
    /// `section.key` → its value as it is written, of all keys.
    pub raw: BTreeMap<String, String>,
}

/// Reads all files and options.
pub fn load_aktualizr(sources: &AktualizrSources) -> Result<AktualizrLoaded> {
    let mut layers = Layers::default();
    let mut given = Vec::new();
    for file in files::find(&sources.paths)? {
        for entry in files::entries(&file)? {
            let key = format!("{}.{}", entry.section, entry.key);
            given.push((key, entry.value, Origin::File(file.clone(), entry.line)));
        }
        layers.files.push(file);
    }
    for (key, value) in &sources.options {
        given.push((key.clone(), value.clone(), Origin::Option));
    }
    // The last one wins; only it has to be right.
    let mut last: BTreeMap<String, (String, Origin)> = BTreeMap::new();
    for (key, value, origin) in given {
        last.insert(key, (value, origin));
    }
    let raw = last.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
    let mut warnings = Vec::new();
    adapt::defaults(&mut layers, &last)?;
    for (key, (value, origin)) in &last {
        if let Some(problem) = adapt::set(&mut layers, key, value, origin, &sources.also_known)? {
            warnings.push(format!("{origin}: {key}: {problem}"));
        }
    }
    let mut loaded = layers.finish()?;
    adapt::finish(&mut loaded, &raw);
    validate::check(&loaded)?;
    Ok(AktualizrLoaded { loaded, warnings, raw })
}
