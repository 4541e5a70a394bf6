//! Help in the layout of the peer, made from the definition that parses arguments.
//!
//! Completion scripts and wrappers walk the commands by parsing the lists under
//! `Builtin Commands:`, two spaces and the name first.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// The help of the command that the words name.
pub(super) fn of(mut root: Command, arguments: &[OsString]) -> String {
    root.build();
    let names = names(&root, arguments);
    let mut command = &root;
    for name in &names {
        command = command.find_subcommand(name).unwrap_or(command);
    }
    render(command, &program(arguments, &names))
}

/// The names of the commands that the words walk through, such as `remote add`.
pub(super) fn path(root: &Command, arguments: &[OsString]) -> String {
    let mut root = root.clone();
    root.build();
    names(&root, arguments).join(" ")
}

fn names(root: &Command, arguments: &[OsString]) -> Vec<String> {
    let mut command = root;
    let mut names = Vec::new();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word.starts_with('-') {
            if takes_next_word(command, word) {
                words.next();
            }
        } else if let Some(found) = command.find_subcommand(word) {
            names.push(found.get_name().to_owned());
            command = found;
        } else {
            break;
        }
    }
    names
}

fn takes_next_word(command: &Command, word: &str) -> bool {
    let is_it = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => word.len() == 2 && arg.get_short() == word.chars().nth(1),
    };
    command.get_arguments().find(is_it).is_some_and(takes_value)
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn program(arguments: &[OsString], names: &[String]) -> String {
    let mut text = arguments.first().map(|word| word.to_string_lossy().into_owned());
    for name in names {
        text = text.map(|text| format!("{text} {name}"));
    }
    text.unwrap_or_default()
}

fn render(command: &Command, program: &str) -> String {
    let has_commands = command.get_subcommands().next().is_some();
    let mut text = format!("Usage:\n  {program} [OPTION…]");
    if has_commands {
        text.push_str(" COMMAND");
    }
    for arg in command.get_positionals().filter(|arg| !arg.is_hide_set()) {
        let _ = write!(text, " {}", positional(arg));
    }
    text.push('\n');
    if let Some(about) = command.get_about().filter(|_| !program_is_root(program)) {
        let _ = write!(text, "\n{about}\n");
    }
    if has_commands {
        text.push_str(&commands(command, program));
    }
    let options: Vec<(String, String)> = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !arg.is_hide_set())
        .filter(|arg| !matches!(arg.get_long(), Some("help" | "version")))
        .map(|arg| (names_of(arg), help_of(arg)))
        .chain([("--version".to_owned(), "Print version information and exit".to_owned())])
        .collect();
    let help = ("-h, --help".to_owned(), "Show help options".to_owned());
    let width = options.iter().chain([&help]).map(|(names, _)| names.chars().count()).max();
    let width = width.unwrap_or_default();
    let _ = write!(text, "\nHelp Options:\n  {:width$}     {}\n", help.0, help.1);
    text.push_str("\nApplication Options:\n");
    for (names, help) in options {
        let _ = writeln!(text, "  {names:width$}     {help}");
    }
    text
}

fn program_is_root(program: &str) -> bool {
    program.ends_with("ostree")
}

fn commands(command: &Command, program: &str) -> String {
    let title = match program.rsplit(' ').next() {
        Some(group) if !program_is_root(program) => format!("Builtin \"{group}\" Commands:"),
        _ => "Builtin Commands:".to_owned(),
    };
    let listed = || command.get_subcommands().filter(|command| !command.is_hide_set());
    let longest = listed().map(|command| command.get_name().len()).max().unwrap_or_default();
    let width = longest.saturating_add(1).max(17);
    let mut text = format!("\n{title}\n");
    for command in listed() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "  {:width$} {about}", command.get_name());
    }
    text
}

fn positional(arg: &Arg) -> String {
    let name = value_name(arg);
    let name = if is_repeated(arg) { format!("{name}...") } else { name };
    if arg.is_required_set() { name } else { format!("[{name}]") }
}

fn is_repeated(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
        || matches!(arg.get_action(), ArgAction::Append)
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().as_str().to_uppercase(), ToString::to_string)
}

fn names_of(arg: &Arg) -> String {
    let mut text = String::new();
    if let Some(short) = arg.get_short() {
        let _ = write!(text, "-{short}, ");
    }
    let _ = write!(text, "--{}", arg.get_long().unwrap_or_default());
    if takes_value(arg) {
        let _ = write!(text, "={}", value_name(arg));
    }
    text
}

fn help_of(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}
