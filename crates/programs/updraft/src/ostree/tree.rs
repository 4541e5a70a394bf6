//! Paths inside a commit, as they are printed.

/// The path with its first slash, when every part of it is a name: the peer looks for one also where
/// `//`, `.` or an end of `/` leave none. Else the path up to such a part.
pub(crate) fn exact(given: &str) -> Result<String, String> {
    if given == "/" {
        return Ok(given.to_owned());
    }
    let mut so_far = String::new();
    for part in given.strip_prefix('/').unwrap_or(given).split('/') {
        let path = format!("{so_far}/{part}");
        if matches!(part, "" | ".") {
            return Err(path);
        }
        so_far = path;
    }
    Ok(so_far)
}

/// `parent/name`, without doubling the root's slash.
pub(crate) fn join(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_part_is_a_name() {
        assert_eq!(super::exact("usr/bin"), Ok("/usr/bin".to_owned()));
        assert_eq!(super::exact("/"), Ok("/".to_owned()));
        for (path, told) in [("", "/"), (".", "/."), ("usr/", "/usr/"), ("./a", "/.")] {
            assert_eq!(super::exact(path).unwrap_err(), told);
        }
        assert_eq!(super::join("/", "a"), "/a");
        assert_eq!(super::join("/a", "b"), "/a/b");
    }
}
