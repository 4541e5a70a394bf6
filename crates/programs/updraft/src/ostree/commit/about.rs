//! What a commit says about its tree: message, time and metadata.

use std::num::IntErrorKind;

use jiff::ZonedDateTime;
use updraft_error::Kind;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Metadata, Refspec};
use updraft_repo::Repo;
use updraft_repo::commit::Parent;
use updraft_terminal::{Failure, Result, ResultExt as _};

use super::Commit;
use crate::ostree::{editor, time, variant_text};

impl Commit {
    pub(super) fn metadata(
        &self,
        repo: &Repo,
        parent: Parent,
        branch: Option<&Refspec>,
    ) -> Result<Metadata> {
        let mut metadata = Metadata::new();
        for option in &self.add_metadata_string {
            let (key, value) = key_value(option)?;
            metadata.append(key, Value::String(value.to_owned()));
        }
        for option in &self.add_metadata {
            let (key, value) = key_value(option)?;
            metadata.append(
                key,
                variant_text::parse(value).with_context(|| format!("Parsing {option}"))?,
            );
        }
        if self.keep_metadata.is_empty() {
            return Ok(metadata);
        }
        let parent = match (parent, branch) {
            (Parent::Commit(parent), _) => Some(parent),
            (Parent::Branch, Some(branch)) => repo.read_ref(branch)?,
            _ => None,
        };
        let parent = parent.ok_or_else(|| {
            let message =
                "Either --branch or --parent must be specified when using --keep-metadata";
            Failure::new(Kind::Invalid, message)
        })?;
        let kept = repo.load_commit(&parent)?.0.metadata;
        for key in &self.keep_metadata {
            let value = kept.get(key).ok_or_else(|| {
                let message = format!("Missing metadata key '{key}' from commit '{parent}'");
                Failure::new(Kind::NotFound, message)
            })?;
            metadata.insert(key, value.clone());
        }
        Ok(metadata)
    }

    pub(super) fn time(&self) -> Result<u64> {
        if let Some(text) = &self.timestamp {
            return time::parse_commit_time(text, &ZonedDateTime::now());
        }
        default_time()
    }

    /// Subject and body.
    pub(super) fn message(&self) -> Result<(String, String)> {
        let body = self.body()?;
        if self.editor {
            return editor::message(self.branch.as_deref(), &body);
        }
        Ok((self.subject.clone().unwrap_or_default(), body))
    }

    fn body(&self) -> Result<String> {
        match &self.body_file {
            None => Ok(self.body.clone().unwrap_or_default()),
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("openat({})", path.display()))
            }
        }
    }
}

/// The time of a commit where nobody says another: `SOURCE_DATE_EPOCH`, else now.
pub(in crate::ostree) fn default_time() -> Result<u64> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return time::parse_commit_time("now", &ZonedDateTime::now());
    };
    let seconds = epoch.to_str().unwrap_or_default().parse::<i64>();
    let seconds = seconds.map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            "Parsing SOURCE_DATE_EPOCH: Numerical result out of range".to_owned()
        }
        _ => "Failed to convert SOURCE_DATE_EPOCH".to_owned(),
    });
    let negative = |_| "Failed to convert SOURCE_DATE_EPOCH".to_owned();
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).map_err(negative));
    seconds.map_err(|message| Failure::new(Kind::Invalid, message))
}

/// The parts of KEY=VALUE.
pub(super) fn key_value(option: &str) -> Result<(&str, &str)> {
    let invalid = |message: String| Failure::new(Kind::Invalid, message);
    match option.split_once('=') {
        Some(("", _)) => Err(invalid("Empty metadata key".to_owned())),
        Some(pair) => Ok(pair),
        None => Err(invalid(format!("Missing '=' in KEY=VALUE metadata '{option}'"))),
    }
}
