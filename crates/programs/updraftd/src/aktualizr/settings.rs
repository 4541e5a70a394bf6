//! Settings of programs that answer to aktualizr's names.

use std::path::{Path, PathBuf};

use updraft_agent::config::{AktualizrSources, DEFAULT_FOLDERS, Settings, load_aktualizr};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

use super::options::Options;
use crate::print;

/// The largest description of hardware, in bytes.
const HARDWARE_LIMIT: u64 = 4 << 20;
/// Variables that name a proxy, as curl reads them; the first one that is set counts.
const PROXIES: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY", "HTTP_PROXY"];

/// The settings of `aktualizr`.
pub(super) fn of_aktualizr(options: &Options) -> Result<Settings> {
    let mut changes = Vec::new();
    let named = [
        ("tls.server", &options.tls_server),
        ("uptane.director_server", &options.director_server),
        ("uptane.repo_server", &options.repo_server),
        ("pacman.ostree_server", &options.ostree_server),
        ("provision.primary_ecu_serial", &options.primary_ecu_serial),
        ("provision.primary_ecu_hardware_id", &options.primary_ecu_hardware_id),
        ("uptane.secondary_config_file", &options.secondary_config_file),
    ];
    for (key, value) in named {
        if let Some(value) = value {
            changes.push((key.to_owned(), value.clone()));
        }
    }
    if let Some(level) = options.loglevel {
        changes.push(("logger.loglevel".to_owned(), level.to_string()));
    }
    if let Some(file) = &options.hwinfo_file {
        check_hardware(file)?;
        let path = file.display().to_string();
        changes.push(("telemetry.hardware_info_path".to_owned(), path));
    }
    of_files(&options.config, changes)
}

/// The settings of these files with these changes; what has no effect is said on stderr.
pub(super) fn of_files(config: &[PathBuf], options: Vec<(String, String)>) -> Result<Settings> {
    let paths = if config.is_empty() {
        DEFAULT_FOLDERS.map(PathBuf::from).into_iter().filter(|path| path.is_dir()).collect()
    } else {
        config.to_vec()
    };
    let sources = AktualizrSources { paths, options, also_known: Vec::new() };
    let read = load_aktualizr(&sources).map_err(print::failure)?;
    for warning in &read.warnings {
        eprintln!("warning: {warning}");
    }
    let mut settings = read.loaded.settings;
    if settings.transfer.proxy.is_empty() && !is_direct(&settings.tls.server) {
        let named = PROXIES.iter().find_map(|name| std::env::var(name).ok());
        settings.transfer.proxy = named.unwrap_or_default();
    }
    Ok(settings)
}

/// Whether `no_proxy` names the server's host, or one of the domains that it is in.
fn is_direct(server: &str) -> bool {
    let list = std::env::var("no_proxy").or_else(|_| std::env::var("NO_PROXY"));
    names_host(&list.unwrap_or_default(), host_of(server))
}

fn names_host(list: &str, host: &str) -> bool {
    list.split(',').map(|name| name.trim().trim_start_matches('.')).any(|name| {
        let domain =
            host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        name == "*" || (!name.is_empty() && domain)
    })
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() }
}

fn check_hardware(path: &Path) -> Result {
    let problem = |problem: String| {
        Failure::new(Kind::Invalid, format!("failed to use {}: {problem}", path.display()))
            .hint("--hwinfo-file takes a file with a JSON value that is not empty")
    };
    let length = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
    if length > HARDWARE_LIMIT {
        return Err(problem("it is over 4 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
    let is_empty = match &value {
        serde_json::Value::Object(members) => members.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Null => true,
        _ => false,
    };
    if is_empty { Err(problem("it is empty".to_owned())) } else { Ok(()) }
}

/// Whether this process may do everything.
pub(super) fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&match std::fs::metadata("/proc/self") {
        Ok(own) => own,
        // Without /proc nobody can say; a warning would say too much.
        Err(_) => return true,
    }) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_lists_of_those_without_a_proxy() {
        for (list, server, direct) in [
            ("", "https://a.example:443/x", false),
            ("a.example", "https://a.example:443/x", true),
            ("b.example, .example", "https://a.example", true),
            ("ample", "https://a.example", false),
            ("*", "http://user@h", true),
            ("127.0.0.1", "https://127.0.0.1:1", true),
        ] {
            assert_eq!(names_host(list, host_of(server)), direct, "{list} {server}");
        }
    }
}
