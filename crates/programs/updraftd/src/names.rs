//! The names of other programs that this one answers to: as a link of that name, or as the first
//! word, `updraftd aktualizr …`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::{aktualizr, lite, secondary};

/// A program that is answered for: given its words, the name first.
type Program = fn(&[OsString]) -> ExitCode;

/// Add a line for each further name.
const NAMES: [(&str, Program); 8] = [
    ("aktualizr", aktualizr::main),
    ("aktualizr-torizon", aktualizr::main),
    ("aktualizr-info", aktualizr::info::main),
    ("aktualizr-get", aktualizr::get::main),
    ("aktualizr-lite", lite::main),
    ("aklite-offline", lite::offline),
    ("aktualizr-secondary", secondary::main),
    ("secondary", secondary::main),
];

/// Runs the program whose name these words begin with. `None`: they are our own.
pub(crate) fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    let called = Path::new(arguments.first()?).file_name()?;
    if let Some((_, program)) = NAMES.iter().find(|(name, _)| called == *name) {
        return Some(program(arguments));
    }
    let word = arguments.get(1)?;
    let (_, program) = NAMES.iter().find(|(name, _)| word == *name)?;
    Some(program(arguments.get(1..)?))
}
