//! Settings as people and programs read them, without secrets.

use serde::Serialize;
use toml::{Table, Value};

use crate::config::{Loaded, Settings};
use crate::{Error, Result};

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
const SECRETS: [(&str, &str); 3] =
    [("provision", "p12_password"), ("transfer", "proxy"), ("p11", "pass")];

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// `section.key`
    pub key: String,
    /// Its value; secrets are hidden.
    pub value: Value,
    /// Where it was set: `default`, `FILE:LINE`, `environment NAME` or `command line`.
    pub origin: String,
}

/// All settings in the order of the sections.
pub fn settings_list(loaded: &Loaded) -> Result<Vec<Setting>> {
    let table = table_of(&loaded.settings)?;
    let mut list = Vec::new();
    for (section, values) in table {
        let Value::Table(values) = values else { continue };
        for (name, value) in values {
            let key = format!("{section}.{name}");
            let origin =
                loaded.origins.get(&key).map_or_else(|| "default".to_owned(), ToString::to_string);
            list.push(Setting { key, value, origin });
        }
    }
    Ok(list)
}

/// All settings as a TOML file without secrets, as it is sent to the server.
pub fn to_toml(settings: &Settings) -> Result<String> {
    toml::to_string(&table_of(settings)?).map_err(|error| unprintable(&error))
}

fn table_of(settings: &Settings) -> Result<Table> {
    let mut table = Table::try_from(settings).map_err(|error| unprintable(&error))?;
    for (section, key) in SECRETS {
        if let Some(Value::Table(values)) = table.get_mut(section)
            && let Some(value) = values.get_mut(key)
            && value.as_str() != Some("")
        {
            *value = Value::String(HIDDEN.to_owned());
        }
    }
    Ok(table)
}

fn unprintable(error: &toml::ser::Error) -> Error {
    Error::Config {
        place: "the settings".to_owned(),
        problem: error.to_string(),
        hint: "use paths that are valid UTF-8".to_owned(),
    }
}
