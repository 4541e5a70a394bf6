//! `ostree refs`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_ostree::{Checksum, CollectionId, CollectionRef, RefName, Refspec};
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, Terminal};

use super::repository::Location;

/// List, make and delete refs.
#[derive(Debug, Args)]
pub(crate) struct Refs {
    /// Delete the refs below each PREFIX.
    #[arg(long)]
    delete: bool,
    /// Print whole names, also below a PREFIX.
    #[arg(long)]
    list: bool,
    /// Print the commit of each ref, too.
    #[arg(long, short = 'r')]
    revision: bool,
    /// List aliases; with --create: make an alias.
    #[arg(long, short = 'A')]
    alias: bool,
    /// Make this ref for an existing commit or ref.
    #[arg(long, value_name = "NEWREF")]
    create: Option<String>,
    /// Print the collection of each ref.
    #[arg(long, short = 'c')]
    collections: bool,
    /// Replace an existing ref.
    #[arg(long)]
    force: bool,
    /// Only refs with this name or below it; for --create: the revision.
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    remote: Option<String>,
    #[serde(rename = "ref")]
    full: String,
    commit: String,
    alias_of: Option<String>,
}

impl Refs {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        if let Some(new) = &self.create {
            return self.create(&repo, new);
        }
        self.prefixes.iter().try_for_each(|prefix| check_prefix(prefix))?;
        if self.delete {
            return self.delete(&repo);
        }
        if self.collections {
            return self.list_collections(&repo, terminal);
        }
        let listed = self.listed(&repo)?;
        terminal.show(&listed, |listed| {
            listed.iter().try_for_each(|entry| terminal.line(self.text(entry)))
        })
    }

    fn text(&self, entry: &Listed) -> String {
        let name = &entry.name;
        match &entry.alias_of {
            Some(target) if self.alias => format!("{name} -> {target}"),
            _ if self.revision => format!("{name}\t{}", entry.commit),
            _ => name.clone(),
        }
    }

    fn listed(&self, repo: &Repo) -> Result<Vec<Listed>> {
        let (refs, aliases) = (repo.ref_texts()?, repo.aliases()?);
        // As with the peer, one prefix after the other: a ref may be listed twice.
        let prefixes: Vec<Option<&str>> = match &self.prefixes[..] {
            [] => vec![None],
            prefixes => prefixes.iter().map(|prefix| Some(prefix.as_str())).collect(),
        };
        let mut listed = Vec::new();
        for (prefix, (refspec, commit)) in
            prefixes.iter().flat_map(|prefix| refs.iter().map(move |entry| (prefix, entry)))
        {
            let full = refspec.to_string();
            let alias_of = match prefix {
                // As with the peer, a ref that is named itself is shown with its commit.
                Some(prefix) if self.alias && *prefix == full => Some(commit.clone()),
                _ => aliases.get(refspec).map(ToString::to_string),
            };
            if self.alias && alias_of.is_none() {
                continue;
            }
            let name = match prefix {
                None => full.clone(),
                Some(prefix) => match below(&full, prefix) {
                    None => continue,
                    Some(_) if self.list => full.clone(),
                    Some(rest) => rest,
                },
            };
            listed.push(Listed {
                name,
                remote: refspec.remote.as_ref().map(ToString::to_string),
                full,
                commit: commit.clone(),
                alias_of,
            });
        }
        Ok(listed)
    }

    /// Refs of the collections that are named, or of all.
    fn in_collections(&self, repo: &Repo) -> Result<Vec<(CollectionRef, Checksum)>> {
        for prefix in &self.prefixes {
            if CollectionId::new(prefix.as_str()).is_err() {
                let message = format!("Listing refs: Invalid collection ID {prefix}");
                return Err(Failure::new(Kind::Invalid, message));
            }
        }
        let wanted = |of: &CollectionRef| {
            self.prefixes.is_empty()
                || self.prefixes.iter().any(|prefix| prefix == of.collection.as_str())
        };
        Ok(repo.collection_refs()?.into_iter().filter(|(of, _)| wanted(of)).collect())
    }

    /// Refs with their collections, as `(COLLECTION, REF)`.
    fn list_collections(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let refs = self.in_collections(repo)?;
        let json: Vec<_> = refs
            .iter()
            .map(|(of, commit)| {
                serde_json::json!({
                    "collection": of.collection.as_str(),
                    "ref": of.name.as_str(),
                    "commit": commit.to_string(),
                })
            })
            .collect();
        terminal.show(&json, |_| {
            refs.iter().try_for_each(|(of, commit)| {
                let commit = if self.revision { format!("\t{commit}") } else { String::new() };
                terminal.line(format!("{of}{commit}"))
            })
        })
    }

    fn create(&self, repo: &Repo, new: &str) -> Result {
        let [revision] = &self.prefixes[..] else {
            let message = match self.prefixes.len() {
                0 => "You must specify a revision when creating a new ref",
                _ => "You must specify only 1 existing ref when creating a new ref",
            };
            return Err(Failure::new(Kind::Invalid, message));
        };
        if self.collections {
            return self.create_in_collection(repo, new, revision);
        }
        let new: Refspec = new.parse()?;
        new.check_not_checksum()?;
        let existing = repo.read_ref(&new)?;
        // One alias takes the place of another.
        let replaces = self.alias && repo.aliases()?.contains_key(&new);
        if existing.is_some() && !self.force && !replaces {
            let message = format!("--create specified but ref {new} already exists");
            return Err(Failure::new(Kind::Conflict, message).hint("replace it with --force"));
        }
        if !self.alias {
            let commit = repo.resolve(revision)?;
            repo.set_ref(&new, Some(&commit))?;
            return Ok(());
        }
        if let Some(remote) = &new.remote {
            let message = format!("Cannot create alias to remote ref: {remote}");
            return Err(Failure::new(Kind::Unsupported, message));
        }
        let target = revision.parse().ok().filter(|target: &Refspec| target.remote.is_none());
        let target = match target {
            Some(target) if repo.read_ref(&target)?.is_some() => target,
            _ => {
                let message = format!("Cannot create alias to non-existent ref: {revision}");
                return Err(Failure::new(Kind::NotFound, message));
            }
        };
        repo.set_alias(&new, &target)?;
        Ok(())
    }

    /// `COLLECTION:REF` for a revision.
    fn create_in_collection(&self, repo: &Repo, new: &str, revision: &str) -> Result {
        let invalid = || Failure::new(Kind::Invalid, format!("Invalid collection ID {new}"));
        let (collection, name) = new.split_once(':').ok_or_else(invalid)?;
        let name = RefName::new(name)?;
        let new = CollectionRef { collection: CollectionId::new(collection)?, name };
        if self.alias {
            let message = format!("Cannot create alias to collection–ref: {new}");
            return Err(Failure::new(Kind::Unsupported, message));
        }
        // As by the peer, what is there is replaced without being asked.
        let commit = repo.resolve(revision)?;
        Ok(repo.set_collection_ref(&new, Some(&commit))?)
    }

    fn delete(&self, repo: &Repo) -> Result {
        if self.prefixes.is_empty() {
            let message = "At least one PREFIX is required when deleting refs";
            return Err(Failure::new(Kind::Invalid, message));
        }
        if self.collections {
            let doomed = self.in_collections(repo)?;
            return doomed.iter().try_for_each(|(of, _)| Ok(repo.set_collection_ref(of, None)?));
        }
        let refs: BTreeMap<Refspec, String> = repo.ref_texts()?;
        let aliases = repo.aliases()?;
        // With --alias, aliases alone, and what is named itself.
        let is_meant = |full: &str, prefix: &str, is_alias: bool| {
            below(full, prefix).is_some() && (!self.alias || is_alias || full == prefix)
        };
        let matching = |refspec: &Refspec| {
            let (full, is_alias) = (refspec.to_string(), aliases.contains_key(refspec));
            self.prefixes.iter().any(|prefix| is_meant(&full, prefix, is_alias))
        };
        for doomed in refs.keys().filter(|refspec| matching(refspec)) {
            let alias =
                aliases.iter().find(|(alias, target)| *target == doomed && *alias != doomed);
            if let Some((alias, _)) = alias
                && !matching(alias)
            {
                let message = format!("Ref '{doomed}' has an active alias: '{alias}'");
                return Err(Failure::new(Kind::Conflict, message));
            }
        }
        for doomed in refs.keys().filter(|refspec| matching(refspec)) {
            repo.set_ref(doomed, None)?;
        }
        Ok(())
    }
}

