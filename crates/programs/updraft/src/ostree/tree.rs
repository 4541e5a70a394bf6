//! Paths inside a commit, as they are printed.

/// The path with one leading slash and no other needless ones.
pub(crate) fn absolute(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// `parent/name`, without doubling the root's slash.
pub(crate) fn join(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn slashes_are_neither_doubled_nor_missing() {
        assert_eq!(super::absolute("usr//bin/./"), "/usr/bin");
        assert_eq!(super::absolute(""), "/");
        assert_eq!(super::join("/", "a"), "/a");
        assert_eq!(super::join("/a", "b"), "/a/b");
    }
}
