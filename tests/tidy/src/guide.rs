//! The guide and the other documents: links that lead somewhere, pages that can be found.

use std::path::{Component, Path, PathBuf};

use crate::{Finding, SourceFile};

/// Where the guide's pages are.
const PAGES: &str = "docs/src/";
const SUMMARY: &str = "docs/src/SUMMARY.md";

/// Pages that the summary does not list: readers of the book never see them.
pub fn pages(files: &[SourceFile]) -> Vec<Finding> {
    let Some(summary) = files.iter().find(|file| file.path == SUMMARY) else { return Vec::new() };
    let listed: Vec<PathBuf> = links(summary).map(|(_, target)| target).collect();
    files
        .iter()
        .filter(|file| file.path.starts_with(PAGES) && is_markdown(&file.path))
        .filter(|file| file.path != SUMMARY && !listed.iter().any(|path| *path == *file.path))
        .map(|file| Finding {
            place: file.path.clone(),
            problem: "is not in the guide's summary".into(),
            way_out: "add a line to docs/src/SUMMARY.md",
        })
        .collect()
}

/// Links of Markdown files to files that are not there. `exists` is asked about paths relative to
/// the workspace.
pub fn dead_links(files: &[SourceFile], exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_markdown(&file.path)) {
        for (line, target) in links(file) {
            if !exists(&target) {
                findings.push(Finding {
                    place: format!("{}:{line}", file.path),
                    problem: format!("links to {}, which is not there", target.display()),
                    way_out: "correct the link, or write the page",
                });
            }
        }
    }
    findings
}

fn is_markdown(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "md")
}

/// Line numbers and targets of `](target)`, relative to the workspace; addresses left out.
fn links(file: &SourceFile) -> impl Iterator<Item = (usize, PathBuf)> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    file.text.lines().enumerate().flat_map(move |(number, line)| {
        line.split("](").skip(1).filter_map(move |rest| {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            let is_file = !target.is_empty() && !target.contains(':');
            is_file.then(|| (number + 1, normal(&folder.join(target))))
        })
    })
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_page_that_nobody_lists_is_found() {
        let files = [
            file(SUMMARY, "- [A](a.md)\n"),
            file("docs/src/a.md", "# A\n"),
            file("docs/src/b.md", "# B\n"),
        ];
        let found = pages(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "docs/src/b.md");
    }

    #[test]
    fn a_dead_link_is_found_with_its_line() {
        let text = "[web](https://a.example/b)\n[up](../../README.md#part) [gone](gone.md)\n";
        let found =
            dead_links(&[file("docs/src/a.md", text)], |path| path == Path::new("README.md"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "docs/src/a.md:2");
    }
}
