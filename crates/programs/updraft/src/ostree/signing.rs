//! What commands that sign, and those that verify, have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;
use updraft_error::Classify as _;
use updraft_ostree::{Checksum, Metadata, ObjectName, ObjectType, RemoteName};
use updraft_repo::Repo;
use updraft_repo::sign::{self, Places, Report, SecretKey, SignType, Signer};
use updraft_terminal::{Failure, Result, Terminal};

/// Who signs: options of `commit` and `summary`.
#[derive(Debug, Args)]
pub(crate) struct SigningOptions {
    /// Sign with this OpenPGP key.
    #[arg(long, value_name = "KEY-ID")]
    gpg_sign: Vec<String>,
    /// The GnuPG home of the keys.
    #[arg(long, value_name = "DIR")]
    gpg_homedir: Option<PathBuf>,
    /// Sign with this secret key.
    #[arg(long, value_name = "KEY")]
    sign: Vec<String>,
    /// The type of the secret keys: ed25519 (the default), spki or dummy.
    #[arg(long, value_name = "TYPE")]
    sign_type: Option<String>,
}

impl SigningOptions {
    /// The GnuPG home that is named.
    pub(crate) fn gpg_homedir(&self) -> Option<&Path> {
        self.gpg_homedir.as_deref()
    }

    /// The signers, with those whose keys are in `files`.
    pub(crate) fn signers(&self, files: &[PathBuf]) -> Result<Vec<Signer>> {
        if let Some(home) = self.gpg_homedir.as_deref().filter(|_| !self.gpg_sign.is_empty()) {
            updraft_fs::Dir::open(home)?;
        }
        let mut signers: Vec<Signer> = Vec::new();
        if !self.sign.is_empty() || !files.is_empty() {
            let kind = kind(self.sign_type.as_deref())?;
            signers.extend(key_signers(kind, &self.sign, None)?);
            for file in files {
                signers.extend(key_signers(kind, &[], Some(file))?);
            }
        }
        let gpg = self.gpg_sign.iter();
        signers.extend(
            gpg.map(|key| Signer::Gpg { home: self.gpg_homedir.clone(), key_id: key.clone() }),
        );
        Ok(signers)
    }
}

/// The secret keys of `texts` and of the file, as signers.
pub(crate) fn key_signers(
    kind: SignType,
    texts: &[String],
    file: Option<&Path>,
) -> Result<Vec<Signer>> {
    let mut keys = Vec::new();
    for text in texts {
        keys.push(SecretKey::parse(kind, text)?);
    }
    if let Some(file) = file {
        keys.extend(SecretKey::read(kind, file)?);
    }
    Ok(keys.into_iter().map(|key| Signer::Key(Arc::new(key))).collect())
}

/// The type that an option names; ed25519 by default.
pub(crate) fn kind(name: Option<&str>) -> Result<SignType> {
    let kind = name.map_or(Ok(SignType::Ed25519), str::parse)?;
    if kind == SignType::Dummy && !places().dummy {
        return Err(failure(sign::Error::OnlyForTests));
    }
    Ok(kind)
}

/// The words of libostree about signatures are sentences, whatever they begin with.
pub(crate) fn failure(error: sign::Error) -> Failure {
    match error {
        sign::Error::Repo(_)
        | sign::Error::Fs(_)
        | sign::Error::Gpg(_)
        | sign::Error::Crypto(_)
        | sign::Error::Several { .. } => error.into(),
        words => Failure::new(words.kind(), &words),
    }
}

/// [`failure`] for what a repository's operation says of a signature.
pub(crate) fn repo_failure(error: updraft_repo::Error) -> Failure {
    match error {
        updraft_repo::Error::Sign(error) => failure(*error),
        error => error.into(),
    }
}

/// Where the system keeps keys, and what the environment says otherwise.
pub(crate) fn places() -> Places {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let mut places = Places::of_system(now);
    places.zone = TimeZone::system();
    places.dummy = std::env::var_os("OSTREE_DUMMY_SIGN_ENABLED").is_some_and(|value| value == "1");
    if let Some(dir) = std::env::var_os("OSTREE_GPG_HOME").filter(|dir| !dir.is_empty()) {
        places.gpg_dir = dir.into();
    }
    places
}

/// Prints what there is to say about the OpenPGP signatures of a commit.
pub(crate) fn print_gpg(
    repo: &Repo,
    commit: &Checksum,
    remote: Option<&RemoteName>,
    home: Option<&Path>,
    terminal: &Terminal,
) -> Result {
    let Some(metadata) = repo.read_commit_meta(commit)? else { return Ok(()) };
    if metadata.get(sign::GPG_SIGNATURES).is_none() {
        return Ok(());
    }
    let places = places();
    let keyring = sign::viewing_keyring(repo, &places, remote, home)?;
    let data = repo.read_metadata(&ObjectName::new(*commit, ObjectType::Commit))?;
    let Some(reports) = sign::gpg_reports(&keyring, &data, &metadata, places.now)? else {
        return Ok(());
    };
    print_reports(("Found", ""), &reports, &places, terminal)
}

/// Prints what there is to say about the OpenPGP signatures of the repository's own summary.
pub(crate) fn print_own_summary_gpg(
    repo: &Repo,
    home: Option<&Path>,
    summary: &[u8],
    signatures: &[u8],
    terminal: &Terminal,
) -> Result {
    let places = places();
    let keyring = sign::viewing_keyring(repo, &places, None, home)?;
    let signatures = Metadata::decode(signatures)?;
    let reports = sign::gpg_reports(&keyring, summary, &signatures, places.now)?;
    let Some(reports) = reports else { return Ok(()) };
    terminal.line("")?;
    print_reports(("Found", " on the summary"), &reports, &places, terminal)
}

/// What there is to say about the OpenPGP signatures of a commit by a remote's keys.
pub(crate) fn gpg_lines(
    repo: &Repo,
    commit: &Checksum,
    remote: &RemoteName,
) -> Result<Vec<String>> {
    let Some(metadata) = repo.read_commit_meta(commit)? else { return Ok(Vec::new()) };
    let places = places();
    let keyring = sign::remote_keyring(repo, &places, remote)?;
    let data = repo.read_metadata(&ObjectName::new(*commit, ObjectType::Commit))?;
    let reports = sign::gpg_reports(&keyring, &data, &metadata, places.now)?.unwrap_or_default();
    Ok(reports.iter().flat_map(|report| sign::describe(report, &places.zone)).collect())
}

/// Prints what there is to say about the OpenPGP signatures of a remote's summary, where the
/// remote demands such.
pub(crate) fn print_summary_gpg(
    repo: &Repo,
    remote: &RemoteName,
    summary: &[u8],
    signatures: &[u8],
    terminal: &Terminal,
) -> Result {
    let places = places();
    let keyring = sign::remote_keyring(repo, &places, remote)?;
    let signatures = Metadata::decode(signatures)?;
    let reports = sign::gpg_reports(&keyring, summary, &signatures, places.now)?;
    let Some(reports) = reports else { return Ok(()) };
    terminal.line("")?;
    print_reports(("GPG: Verification enabled, found", ""), &reports, &places, terminal)
}

fn print_reports(
    (found, of_what): (&str, &str),
    reports: &[Report],
    places: &Places,
    terminal: &Terminal,
) -> Result {
    let count = reports.len();
    let plural = if count == 1 { "" } else { "s" };
    terminal.line(format!("{found} {count} signature{plural}{of_what}:"))?;
    for report in reports {
        terminal.line("")?;
        for line in sign::describe(report, &places.zone) {
            terminal.line(format!("  {line}"))?;
        }
    }
    Ok(())
}
