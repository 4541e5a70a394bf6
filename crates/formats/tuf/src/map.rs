//! Repository mapping (TAP 4, Uptane 2.1.0 U-M13): which repositories must agree on which paths.
//!
//! ```text
//! {"repositories": {NAME: [URL, …], …},
//!  "mapping": [{"paths": [PATTERN, …], "repositories": [NAME, …], "threshold": N,
//!               "terminating": BOOL}, …]}
//! ```
//! `map.json` lies on the client and comes with it; no server changes it. The first entry of
//! `mapping` that matches is asked first. A target counts when `threshold` of the entry's
//! repositories list it with the same length and hashes; otherwise the next entry is asked,
//! unless the entry is terminating. In patterns, `*` matches `/` too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fields::{Fields, strings};
use crate::json::Json;
use crate::{FormatError, Separator, TufTarget, Verified, json, pattern_matches};

/// Largest `map.json` that is read, in bytes.
pub const MAX_MAP: usize = 1 << 20;
/// Most repositories, entries, patterns and URLs in each list.
const MAX_ENTRIES: usize = 1024;

/// The content of `map.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct RepositoryMap {
    /// Name → URLs of its mirrors. The name is also that of its folder of trusted metadata, so it
    /// is made of letters, digits, `-`, `_` and `.` and does not begin with a dot.
    pub repositories: BTreeMap<String, Vec<String>>,
    /// In the order in which they are asked.
    pub mapping: Vec<Mapping>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

/// Repositories that must agree about some paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Shell-style patterns; one must match.
    pub paths: Vec<String>,
    /// Names of repositories, each once, the one whose custom fields count first.
    pub repositories: Vec<String>,
    /// How many of them must agree: 1 to their number.
    pub threshold: u64,
    /// Whether later entries are not asked about these paths.
    pub terminating: bool,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl RepositoryMap {
    /// Uptane's: Director and Image repository must agree about every path.
    #[must_use]
    pub fn uptane(director: &[String], image: &[String]) -> Self {
        let names = ["image", "director"].map(str::to_owned);
        let repositories =
            [(names[0].clone(), image.to_vec()), (names[1].clone(), director.to_vec())];
        let mapping = Mapping {
            paths: vec!["*".to_owned()],
            repositories: names.to_vec(),
            threshold: 2,
            terminating: true,
            extra: Map::new(),
        };
        Self { repositories: repositories.into(), mapping: vec![mapping], extra: Map::new() }
    }

    /// Reads `map.json`.
    ///
    /// # Errors
    /// [`FormatError`]; a mapping that names an unknown repository, or none, is one.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::from_value(json::parse(bytes, MAX_MAP)?)
    }

    /// Reads a map from a JSON value.
    ///
    /// # Errors
    /// As [`RepositoryMap::parse`].
    pub fn from_value(value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of("map", value)?;
        let mut repositories = BTreeMap::new();
        for (name, urls) in fields.object("repositories")? {
            check_name(&name)?;
            let urls = strings("repositories", urls)?;
            limited("repositories", urls.len())?;
            repositories.insert(name.into_owned(), urls);
        }
        limited("repositories", repositories.len())?;
        let entries = fields.array("mapping")?;
        limited("mapping", entries.len())?;
        let mapping = entries
            .into_iter()
            .map(|entry| Mapping::from_value(entry, &repositories))
            .collect::<Result<_, _>>()?;
        Ok(Self { repositories, mapping, extra: fields.rest() })
    }

    /// The map as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        let repositories = self.repositories.iter();
        let repositories = repositories.map(|(name, urls)| (name.clone(), urls.clone().into()));
        members.insert("repositories".to_owned(), Value::Object(repositories.collect()));
        let mapping: Vec<Value> = self.mapping.iter().map(Mapping::to_value).collect();
        members.insert("mapping".to_owned(), mapping.into());
        members.extend(self.extra.clone());
        Value::Object(members)
    }

    /// A search for `path`.
    #[must_use]
    pub fn search<'a>(&'a self, path: &str) -> MapSearch<'a> {
        let covers = |glob: &String| pattern_matches(glob, path, Separator::Plain);
        let entries = self.mapping.iter().filter(|entry| entry.paths.iter().any(covers));
        let mut to_ask: Vec<&Mapping> = Vec::new();
        for entry in entries {
            to_ask.push(entry);
            if entry.terminating {
                break;
            }
        }
        to_ask.reverse();
        MapSearch { to_ask, answers: BTreeMap::new() }
    }
}

