//! `ostree static-delta generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use updraft_error::Kind;
use updraft_ostree::delta::{DeltaFormat, DeltaName, Endianness};
use updraft_repo::Repo;
use updraft_repo::delta::{self, GenerateOptions, Target};
use updraft_repo::sign::{self, Signer};
use updraft_terminal::{Failure, Result, Terminal};

use crate::ostree::signing;

const MB: u64 = 1 << 20;
/// Parts of our own format hold little besides what is new, so that these stand for large ones.
const UPDRAFT_PART: u64 = 16 * MB;

/// Generate static delta files.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The commit that the delta starts from; by default the parent of the target.
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// Make a delta from nothing.
    #[arg(long)]
    empty: bool,
    /// Put the parts into the superblock.
    #[arg(long)]
    inline: bool,
    /// The commit that the delta leads to.
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Make no patches.
    #[arg(long)]
    disable_bsdiff: bool,
    /// The format of the parts: ostree, which the real tool applies too, or updraft, which is
    /// smaller, resumes, and is what our own programs prefer where both are offered.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Do nothing when the delta exists.
    #[arg(long, short = 'n')]
    if_not_exists: bool,
    /// The order of bytes, `l` or `B`.
    #[arg(long, value_name = "ENDIAN")]
    set_endianness: Option<String>,
    /// The other order of bytes than this machine's.
    #[arg(long)]
    swap_endianness: bool,
    /// Files larger than this many megabytes that no old file is like are fetched by themselves;
    /// 0 for none.
    #[arg(long, value_name = "MB")]
    min_fallback_size: Option<u64>,
    /// Files of up to this many megabytes are patched.
    #[arg(long, value_name = "MB")]
    max_bsdiff_size: Option<u64>,
    /// The size of parts in megabytes.
    #[arg(long, value_name = "MB")]
    max_chunk_size: Option<u64>,
    /// Write the superblock to this file, and the parts beside it.
    #[arg(long, value_name = "PATH")]
    filename: Option<PathBuf>,
    /// Sign with this key.
    #[arg(long, value_name = "KEY_ID")]
    sign: Vec<String>,
    /// The type of signature.
    #[arg(long, value_name = "NAME")]
    sign_type: Option<String>,
    /// A file with keys.
    #[arg(long, value_name = "NAME")]
    keys_file: Option<PathBuf>,
    /// The commit that the delta leads to.
    #[arg(value_name = "TO")]
    target: Option<String>,
}

/// The formats by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Ostree,
    Updraft,
}

impl From<Format> for DeltaFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Ostree => Self::Ostree,
            Format::Updraft => Self::Updraft,
        }
    }
}

fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Invalid, message)
}

impl Generate {
    pub(super) fn run(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let target = self.target.as_ref().or(self.to.as_ref());
        let target = target.ok_or_else(|| invalid("TO revision must be specified"))?;
        if self.empty && self.from.is_some() {
            return Err(invalid("Cannot specify both --empty and --from=REV"));
        }
        let name = self.name(repo, target)?;
        if self.if_not_exists && delta::exists(repo, &name)? {
            return terminal.line(format!("Delta {name} already exists."));
        }
        let signers = self.signers()?;
        let sign = |data: &[u8]| {
            Ok(sign::sign_bytes(&terminal.context, &signers, data).map_err(Box::new)?)
        };
        let mut options = self.options()?;
        if !signers.is_empty() {
            options.sign = Some(&sign);
        }
        if !terminal.wants_json() {
            terminal.line("Generating static delta:")?;
            let from = name.from.map_or_else(|| "empty".to_owned(), |from| from.to_string());
            terminal.line(format!("  From: {from}"))?;
            terminal.line(format!("  To:   {}", name.to))?;
        }
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
        let made = delta::generate(&terminal.context, repo, &name, now, &options)?;
        terminal.say(format!("rollsum={} objects", made.copied));
        terminal.say(format!("bsdiff={} objects", made.patched));
        if self.format == Format::Updraft {
            terminal.say(format!("repacked={} objects", made.repacked));
        }
        if terminal.wants_json() {
            return terminal.json(&serde_json::json!({
                "from": name.from.map(|from| from.to_string()),
                "to": name.to.to_string(),
                "parts": made.parts,
                "size": made.size,
                "patched": made.patched,
                "copied": made.copied,
                "repacked": made.repacked,
                "fallbacks": made.fallbacks,
            }));
        }
        Ok(())
    }

    fn name(&self, repo: &Repo, target: &str) -> Result<DeltaName> {
        let from = match &self.from {
            Some(from) => Some(repo.resolve(from)?),
            None if self.empty => None,
            None => {
                let parent = repo.resolve(&format!("{target}^"));
                Some(parent.map_err(|error| {
                    Failure::from(error).hint("make a delta from nothing with --empty")
                })?)
            }
        };
        Ok(DeltaName::new(from, repo.resolve(target)?).in_format(self.format.into()))
    }

    fn signers(&self) -> Result<Vec<Signer>> {
        if self.sign.is_empty() && self.keys_file.is_none() {
            return Ok(Vec::new());
        }
        let kind = signing::kind(self.sign_type.as_deref())?;
        signing::key_signers(kind, &self.sign, self.keys_file.as_deref())
    }

    fn options(&self) -> Result<GenerateOptions<'_>> {
        let mut endianness = match self.set_endianness.as_deref() {
            None => Endianness::NATIVE,
            Some("l") => Endianness::Little,
            Some("B") => Endianness::Big,
            Some(other) => return Err(invalid(format!("Invalid endianness '{other}'"))),
        };
        if self.swap_endianness {
            endianness = endianness.swapped();
        }
        let mut defaults = GenerateOptions::default();
        if self.format == Format::Updraft {
            defaults.max_part_size = UPDRAFT_PART;
        }
        let size = |given: Option<u64>, default: u64| {
            given.map_or(default, |megabytes| megabytes.saturating_mul(MB))
        };
        Ok(GenerateOptions {
            target: self.filename.clone().map_or(Target::Repository, Target::File),
            inline: self.inline,
            patches: !self.disable_bsdiff,
            max_patch_size: size(self.max_bsdiff_size, defaults.max_patch_size),
            max_part_size: size(self.max_chunk_size, defaults.max_part_size),
            min_fallback_size: size(self.min_fallback_size, defaults.min_fallback_size),
            endianness,
            ..defaults
        })
    }
}
