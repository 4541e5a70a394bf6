//! The time zone that this device lives in, as its system says: maintenance windows are in it.
//!
//! ```text
//! etc/localtime -> ../usr/share/zoneinfo/Europe/Berlin    localtime(5); links to links are followed
//! etc/timezone     Europe/Berlin                          where the one above is a copy of its file
//! etc/TZ           Europe/Berlin                          of small C libraries
//! ```

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// The most that a zone's name may have, in bytes; IANA's have 14 in each part, and three parts.
const MAX_NAME: usize = 64;
/// The most links from `etc/localtime` to the zone.
const MAX_LINKS: usize = 8;

/// The zone of the system in `root`: a name of the IANA database, if it says one.
pub(crate) fn of_system(root: &Path) -> Option<String> {
    linked(root).or_else(|| {
        let mut files = ["etc/timezone", "etc/TZ"].iter();
        files.find_map(|file| named(&root.join(file)))
    })
}

/// The zone whose file is linked to. Links are those of `root`, wherever that lies.
fn linked(root: &Path) -> Option<String> {
    let mut place = PathBuf::from("etc/localtime");
    for _ in 0..MAX_LINKS {
        let target = fs::read_link(root.join(&place)).ok()?;
        let from = if target.is_absolute() { Path::new("") } else { place.parent()? };
        place = below(&from.join(&target));
        let mut parts = place.iter().map(|part| part.to_string_lossy());
        if parts.any(|part| part == "zoneinfo") {
            let parts: Vec<_> =
                parts.skip_while(|part| part == "posix" || part == "right").collect();
            return name(&parts.join("/"));
        }
    }
    None
}

/// A path without `..`, relative to the root that it would lead out of.
fn below(path: &Path) -> PathBuf {
    let mut made = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => made.push(part),
            Component::ParentDir => {
                made.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    made
}

fn named(file: &Path) -> Option<String> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_NAME).ok()?.saturating_add(2);
    File::open(file).ok()?.take(limit).read_to_string(&mut text).ok()?;
    name(text.lines().next()?)
}

/// Names only: rules such as `CET-1CEST` say nothing of where they hold.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
        && (text.contains('/') || !text.contains(['-', '+']));
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(links: &[(&str, &str)], files: &[(&str, &str)], expect: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let place = root.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            place
        };
        for (path, target) in links {
            symlink(target, place(path)).unwrap();
        }
        for (path, text) in files {
            fs::write(place(path), text).unwrap();
        }
        assert_eq!(of_system(root.path()).as_deref(), expect, "{links:?} {files:?}");
    }

    #[test]
    fn the_link_says_the_zone() {
        let berlin = Some("Europe/Berlin");
        check(&[("etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")], &[], berlin);
        check(&[("etc/localtime", "../usr/share/zoneinfo/posix/Europe/Berlin")], &[], berlin);
        check(
            &[("etc/localtime", "/usr/share/zoneinfo/UTC")],
            &[("etc/timezone", "x")],
            Some("UTC"),
        );
        let far = Some("America/Argentina/Buenos_Aires");
        check(&[("etc/localtime", "/usr/share/zoneinfo/America/Argentina/Buenos_Aires")], &[], far);
        // A system that cannot be written has the choice elsewhere.
        let chain = [
            ("etc/localtime", "../var/lib/zone"),
            ("var/lib/zone", "/usr/share/zoneinfo/Europe/Berlin"),
        ];
        check(&chain, &[], berlin);
    }

    #[test]
    fn files_say_it_where_no_link_does() {
        let copy = ("etc/localtime", "TZif2");
        check(&[], &[copy, ("etc/timezone", "Asia/Tokyo\n")], Some("Asia/Tokyo"));
        check(&[], &[copy, ("etc/TZ", "Etc/GMT+3\n")], Some("Etc/GMT+3"));
    }

    #[test]
    fn what_is_no_zone_is_not_told() {
        check(&[], &[], None);
        check(&[("etc/localtime", "localtime")], &[], None);
        check(&[("etc/localtime", "/srv/clock")], &[], None);
        for no in ["", "\n", "CET-1CEST,M3.5.0,M10.5.0/3", "CET-1", "<b>", "../../x"] {
            check(&[], &[("etc/timezone", no)], None);
        }
        check(&[], &[("etc/timezone", &"a".repeat(1 << 20))], None);
    }
}
