//! The environment where it is.

use std::path::PathBuf;

use updraft_bootenv::{UbootCopy, UbootEnv, UbootLayout, UbootPlace};

use super::super::medium::Medium;
use super::Variable;
use crate::{Error, Result};

const MAX_CONFIG: u64 = 64 << 10;
/// What the format allows; it refuses other sizes.
const MAX_SIZE: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Environment {
    config: PathBuf,
}

/// An environment, and where its next version goes.
struct Found {
    variables: UbootEnv,
    layout: UbootLayout,
    next: UbootPlace,
    flag: u8,
}

impl Environment {
    pub(super) fn new(config: PathBuf) -> Self {
        Self { config }
    }

    pub(super) fn read(&self) -> Result<UbootEnv> {
        Ok(self.find()?.variables)
    }

    /// Sets what `changes` says, in one write.
    pub(super) fn change(
        &self,
        changes: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Vec<Variable>,
    ) -> Result<()> {
        let mut found = self.find()?;
        let malformed = |source| Error::BootEnvironment { path: self.config.clone(), source };
        let wanted = changes(&|name| found.variables.get(name).map(str::to_owned));
        for (name, value) in &wanted {
            found.variables.set(name, value).map_err(malformed)?;
        }
        let bytes = found.variables.encode(found.layout, found.flag).map_err(malformed)?;
        // Commit point, where there are two copies: the last byte that makes the checksum right.
        Medium::new(&found.next.file).write_at(found.next.offset, &bytes)
    }

    fn find(&self) -> Result<Found> {
        let config = Medium::new(&self.config);
        let text = config.read(MAX_CONFIG)?;
        let (first, second) = UbootPlace::parse_config(&String::from_utf8_lossy(&text))
            .map_err(|source| config.malformed(source))?;
        let copy = |place: &UbootPlace| {
            Medium::new(&place.file).read_at(place.offset, place.size.min(MAX_SIZE))
        };
        let one = copy(&first)?;
        let two = second.as_ref().map(copy).transpose()?;
        let mut layout =
            UbootLayout { size: first.size, redundant: two.is_some(), big_endian: false };
        let malformed = |source| Medium::new(&first.file).malformed(source);
        let (Some(two), Some(second)) = (two, second) else {
            let little = UbootEnv::parse(layout, &one);
            let variables = little.or_else(|_| {
                layout.big_endian = true;
                UbootEnv::parse(layout, &one)
            });
            let variables = variables.map_err(malformed)?;
            return Ok(Found { variables, layout, next: first, flag: 0 });
        };
        let little = UbootEnv::choose(layout, &one, &two);
        let found = little.or_else(|_| {
            layout.big_endian = true;
            UbootEnv::choose(layout, &one, &two)
        });
        let found = found.map_err(malformed)?;
        let (copy, flag) = found.next();
        let next = if copy == UbootCopy::First { first } else { second };
        Ok(Found { variables: found.environment, layout, next, flag })
    }
}
