//! Reading the layers of the configuration and laying them over each other.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::{Settings, validate};
use crate::{Error, Result};

/// The largest configuration file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Everything that settings may come from, weakest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Files, or folders of `*.toml` files. Each file's drop-in folder follows it.
    pub paths: Vec<PathBuf>,
    /// Variables as (name, value); those that begin with [`Sources::PREFIX`] count.
    pub environment: Vec<(String, String)>,
    /// Options as (`section.key`, value).
    pub options: Vec<(String, String)>,
}

impl Sources {
    /// How variables with settings begin: `UPDRAFTD_TLS_SERVER` is `tls.server`.
    pub const PREFIX: &str = "UPDRAFTD_";
}

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file, at this line.
    File(PathBuf, usize),
    /// In this variable.
    Environment(String),
    /// In an option.
    Option,
    /// Nowhere: it is a default of the program whose configuration this is.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Option => f.write_str("command line"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The settings with the places they come from.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The settings; what nobody set has its default.
    pub settings: Settings,
    /// `section.key` → where it was set last.
    pub origins: BTreeMap<String, Origin>,
    /// The files that were read, weakest first.
    pub files: Vec<PathBuf>,
}

/// Reads all layers and checks the result.
pub fn load(sources: &Sources) -> Result<Loaded> {
    let mut layers = Layers::default();
    for path in &sources.paths {
        if path.is_dir() {
            layers.folder(path)?;
        } else {
            layers.file(path)?;
            let drop_ins = drop_in_folder(path);
            if drop_ins.is_dir() {
                layers.folder(&drop_ins)?;
            }
        }
    }
    for (name, value) in &sources.environment {
        if let Some(rest) = name.strip_prefix(Sources::PREFIX) {
            let lower = rest.to_ascii_lowercase();
            let key = lower.replacen('_', ".", 1);
            layers.single(&key, value, name, Origin::Environment(name.clone()))?;
        }
    }
    for (key, value) in &sources.options {
        layers.single(key, value, &format!("--set {key}"), Origin::Option)?;
    }
    let loaded = layers.finish()?;
    validate::check(&loaded)?;
    Ok(loaded)
}

/// The drop-in folder of a file: `updraftd.toml` → `updraftd.d`.
pub fn drop_in_folder(file: &Path) -> PathBuf {
    file.with_extension("d")
}

/// Settings while they are laid over each other.
#[derive(Default)]
pub(super) struct Layers {
    merged: Table,
    origins: BTreeMap<String, Origin>,
    pub(super) files: Vec<PathBuf>,
}

impl Layers {
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let failed = |source| Error::Read { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
        files.sort();
        files.iter().try_for_each(|file| self.file(file))
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let text = read(path)?;
        // Each file is checked by itself, so that errors can name its lines.
        toml::from_str::<Settings>(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, &span));
            Error::Config {
                place: format!("{}:{line}", path.display()),
                problem: first_line(error.message()),
                hint: format!("correct line {line}; {}", known_keys(error.message())),
            }
        })?;
        let table: Table = toml::from_str(&text).map_err(|error| Error::Config {
            place: path.display().to_string(),
            problem: first_line(error.message()),
            hint: String::new(),
        })?;
        self.remember_lines(path, &text);
        for (section, values) in table {
            merge(&mut self.merged, section, values);
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    fn remember_lines(&mut self, path: &Path, text: &str) {
        let Ok(document) = toml::de::DeTable::parse(text) else { return };
        for (section, values) in document.get_ref() {
            let Some(values) = values.get_ref().as_table() else { continue };
            for (key, _) in values {
                let line = line_of(text, &key.span());
                self.origins.insert(
                    format!("{}.{}", section.get_ref(), key.get_ref()),
                    Origin::File(path.to_owned(), line),
                );
            }
        }
    }

    /// Sets one key from text: as it stands where the setting is text, else as a TOML value.
    pub(super) fn single(
        &mut self,
        key: &str,
        text: &str,
        place: &str,
        origin: Origin,
    ) -> Result<()> {
        let refuse = |problem: String| Error::Config {
            place: place.to_owned(),
            hint: known_keys(&problem),
            problem,
        };
        let (section, name) = key
            .split_once('.')
            .ok_or_else(|| refuse(format!("`{key}` is not of the form `section.key`")))?;
        let parsed = toml::from_str::<Table>(&format!("value = {text}"));
        let typed = parsed.ok().and_then(|mut table| table.remove("value"));
        let mut problem = None;
        for value in [Some(Value::String(text.to_owned())), typed].into_iter().flatten() {
            let layer = Table::from_iter([(
                section.to_owned(),
                Value::Table(Table::from_iter([(name.to_owned(), value)])),
            )]);
            match layer.clone().try_into::<Settings>() {
                Ok(_) => {
                    for (section, values) in layer {
                        merge(&mut self.merged, section, values);
                    }
                    self.origins.insert(key.to_owned(), origin);
                    return Ok(());
                }
                Err(error) => problem = Some(first_line(error.message())),
            }
        }
        Err(refuse(problem.unwrap_or_else(|| "it is not a value".to_owned())))
    }

    pub(super) fn finish(self) -> Result<Loaded> {
        let settings = self.merged.try_into().map_err(|error: toml::de::Error| Error::Config {
            place: "all files together".to_owned(),
            problem: first_line(error.message()),
            hint: String::new(),
        })?;
        Ok(Loaded { settings, origins: self.origins, files: self.files })
    }
}

/// Lays the keys of a section over those that are there.
fn merge(into: &mut Table, section: String, mut values: Value) {
    rename_dumped(&section, &mut values);
    match (into.get_mut(&section), values) {
        (Some(Value::Table(present)), Value::Table(values)) => present.extend(values),
        (_, values) => {
            into.insert(section, values);
        }
    }
}

/// What aktualizr's dump of its settings calls otherwise than its reader. The later file counts, and in
/// one file the name that is read.
fn rename_dumped(section: &str, values: &mut Value) {
    let (dumped, read) = ("tls_ca_id", "tls_cacert_id");
    if section == "p11"
        && let Value::Table(values) = values
        && let Some(value) = values.remove(dumped)
        && !values.contains_key(read)
    {
        values.insert(read.to_owned(), value);
    }
}

/// A file of settings.
pub(super) fn read(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let length = file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
    if length as u64 > FILE_LIMIT {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    Ok(text)
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn known_keys(message: &str) -> String {
    if message.contains("unknown field") {
        "`updraftd config show --effective` lists all keys".to_owned()
    } else {
        "`updraftd config show --effective` shows what is valid".to_owned()
    }
}
