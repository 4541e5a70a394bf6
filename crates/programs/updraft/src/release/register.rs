//! `updraft release register`: a release for devices of hawkBit and Mender.

use clap::Args;
use updraft_api::{NewRelease, Release, ReleaseSet, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Terminal};

use crate::server::Server;

/// Register a release of distribution sets, for devices of hawkBit and Mender.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft release register 2026.11 --set 7
  updraft release register 2026.11 --set 7:device_type=rpi4 --set 8:device_type=rpi5
  updraft release register 2026.12 --set 9 --requires 2026.11

A device gets the first set whose attributes it reports. Sets are made with hawkBit's Management API.
Releases for devices of Uptane are made with `updraft release create`.")]
pub(super) struct Register {
    /// The release's name: 1 to 64 of A-Z a-z 0-9 . _ -
    name: String,
    /// A distribution set, and for which devices: `ID` or `ID:ATTRIBUTE=VALUE,…`. Repeat for more.
    #[arg(long = "set", value_name = "SET", required = true, value_parser = set)]
    sets: Vec<ReleaseSet>,
    /// What changed, for people.
    #[arg(long, default_value = "")]
    notes: String,
    /// The release that devices must have run before this one; rollouts bring them there first.
    #[arg(long, value_name = "RELEASE")]
    requires: Option<String>,
}

impl Register {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let new = NewRelease {
            name: self.name.clone(),
            notes: self.notes.clone(),
            targets: Vec::new(),
            distribution_sets: self.sets.clone(),
            requires: self.requires.clone(),
            encrypted: false,
        };
        let release: Release = Server::connect()?.send(Method::Post, paths::RELEASES, &new)?;
        terminal.show(&release, |release| terminal.line(format!("released {}", release.name)))
    }
}

fn set(text: &str) -> Result<ReleaseSet, String> {
    let wrong = || "a set is `ID` or `ID:ATTRIBUTE=VALUE,ATTRIBUTE=VALUE`".to_owned();
    let (id, rest) = match text.split_once(':') {
        Some((id, rest)) => (id, Some(rest)),
        None => (text, None),
    };
    let id = id.parse().map_err(|_| wrong())?;
    let attributes = rest
        .into_iter()
        .flat_map(|rest| rest.split(','))
        .map(|one| match one.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(wrong()),
        })
        .collect::<Result<_, String>>()?;
    Ok(ReleaseSet { id, attributes })
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn sets_may_name_attributes() {
        assert!(set("7").expect("valid").attributes.is_empty());
        let one = set("7:device_type=rpi4,site=a=b").expect("valid");
        assert_eq!((one.id, one.attributes["site"].as_str()), (7, "a=b"));
        for wrong in ["", "x", "7:", "7:=x", "7:a"] {
            assert!(set(wrong).is_err(), "{wrong}");
        }
    }
}
