//! `updraft release import`: publish what was signed elsewhere.

use std::path::{Path, PathBuf};

use serde::Serialize;
use updraft_api::{NewRelease, Release, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_publish::{Draft, printable};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::{Payload as _, RoleName, Targets};

use super::payload::TargetFile;
use super::target;
use crate::server::Server;
use crate::signing::{self, DIALECT, Published};

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Report {
    published: Vec<Published>,
    uploaded: Vec<String>,
    released: Vec<String>,
}

/// A file with all its signatures, and the request that it came in.
struct Finished<'a> {
    path: &'a Path,
    draft: Draft,
}

/// Publishes the requests, roots before targets so that one call can bring both. Copies of one
/// request that several people signed count as one. Targets and delegated targets go together: a
/// new delegation and its first targets need each other.
pub(super) fn run(
    requests: &[PathBuf],
    files: &[PathBuf],
    encrypted: bool,
    terminal: &Terminal,
) -> Result {
    let uploads = files.iter().map(|path| TargetFile::read(path)).collect::<Result<Vec<_>>>()?;
    let server = Server::connect()?;
    let mut report = Report::default();
    // All are finished before the first one is sent: one that lacks signatures keeps back all.
    let finished = read(requests)?.into_iter().map(finish).collect::<Result<Vec<_>>>()?;
    check_uploads(&uploads, &finished)?;
    let mut registrable = Vec::new();
    for group in groups(finished) {
        send(&server, &group, &mut report.published)?;
        registrable.extend(group.into_iter().filter(|file| *file.draft.role() != RoleName::Root));
    }
    for file in &registrable {
        upload(&server, &uploads, file, &mut report.uploaded)?;
    }
    for file in registrable {
        let targets = read_targets(file.path, file.draft.signed())?;
        let new = target::releases(&targets).into_iter();
        let new = new.map(|release| NewRelease { encrypted, ..release });
        register(&server, new.collect(), &mut report.released)?;
    }
    terminal.show(&report, |report| {
        report.published.iter().map(Published::text).try_for_each(|line| terminal.line(line))?;
        report.uploaded.iter().try_for_each(|name| terminal.line(format!("uploaded {name}")))?;
        report.released.iter().try_for_each(|name| terminal.line(format!("released {name}")))
    })
}

fn read(requests: &[PathBuf]) -> Result<Vec<(&PathBuf, Draft)>> {
    let mut drafts: Vec<(&PathBuf, Draft)> = Vec::new();
    for path in requests {
        let draft = signing::read_request(path)?;
        let same = drafts
            .iter_mut()
            .find(|(_, other)| other.role() == draft.role() && other.signed() == draft.signed());
        match same {
            Some((_, other)) => other.merge(&draft)?,
            None => drafts.push((path, draft)),
        }
    }
    let version = |draft: &Draft| draft.signed().get("version").and_then(serde_json::Value::as_u64);
    let rank = |draft: &Draft| match draft.role() {
        RoleName::Root => 0,
        RoleName::Delegated(_) => 2,
        _ => 1,
    };
    drafts.sort_by_key(|(_, draft)| (rank(draft), version(draft)));
    Ok(drafts)
}

fn finish((path, draft): (&PathBuf, Draft)) -> Result<Finished<'_>> {
    draft
        .finish()
        .and_then(|_| draft.finish_tuf())
        .with_context(|| format!("failed to publish `{}`", path.display()))
        .hint("sign it with `updraft keys sign` where the missing keys are")?;
    Ok(Finished { path, draft })
}

/// What is sent at a time: the newest targets with the first file of each delegated role, all else
/// by itself. The files come with roots first and delegated targets last.
fn groups(files: Vec<Finished<'_>>) -> Vec<Vec<Finished<'_>>> {
    let (mut groups, mut together, mut later) =
        (Vec::new(), Vec::<Finished<'_>>::new(), Vec::new());
    for file in files {
        match file.draft.role() {
            RoleName::Targets => {
                groups.extend(together.drain(..).map(|older| vec![older]));
                together.push(file);
            }
            RoleName::Delegated(_)
                if !together.iter().any(|other| other.draft.role() == file.draft.role()) =>
            {
                together.push(file);
            }
            RoleName::Delegated(_) => later.push(vec![file]),
            _ => groups.push(vec![file]),
        }
    }
    groups.push(together);
    groups.extend(later);
    groups
}

fn send(server: &Server, group: &[Finished<'_>], published: &mut Vec<Published>) -> Result {
    match group {
        [] => {}
        [one] => published.push(signing::publish(server, &one.draft)?),
        several => {
            let drafts: Vec<_> = several.iter().map(|file| &file.draft).collect();
            published.extend(signing::publish_together(server, &drafts)?);
        }
    }
    Ok(())
}

/// Sees to it that each file is a target of one of the requests.
fn check_uploads(uploads: &[TargetFile], finished: &[Finished<'_>]) -> Result {
    let with_targets = finished.iter().filter(|file| *file.draft.role() != RoleName::Root);
    let listed = with_targets
        .map(|file| read_targets(file.path, file.draft.signed()))
        .collect::<Result<Vec<_>>>()?;
    let targets = listed.iter().flat_map(|targets| targets.targets.values());
    for file in uploads {
        if !targets.clone().any(|target| target.hashes.sha256() == Some(&file.sha256)) {
            let message = format!("no target in these requests is `{}`", file.name());
            return Err(Failure::new(Kind::NotFound, message)
                .hint("nothing was published; give the files that the releases were made from"));
        }
    }
    Ok(())
}

/// Uploads the files that are targets of this request, by their SHA-256.
fn upload(
    server: &Server,
    uploads: &[TargetFile],
    request: &Finished<'_>,
    uploaded: &mut Vec<String>,
) -> Result {
    let targets = read_targets(request.path, request.draft.signed())?;
    for (name, target) in &targets.targets {
        let sha256 = target.hashes.sha256();
        if let Some(file) = uploads.iter().find(|file| Some(file.sha256.as_str()) == sha256) {
            file.upload(server, name)?;
            uploaded.push(file.name());
        }
    }
    Ok(())
}

fn read_targets(path: &Path, signed: &serde_json::Value) -> Result<Targets> {
    Targets::from_value(DIALECT, signed.clone()).map_err(|reason| {
        Failure::new(Kind::Invalid, format!("failed to read `{}`: {reason}", path.display()))
    })
}

/// Registers the releases that the signed targets name and the server does not know yet. One that
/// the server refuses does not keep the others back.
fn register(server: &Server, new: Vec<NewRelease>, released: &mut Vec<String>) -> Result {
    let known: Vec<Release> = server.list(paths::RELEASES)?;
    let is_new = |new: &NewRelease| !known.iter().any(|release| release.name == new.name);
    let mut refused = None;
    for new in new.into_iter().filter(is_new) {
        let answer: Result<Release> = server
            .send(Method::Post, paths::RELEASES, &new)
            .with_context(|| format!("failed to register release `{}`", printable(&new.name)));
        match answer {
            Ok(release) => released.push(release.name),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    refused.map_or(Ok(()), |failure| {
        Err(failure.hint(
            "the signed targets are published; import again, with `--file` for each file that the \
                   server lacks, once the server can take it",
        ))
    })
}
