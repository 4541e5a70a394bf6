//! Files: how long they may be, how they begin, and what they may not say.

use crate::{Finding, SourceFile};

/// Longer than this, a file needs its place in [`LONG_FILES`]. Unit tests in the file count not.
pub const LONG: usize = 400;

/// No file is longer than this without its tests; neither is a file of a `tests` folder.
pub const TOO_LONG: usize = 600;

/// Files above [`LONG`] lines, each with its reason. Keep this short.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// What no file may contain: `(text, way out)`. The pieces keep this list from finding itself.
pub const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("/ro", "ot/."), "name no person's machine; use $HOME or a temporary folder"),
    (concat!("\"/wo", "rk/"), "name no person's machine; use a path relative to the repository"),
    (concat!("FIX", "ME"), "mend it, or write down in the issue tracker what is missing"),
    (concat!("XX", "X:"), "mend it, or write down in the issue tracker what is missing"),
    (concat!("TO", "DO"), "do it, or write down in the issue tracker what is missing"),
    (concat!("#[ig", "nore]"), "make the test run, or remove it"),
    (concat!("thread::sl", "eep(Duration::from_secs"), "wait for the event, not for time"),
];

/// Files that are longer than they may be, and list entries that are needed no more.
pub fn sizes(files: &[&SourceFile], listed: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        // A file of a `tests` folder is all tests.
        let is_test = file.path.contains("/tests/");
        let lines =
            if is_test { file.text.lines().count() } else { lines_without_tests(&file.text) };
        let is_listed = is_test || listed.iter().any(|(path, _)| *path == file.path);
        if lines > TOO_LONG || (lines > LONG && !is_listed) {
            findings.push(Finding {
                place: file.path.clone(),
                problem: format!("{lines} lines"),
                way_out: "split it by idea (`foo.rs` + `foo/`); between 400 and 600 lines it may \
                          instead stand in LONG_FILES with a reason",
            });
        }
        if lines <= LONG && is_listed && !is_test {
            findings.push(Finding {
                place: file.path.clone(),
                problem: format!("is in LONG_FILES, but has only {lines} lines"),
                way_out: "take it off the list",
            });
        }
    }
    findings
}

/// Lines up to the unit tests.
fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| *line != "#[cfg(test)]" && *line != "mod tests {").count()
}

/// Rust files that do not begin by saying what they are.
pub fn module_docs(files: &[&SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| Finding {
            place: file.path.clone(),
            problem: "does not begin with `//!`".into(),
            way_out: "say in the first line what the file is for",
        })
        .collect()
}

/// Files that say what no file may say.
pub fn words(files: &[SourceFile], forbidden: &[(&str, &'static str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            for (word, way_out) in forbidden.iter().filter(|(word, _)| line.contains(word)) {
                findings.push(Finding {
                    place: format!("{}:{}", file.path, number + 1),
                    problem: format!("contains `{word}`"),
                    way_out,
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: usize, tail: &str) -> SourceFile {
        SourceFile { path: "a.rs".into(), text: "//! A.\n".repeat(lines) + tail }
    }

    #[test]
    fn unit_tests_do_not_count() {
        let long = file(LONG, "#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(sizes(&[&long], &[]), []);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_too_long_one_has_none() {
        let listed = [("a.rs", "one table")];
        assert_eq!(sizes(&[&file(LONG + 1, "")], &[]).len(), 1);
        assert_eq!(sizes(&[&file(LONG + 1, "")], &listed).len(), 0);
        assert_eq!(sizes(&[&file(TOO_LONG + 1, "")], &listed).len(), 1);
        assert_eq!(sizes(&[&file(LONG, "")], &listed).len(), 1, "a stale entry is found");
    }

    #[test]
    fn a_file_of_tests_may_be_long_but_not_too_long() {
        let tests = |lines| SourceFile { path: "x/tests/a.rs".into(), ..file(lines, "") };
        assert_eq!(sizes(&[&tests(TOO_LONG)], &[]), []);
        assert_eq!(sizes(&[&tests(TOO_LONG + 1)], &[]).len(), 1);
    }

    #[test]
    fn a_forbidden_word_is_found_with_its_line() {
        let text = SourceFile { path: "b.md".into(), text: "fine\nnot this\n".into() };
        let found = words(&[text], &[("not this", "leave it out")]);
        assert_eq!(found[0].place, "b.md:2");
    }

    #[test]
    fn a_file_without_a_first_line_of_doc_is_found() {
        let bare = SourceFile { path: "c.rs".into(), text: "fn main() {}\n".into() };
        assert_eq!(module_docs(&[&bare]).len(), 1);
    }
}
