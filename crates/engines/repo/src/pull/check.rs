//! What has to be right about a commit before its tree is fetched.

use updraft_ostree::{Checksum, Commit};

use super::Error;

/// The commit says that it may be published as `ref_name` (and in `collection`).
///
/// As in libostree: a commit without bindings passes unless the remote has a collection id.
pub(crate) fn bindings(
    commit: &Commit,
    checksum: &Checksum,
    ref_name: Option<&str>,
    collection: Option<&str>,
) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Bindings { commit: *checksum, reason });
    let Some(bound) = commit.ref_bindings() else {
        return match collection {
            None => Ok(()),
            Some(_) => refuse(
                "Expected commit metadata to have ref binding information, found none".into(),
            ),
        };
    };
    if let Some(wanted) = ref_name.filter(|wanted| !bound.contains(wanted)) {
        let list: Vec<String> = bound.iter().map(|name| format!("‘{name}’")).collect();
        let list = if list.is_empty() { "no refs".to_owned() } else { list.join(", ") };
        return refuse(format!(
            "Commit has no requested ref ‘{wanted}’ in ref binding metadata ({list})"
        ));
    }
    let bound = commit.metadata.get_str(Commit::COLLECTION_BINDING);
    match (collection, bound) {
        (Some(_), None) => refuse(
            "Expected commit metadata to have collection ID binding information, found none".into(),
        ),
        (Some(wanted), Some(bound)) if wanted != bound => refuse(format!(
            "Commit has collection ID ‘{bound}’ in collection binding metadata, while the remote \
             it came from has collection ID ‘{wanted}’"
        )),
        _ => Ok(()),
    }
}

/// The new commit is not older than the one it replaces.
pub(crate) fn not_older(new: (&Checksum, u64), current: (&Checksum, u64)) -> Result<(), Error> {
    if new.1 >= current.1 {
        return Ok(());
    }
    Err(Error::Older { new: *new.0, new_time: new.1, current: *current.0, current_time: current.1 })
}