impl Mapping {
    fn from_value(
        value: Json<'_>,
        known: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, FormatError> {
        let mut fields = Fields::of("mapping", value)?;
        let paths = fields.strings("paths")?;
        limited("paths", paths.len())?;
        let repositories = fields.strings("repositories")?;
        let distinct: BTreeSet<_> = repositories.iter().collect();
        if repositories.is_empty() || distinct.len() != repositories.len() {
            return Err(FormatError::field("repositories", "is empty or names one twice"));
        }
        if let Some(name) = repositories.iter().find(|name| !known.contains_key(*name)) {
            let problem = format!("names {name:?}, which is not among the repositories");
            return Err(FormatError::field("mapping", problem));
        }
        let threshold = fields.unsigned("threshold")?;
        if threshold == 0 || threshold > repositories.len() as u64 {
            return Err(FormatError::field("threshold", "is not 1 to the number of repositories"));
        }
        let terminating = fields.optional_bool("terminating")?.unwrap_or(false);
        Ok(Self { paths, repositories, threshold, terminating, extra: fields.rest() })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("paths".to_owned(), self.paths.clone().into());
        members.insert("repositories".to_owned(), self.repositories.clone().into());
        members.insert("threshold".to_owned(), self.threshold.into());
        members.insert("terminating".to_owned(), self.terminating.into());
        members.extend(self.extra.clone());
        Value::Object(members)
    }

    /// The target on which enough repositories agree: the first's such, in their order.
    fn agreed(&self, answers: &BTreeMap<&str, Answer>) -> Answer {
        let listed: Vec<_> = self
            .repositories
            .iter()
            .filter_map(|name| answers.get(name.as_str())?.as_ref())
            .collect();
        let same = |one: &TufTarget, other: &TufTarget| {
            one.length == other.length && one.hashes.agrees_with(&other.hashes)
        };
        let enough = |target: &&&Verified<TufTarget>| {
            listed.iter().filter(|other| same(target, other)).count() as u64 >= self.threshold
        };
        listed.iter().find(enough).map(|target| (*target).clone())
    }
}

/// What one repository says: its target, or that it has none.
type Answer = Option<Verified<TufTarget>>;

/// A search over several repositories, without input and output.
///
/// Call [`next`](MapSearch::next); while it asks for a repository, update that one with a
/// [`TufUpdater`](crate::TufUpdater) that wants the path, and hand over its answer. A repository
/// that cannot be had or verified ends the search: report its refusal, and use nothing.
#[derive(Debug)]
pub struct MapSearch<'a> {
    /// The next one last.
    to_ask: Vec<&'a Mapping>,
    answers: BTreeMap<&'a str, Answer>,
}

/// The next thing to do for a [`MapSearch`].
#[derive(Debug, Clone, PartialEq)]
pub enum MapStep<'a> {
    /// Ask this repository, then call [`MapSearch::answered`].
    Ask(&'a str),
    /// The target, if enough repositories agree on one.
    Done(Option<Verified<TufTarget>>),
}

impl<'a> MapSearch<'a> {
    /// What to do next. Each repository is asked once, and only when an entry needs it.
    #[expect(clippy::should_implement_trait, reason = "it never ends by itself")]
    pub fn next(&mut self) -> MapStep<'a> {
        while let Some(entry) = self.to_ask.last() {
            let mut names = entry.repositories.iter().map(String::as_str);
            if let Some(name) = names.find(|name| !self.answers.contains_key(name)) {
                return MapStep::Ask(name);
            }
            if let Some(target) = entry.agreed(&self.answers) {
                return MapStep::Done(Some(target));
            }
            self.to_ask.pop();
        }
        MapStep::Done(None)
    }

    /// What `repository` says about the path.
    pub fn answered(&mut self, repository: &'a str, target: Option<Verified<TufTarget>>) {
        self.answers.insert(repository, target);
    }
}

fn check_name(name: &str) -> Result<(), FormatError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.bytes().all(fits) {
        return Err(FormatError::field("repositories", "has a name that cannot name a folder"));
    }
    Ok(())
}

fn limited(field: &str, count: usize) -> Result<(), FormatError> {
    if count > MAX_ENTRIES {
        return Err(FormatError::field(field, "has more than 1024 entries"));
    }
    Ok(())
}
