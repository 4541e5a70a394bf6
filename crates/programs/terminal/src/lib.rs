//! How Updraft's programs talk to a person: one voice for all of them.
//!
//! * [`Failure`] carries an error, its [`Kind`](updraft_error::Kind) and hints to the end of
//!   `main`, where [`run`] prints `error:`, `caused by:` and `hint:` lines and picks the exit code.
//! * [`Terminal`] is what a command is given: where results and talk go, whether a person watches,
//!   and the [`Context`](updraft_task::Context) for long work, whose token Ctrl-C cancels.
//! * [`Table`] prints rows for people; [`Terminal::json`] prints the same for programs.
//! * [`generate`] writes shell completions and manual pages.
//!
//! Results go to stdout, everything else to stderr.

pub mod failure;
pub mod generate;
pub mod interrupt;
pub mod progress;
pub mod table;
pub mod terminal;

pub use failure::{Failure, Result, ResultExt, run};
pub use table::Table;
pub use terminal::{Color, OutputOptions, Terminal};
