//! Summaries that are kept from one pull to the next, so that a signed one that did not change is
//! not fetched again: `tmp/cache/summaries/REMOTE` and `REMOTE.sig`, as libostree keeps them.

use updraft_fs::{Dir, atomic_write};
use updraft_ostree::{MAX_METADATA_SIZE, RemoteName, Summary};
use updraft_task::Context;

use super::origin::{Origin, SummaryFiles};
use super::{Error, PullOptions};
use crate::Repo;

/// Where they are in a repository.
const FOLDER: &str = "tmp/cache/summaries";
const LIMIT: u64 = MAX_METADATA_SIZE as u64;

/// The summary of the origin: the one that is kept, when it has the signature that the origin
/// shows and that signature is good. Its signatures are verified, and it can be understood.
pub(super) fn summary(
    ctx: &Context,
    origin: &dyn Origin,
    options: &PullOptions,
) -> Result<Option<SummaryFiles>, Error> {
    if let Some((dir, name)) = place(options)
        && let Some(summary) = dir.try_read(&name, LIMIT)?
        && let Some(kept) = dir.try_read(format!("{name}.sig"), LIMIT)?
        && origin.summary_signature(ctx)?.is_some_and(|signature| signature == kept)
        && options.policy.check_summary(Some(&summary), Some(&kept)).is_ok()
    {
        return Ok(Some(SummaryFiles { summary, signature: Some(kept) }));
    }
    let found = origin.summary(ctx, &|files| {
        // Before anything in it is believed.
        options.policy.check_summary(Some(&files.summary), files.signature.as_deref())?;
        let what = format!("the summary of {}", origin.name());
        let decoded = Summary::decode(&files.summary);
        decoded.map(drop).map_err(|source| Error::Format { what, source })
    })?;
    if found.is_none() {
        options.policy.check_summary(None, None)?;
    }
    Ok(found)
}

/// Keeps a summary that was verified, when it is signed.
pub(super) fn keep(options: &PullOptions, files: &SummaryFiles) -> Result<(), Error> {
    let (Some((dir, name)), Some(signature)) = (place(options), &files.signature) else {
        return Ok(());
    };
    store(dir, &name, &files.summary, signature)
}

/// Keeps the summary of a remote and its signatures in `dir`, where pulls look for them. They have
/// to be good: who calls this has verified them.
pub fn keep_summary(
    dir: &Dir,
    remote: &RemoteName,
    summary: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    store(dir, remote.as_ref(), summary, signature)
}

fn store(dir: &Dir, name: &str, summary: &[u8], signature: &[u8]) -> Result<(), Error> {
    let sig = format!("{name}.sig");
    let same = dir.try_read(name, LIMIT)?.as_deref() == Some(summary)
        && dir.try_read(&sig, LIMIT)?.as_deref() == Some(signature);
    if !same {
        // No moment, and no kill, leaves a signature beside a summary that it is not of.
        dir.try_unlink(&sig)?;
        atomic_write(dir, name, summary, 0o644)?;
        atomic_write(dir, &sig, signature, 0o644)?;
    }
    Ok(())
}

fn place(options: &PullOptions) -> Option<(&Dir, String)> {
    Some((options.summary_cache.as_ref()?, options.remote.as_ref()?.to_string()))
}

impl Repo {
    /// The folder of the summaries that are kept, which is made when it is not there.
    pub fn summary_cache(&self) -> crate::Result<Dir> {
        Ok(self.root().ensure_dir_all(FOLDER, crate::repo::DIR_MODE)?)
    }

    /// Forgets the summaries of remotes that are gone.
    pub(crate) fn clean_summary_cache(&self) -> crate::Result<()> {
        let Some(dir) = self.root().try_open_dir(FOLDER)? else { return Ok(()) };
        let config = self.remotes_config()?;
        for entry in dir.entries()? {
            let name = entry.name.to_string_lossy();
            let remote = name.strip_suffix(".sig").unwrap_or(&name);
            if !config.has_group(&format!("remote \"{remote}\"")) {
                dir.try_unlink(&entry.name)?;
            }
        }
        Ok(())
    }
}
