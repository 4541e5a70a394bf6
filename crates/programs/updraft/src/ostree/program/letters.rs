//! Options of one letter, as the peer's parser takes them: several may share a dash, and one of them
//! may have a value, which is the next word. `-bVALUE` is no way to write it.

use std::ffi::OsString;

use clap::{Arg, Command};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

/// The words, their command before all options, with one letter a word and that with the value
/// last.
pub(crate) fn each_alone(root: &Command, words: Vec<OsString>) -> Result<Vec<OsString>> {
    let mut commands = vec![root];
    let mut alone = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    alone.extend(words.next());
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            alone.push(word);
            continue;
        };
        if text == "--" {
            alone.push(word);
            break;
        }
        if let Some(next) = commands.last().and_then(|command| command.find_subcommand(text)) {
            commands.push(next);
        }
        let find = |is_it: &dyn Fn(&Arg) -> bool| {
            commands.iter().rev().find_map(|command| command.get_arguments().find(|arg| is_it(arg)))
        };
        let mut takes_next = false;
        if let Some(name) = text.strip_prefix("--") {
            takes_next = find(&|arg| arg.get_long() == Some(name)).is_some_and(takes_value);
            alone.push(word);
        } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut last = None;
            for letter in letters.chars() {
                let found = find(&|arg| arg.get_short() == Some(letter));
                let option = OsString::from(format!("-{letter}"));
                match found {
                    None if matches!(letter, 'h' | '?') => alone.push(option),
                    None => {
                        let message = format!("Unknown option {text}");
                        return Err(Failure::new(Kind::Invalid, message));
                    }
                    Some(arg) if takes_value(arg) => {
                        if last.replace(option).is_some() {
                            let message = format!("Error parsing option -{letter}");
                            return Err(Failure::new(Kind::Invalid, message));
                        }
                    }
                    Some(_) => alone.push(option),
                }
            }
            takes_next = last.is_some();
            alone.extend(last);
        } else {
            alone.push(word);
        }
        if takes_next {
            alone.extend(words.next());
        }
    }
    alone.extend(words);
    Ok(alone)
}

/// Whether the next word is the option's value, whatever it looks like.
fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(words: &[&str]) -> Result<String, String> {
        let root = Command::new("ostree")
            .arg(Arg::new("v").short('v').action(clap::ArgAction::SetTrue))
            .subcommand(
                Command::new("commit")
                    .arg(Arg::new("b").short('b').long("branch"))
                    .arg(Arg::new("s").short('s')),
            );
        let words = ["ostree", "commit"].iter().chain(words).map(OsString::from).collect();
        let alone = each_alone(&root, words).map_err(|failure| failure.lines().join("\n"))?;
        Ok(alone[2..].join(" ".as_ref()).into_string().unwrap())
    }

    #[test]
    fn letters_share_a_dash_but_take_no_value_at_once() {
        assert_eq!(alone(&["-b", "-x"]).unwrap(), "-b -x");
        assert_eq!(alone(&["--branch", "-x"]).unwrap(), "--branch -x");
        assert_eq!(alone(&["-bv", "x"]).unwrap(), "-v -b x");
        assert_eq!(alone(&["--", "-bx"]).unwrap(), "-- -bx");
        assert_eq!(alone(&["-bx"]).unwrap_err(), "error: Unknown option -bx");
        assert_eq!(alone(&["-bs", "x"]).unwrap_err(), "error: Error parsing option -s");
    }
}
