//! `[tenant]`.

use serde::{Deserialize, Serialize};

/// The name of the tenant that a server has in any case, as devices of hawkBit are told.
pub const DEFAULT_TENANT: &str = "DEFAULT";
/// The longest name of a tenant.
const MAX_NAME: usize = 63;
/// The longest name of a host (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Whose fleet it is, where one server has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// Its name.
    pub name: String,
    /// The names of hosts under which its devices and operators reach it.
    pub hostnames: Vec<String>,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self { name: DEFAULT_TENANT.to_owned(), hostnames: Vec::new() }
    }
}

impl TenantConfig {
    /// Whether it says nothing.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it by itself.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.name != DEFAULT_TENANT {
            check_name(&self.name).map_err(|reason| format!("tenant.name {reason}"))?;
        }
        for host in &self.hostnames {
            let is_good =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(is_good) {
                return Err(format!(
                    "tenant.hostnames has \"{}\": a host's name in lower case is expected, without a port",
                    host.escape_default()
                ));
            }
        }
        Ok(())
    }
}

/// What is wrong with a tenant's name, which is a folder's and part of addresses.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if name.eq_ignore_ascii_case(DEFAULT_TENANT) {
        return Err(format!("\"{name}\" is the tenant that every server has"));
    }
    if !starts || name.len() > MAX_NAME || !name.chars().all(is_good) {
        return Err(format!(
            "\"{}\" is not one: at most {MAX_NAME} of a-z, 0-9 and -, and no - at the beginning",
            name.chars().take(MAX_NAME).collect::<String>().escape_default()
        ));
    }
    Ok(())
}
