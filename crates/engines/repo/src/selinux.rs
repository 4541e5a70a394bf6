//! SELinux labels for files, by the file contexts of a policy.
//!
//! ```text
//! etc/selinux/config                                  SELINUXTYPE=NAME  (or below usr/etc)
//! etc/selinux/NAME/contexts/files/file_contexts       PATTERN [-TYPE] CONTEXT, a line each
//!                                 file_contexts.{homedirs,local}      more of them
//!                                 file_contexts.{subs,subs_dist}      PATH PATH: the first is
//!                                                                     looked up as the second
//! ```
//!
//! Patterns are anchored at both ends. Of those that match a path and a file type the last one
//! counts, those without special characters after all others; `<<none>>` means no label
//! (file_contexts(5), selabel_file(5)).

mod load;
mod pattern;

use std::sync::Arc;

use updraft_ostree::Xattrs;

pub use load::{from_commit, from_folder};
use pattern::Spec;

/// The attribute that holds a label.
pub(crate) const ATTRIBUTE: &str = "security.selinux";

/// The labels of a policy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy {
    name: String,
    specs: Arc<[Spec]>,
    /// Pairs of a path and what it is looked up as: the administrator's, then the policy's.
    substitutions: [Arc<[(String, String)]>; 2],
}

impl Policy {
    /// Its name, such as `targeted`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The label of a file: `path` begins with `/`, `mode` has its type. `None` when the policy
    /// gives it none.
    #[must_use]
    pub fn label(&self, path: &str, mode: u32) -> Option<&str> {
        let mut path = std::borrow::Cow::Borrowed(path);
        for substitutions in &self.substitutions {
            let found = substitutions.iter().find_map(|(from, to)| {
                let rest = path.strip_prefix(from.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
            });
            path = found.map_or(path, Into::into);
        }
        let spec = self.specs.iter().rev().find(|spec| spec.matches(&path, mode))?;
        spec.context.as_deref()
    }

    /// Puts the label of a file among its attributes, in the place of one that is there.
    pub(crate) fn relabel(&self, path: &str, mode: u32, xattrs: &mut Xattrs) {
        if let Some(label) = self.label(path, mode) {
            // The kernel keeps labels with the NUL that ends them.
            xattrs.insert(ATTRIBUTE.as_bytes(), [label.as_bytes(), b"\0"].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use updraft_ostree::{S_IFDIR, S_IFLNK, S_IFREG};

    use super::*;

    fn policy(contexts: &str, subs: &[(&str, &str)]) -> Policy {
        let specs = pattern::parse([("file_contexts", contexts)]).unwrap();
        let subs = subs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        Policy {
            name: "test".to_owned(),
            specs: specs.into(),
            substitutions: [subs.collect(), Arc::new([])],
        }
    }

    #[test]
    fn the_last_match_counts_and_plain_paths_count_most() {
        let policy = policy(
            "/a/g\tplain\n/.*\tdefault\n/a(/.*)?\ta\n/a/d -d directory\n/l -l link\n/n <<none>>\n",
            &[("/bin", "/a/bin")],
        );
        for (path, mode, label) in [
            ("/x", S_IFREG, Some("default")),
            ("/a", S_IFDIR, Some("a")),
            ("/a/g", S_IFREG, Some("plain")),
            ("/a/d", S_IFDIR, Some("directory")),
            ("/a/d", S_IFREG, Some("a")),
            ("/ab", S_IFREG, Some("default")),
            ("/l", S_IFLNK, Some("link")),
            ("/n", S_IFREG, None),
            ("/bin/x", S_IFREG, Some("a")),
            ("/binx", S_IFREG, Some("default")),
        ] {
            assert_eq!(policy.label(path, mode), label, "{path}");
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        for text in ["/a", "/a -z x", "/( x", "/a -d x y"] {
            let error = pattern::parse([("file_contexts", text)]).unwrap_err();
            assert!(error.to_string().contains("file_contexts:1"), "{error}");
        }
    }
}
