//! The page that lists what TUF and Uptane demand, with the tests that show it.
//!
//! A test shows a rule when its name begins with the rule's number: `tuf_5_3_4_…` or `u_f11_…`,
//! in whichever crate it is. So the page is made of names, and is old as soon as these change.

mod rules;

use std::fmt::Write as _;
use std::path::Path;

pub use rules::{OPEN, RULES, Rule};

use crate::{Finding, SourceFile};

/// Where the page is.
pub const PAGE: &str = "docs/src/uptane-conformance.md";
/// Where the attacks are listed.
const ATTACKS: [&str; 2] = [
    "crates/formats/tuf/tests/conformance/attacks.rs",
    "crates/formats/tuf/tests/conformance/attacks/published.rs",
];

/// A test function.
struct Test<'a> {
    path: &'a str,
    name: &'a str,
}

/// The page as it should be.
pub fn page(files: &[SourceFile]) -> String {
    let tests = tests(files);
    let mut page = String::from(
        "# TUF and Uptane, rule by rule\n\n\
         This page is made by `cargo run -p tidy --bin conformance` from the names of tests; the \
         test suite fails\nwhen it is old. A rule is shown by the tests whose names begin with its \
         number. `core` is the crate\n`crates/formats/tuf`, where client, formats and attacks are \
         tested without input and output.\n",
    );
    let mut section = "";
    for rule in RULES {
        if rule.section != section {
            section = rule.section;
            let _ =
                write!(page, "\n## {section}\n\n| rule | what it says | tests |\n|---|---|---|\n");
        }
        let _ = writeln!(page, "| {} | {} | {} |", rule.id, rule.text, shown(rule, &tests));
    }
    page.push_str(
        "\n## Attacks\n\nEach of these is made on each role of both repositories of Uptane and of \
         a TUF repository, where there is\nsuch an attack on that role \
         (`attacks_on_the_director`, `attacks_on_the_image_repository`,\n`attacks_on_a_tuf_repository` \
         of the core). The refusal is named, nothing that the attacker made is\nstored or installed, \
         and the honest files that come afterwards are taken.\n\n",
    );
    for attack in attacks(files) {
        let _ = writeln!(page, "- {attack}");
    }
    page.push_str(
        "\nRandom sequences of such states, with power cuts in between, are in `random.rs` beside \
         them.\n",
    );
    page
}

/// Rules without tests, and a page that is old.
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let tests = tests(files);
    let untested = RULES.iter().filter(|rule| of(rule, &tests).next().is_none());
    let untested = untested.filter(|rule| !OPEN.iter().any(|(id, _)| *id == rule.id));
    let mut findings: Vec<Finding> = untested
        .map(|rule| Finding {
            place: PAGE.to_owned(),
            problem: format!("no test is named after {} ({})", rule.id, prefix(rule.id)),
            way_out: "write one",
        })
        .collect();
    if files.iter().find(|file| file.path == PAGE).map(|file| &file.text) != Some(&page(files)) {
        findings.push(Finding {
            place: PAGE.to_owned(),
            problem: "is not what the tests' names make of it".to_owned(),
            way_out: "make it anew with `cargo run -p tidy --bin conformance`",
        });
    }
    findings
}

/// `u_f11_` for `U-F11`, `tuf_5_3_4_` for `5.3.4`.
fn prefix(id: &str) -> String {
    let name = id.to_ascii_lowercase().replace(['-', '.'], "_");
    if name.starts_with('u') { format!("{name}_") } else { format!("tuf_{name}_") }
}

fn of<'a>(rule: &Rule, tests: &'a [Test<'a>]) -> impl Iterator<Item = &'a Test<'a>> {
    let prefix = prefix(rule.id);
    tests.iter().filter(move |test| test.name.starts_with(&prefix))
}

fn shown(rule: &Rule, tests: &[Test<'_>]) -> String {
    let names: Vec<String> = of(rule, tests)
        .map(|test| {
            let krate = test.path.split("/tests/").next().unwrap_or(test.path);
            let krate = krate.split("/src/").next().unwrap_or(krate);
            let krate = krate.rsplit('/').next().unwrap_or(krate);
            let krate = if krate == "tuf" { "core" } else { krate };
            format!("{krate}: `{}`", test.name)
        })
        .collect();
    match OPEN.iter().find(|(id, _)| *id == rule.id) {
        Some((_, why)) if names.is_empty() => format!("not shown yet: {why}"),
        _ => names.join("<br>"),
    }
}

fn tests(files: &[SourceFile]) -> Vec<Test<'_>> {
    let mut tests = Vec::new();
    let is_rust =
        |file: &&SourceFile| Path::new(&file.path).extension().is_some_and(|end| end == "rs");
    for file in files.iter().filter(is_rust) {
        let mut is_test = false;
        for line in file.text.lines().map(str::trim) {
            if line == "#[test]" {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
                is_test = false;
                let name = rest.split('(').next().unwrap_or_default();
                tests.push(Test { path: &file.path, name });
            }
        }
    }
    tests
}

fn attacks(files: &[SourceFile]) -> Vec<&str> {
    ATTACKS
        .iter()
        .filter_map(|path| files.iter().find(|file| file.path == *path))
        .flat_map(|file| file.text.lines())
        .filter_map(|line| Some(line.strip_prefix("    (\"")?.split_once("\", |a| ")?.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{RULES, check, page, prefix};
    use crate::SourceFile;

    #[test]
    fn a_test_belongs_to_one_rule() {
        assert_eq!(prefix("U-F11"), "u_f11_");
        assert_eq!(prefix("5.3.4"), "tuf_5_3_4_");
        let name = "u_f11_something";
        assert_eq!(RULES.iter().filter(|rule| name.starts_with(&prefix(rule.id))).count(), 1);
    }

    #[test]
    fn a_missing_test_and_an_old_page_are_found() {
        let text = "#[test]\nfn u_m1_x() {}\nfn u_m2_no_test() {}\n".to_owned();
        let files = [SourceFile { path: "crates/formats/tuf/tests/x.rs".to_owned(), text }];
        let page = page(&files);
        assert!(page.contains("core: `u_m1_x`") && !page.contains("u_m2_no_test"));
        assert!(check(&files).len() > 50);
    }
}
