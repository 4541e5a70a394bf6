//! What the rules look at, read once.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 6] = [".git", "target", "node_modules", "dist", "book", "corpus"];

/// The dashboard's types of the interface, which a program writes.
const GENERATED: &str = "web/src/api/schema.ts";

/// A broken rule: where, what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or crate, relative to the workspace.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub way_out: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    way out: {}", self.place, self.problem, self.way_out)
    }
}

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the workspace root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Everything the rules read.
#[derive(Debug)]
pub struct Workspace {
    /// The dependency graph.
    pub metadata: Metadata,
    /// All text files of the repository.
    pub files: Vec<SourceFile>,
}

impl Workspace {
    /// Reads the workspace that this crate belongs to.
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut files = Vec::new();
        collect(&root, &root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { metadata, files })
    }

    /// The files of the dashboard that people write.
    pub fn web_files(&self) -> impl Iterator<Item = &SourceFile> {
        let is_code = |path: &str| {
            let end = Path::new(path).extension().unwrap_or_default();
            ["ts", "tsx", "css", "mjs"].iter().any(|known| end == *known)
        };
        self.files.iter().filter(move |file| {
            file.path.starts_with("web/") && file.path != GENERATED && is_code(&file.path)
        })
    }

    /// The Rust files.
    pub fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        let is_rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
        self.files.iter().filter(move |file| is_rust(&file.path))
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.push(SourceFile { path: relative.to_string_lossy().into_owned(), text });
        }
    }
    Ok(())
}