/// How `full` is listed below `prefix`: whole when they are equal, else without the prefix but
/// with its remote; `None` when it is not below.
fn below(full: &str, prefix: &str) -> Option<String> {
    // Another way to write all of a remote.
    let prefix = if prefix.ends_with(":.") { prefix.trim_end_matches('.') } else { prefix };
    if full == prefix || (prefix.ends_with(':') && full.starts_with(prefix)) {
        return Some(full.to_owned());
    }
    let rest = full.strip_prefix(prefix)?.strip_prefix('/')?;
    let remote = prefix.split_once(':').map(|(remote, _)| format!("{remote}:"));
    Some(remote.unwrap_or_default() + rest)
}

/// A PREFIX must read like a refspec, or be all of a remote.
fn check_prefix(prefix: &str) -> Result {
    let part = prefix.strip_suffix(":.").or_else(|| prefix.strip_suffix(':')).unwrap_or(prefix);
    part.parse::<Refspec>().map(drop).map_err(|error| Failure::from(error).context("Listing refs"))
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn prefixes_end_at_parts() {
        let below = |full, prefix| below(full, prefix).unwrap_or_default();
        assert_eq!(below("a/b/c", "a"), "b/c");
        assert_eq!(below("a/b/c", "a/b/c"), "a/b/c");
        assert_eq!(below("ab/c", "a"), "");
        assert_eq!(below("o:x/y", "o:x"), "o:y");
        assert_eq!(below("o:x", "o:"), "o:x");
        assert_eq!(below("o:x", "o"), "");
    }
}
