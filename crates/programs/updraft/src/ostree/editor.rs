//! A commit's message, written by a person in their editor.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _};

const HELP: &str = "
# The first line above is the subject of the commit, what follows its body.
# Lines that begin with `#` are left out; without a subject nothing is committed.
#
";

/// Opens the editor and returns subject and body.
pub(super) fn message(branch: Option<&str>, body: &str) -> Result<(String, String)> {
    let mut text = format!("\n{body}{HELP}");
    if let Some(branch) = branch {
        let _ = writeln!(text, "# Branch: {branch}");
    }
    let file = tempfile::NamedTempFile::new().context("failed to make a file for the message")?;
    std::fs::write(file.path(), text).context("failed to write the message's file")?;
    edit(file.path())?;
    let text = std::fs::read_to_string(file.path()).context("failed to read the message")?;
    let (subject, body) = parse(&text);
    if subject.is_empty() {
        let message = "Aborting commit due to empty commit subject.";
        return Err(Failure::new(Kind::Invalid, message));
    }
    Ok((subject, body))
}

/// Runs the editor on the file and waits for it. Its name may carry arguments, so a shell reads it.
fn edit(path: &Path) -> Result {
    let editor = editor()?;
    let mut line = editor.clone();
    line.push(" \"$1\"");
    let status = Command::new("/bin/sh").arg("-c").arg(line).arg("sh").arg(path).status();
    let status = status.with_context(|| format!("failed to start {}", editor.display()))?;
    if status.success() {
        return Ok(());
    }
    let message = format!("There was a problem with the editor '{}'", editor.display());
    Err(Failure::new(Kind::Invalid, status.to_string())
        .context(message)
        .hint("choose another with OSTREE_EDITOR, VISUAL or EDITOR"))
}

/// `VISUAL`, and `vi` where nothing is set, want a terminal that can do more than print.
fn editor() -> Result<OsString> {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let is_dumb = set("TERM").is_none_or(|terminal| terminal == "dumb");
    let visual = || if is_dumb { None } else { set("VISUAL") };
    match set("OSTREE_EDITOR").or_else(visual).or_else(|| set("EDITOR")) {
        Some(editor) => Ok(editor),
        None if is_dumb => Err(Failure::new(Kind::Invalid, "Terminal is dumb, but EDITOR unset")
            .hint("name an editor with OSTREE_EDITOR or EDITOR, or the subject with -s")),
        None => Ok("vi".into()),
    }
}

/// Subject and body of what the editor left.
fn parse(text: &str) -> (String, String) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let subject = lines.find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let body: Vec<&str> = lines.collect();
    (subject.to_owned(), body.join("\n").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_first_line_is_the_subject() {
        let parsed = parse("\nsubject\n\nbody\n# help\nmore\n");
        assert_eq!(parsed, ("subject".to_owned(), "body\nmore".to_owned()));
        assert_eq!(parse("# only\n\n"), (String::new(), String::new()));
    }
}
