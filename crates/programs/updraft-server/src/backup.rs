//! `updraft-server backup` and `updraft-server restore`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, TempFile};
use updraft_server_service::config::DatabaseConfig;
use updraft_server_service::setup::{self, Backup, RestoreTo};
use updraft_terminal::{Failure, Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::places::DatabaseArguments;
use crate::system;

/// Write all that makes up this server to one file. The server may be running.
///
/// The file has the database (whichever it is), configuration, keys and certificates, signed
/// metadata, and what devices download. Whoever reads it can sign for the fleet: keep it where keys
/// are kept.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArguments {
    /// The file to write, such as `updraft-2026-11-29.tar.zst`; `-` for standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave out what devices download (treehub/ and targets/), for when that is kept elsewhere.
    #[arg(long)]
    without_contents: bool,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataFolder,
}

/// Make a data folder, and fill its database, from a backup.
///
/// The data folder must be empty or not there, and so must be the database. Devices go on with what
/// they did; those that were registered after the backup was made have to be registered again.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArguments {
    /// What `updraft-server backup` wrote; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Look whether the backup is whole, and restore nothing.
    #[arg(long, conflicts_with_all = ["sqlite", "database"])]
    check: bool,
    /// Keep the database in the data folder, wherever it was.
    #[arg(long, conflicts_with = "database")]
    sqlite: bool,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    data: DataFolder,
}

impl BackupArguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let ctx = &terminal.context;
        let layout = self.data.layout()?;
        let now = system::environment().now();
        let contents = !self.without_contents;
        if self.file == Path::new("-") {
            let out = std::io::stdout().lock();
            setup::backup(ctx, &layout, now, contents, out).map_err(failure)?;
            return Ok(());
        }
        if !self.force && self.file.exists() {
            let message = format!("write {}: it exists", self.file.display());
            return Err(Failure::new(Kind::Conflict, message).hint("--force replaces it"));
        }
        let unwritten = |error: updraft_fs::Error| Failure::from(error).context("write the backup");
        let parent = self.file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = Dir::open(parent.unwrap_or(Path::new("."))).map_err(unwritten)?;
        let name = self.file.file_name().ok_or_else(|| {
            Failure::new(Kind::Invalid, format!("write {}: it names no file", self.file.display()))
        })?;
        let mut file = TempFile::new_in(&folder).map_err(unwritten)?;
        let backup = {
            let mut out = BufWriter::new(file.file_mut());
            let backup = setup::backup(ctx, &layout, now, contents, &mut out).map_err(failure)?;
            out.flush().map_err(|error| {
                Failure::new(Kind::Exhausted, format!("write the backup: {error}"))
            })?;
            backup
        };
        file.sync().map_err(unwritten)?;
        // Commit point: it has its name when it is whole.
        file.persist_replace(&folder, name).and_then(|()| folder.sync()).map_err(unwritten)?;
        terminal.show(&backup, |backup| {
            self.tell(terminal, backup);
            Ok(())
        })
    }

    fn tell(&self, terminal: &Terminal, backup: &Backup) {
        terminal.say(format!(
            "wrote {}: {} files, {} bytes before packing",
            self.file.display(),
            backup.files,
            backup.bytes
        ));
        terminal.say("it holds the server's keys: keep it where keys are kept");
    }
}

impl RestoreArguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let ctx = &terminal.context;
        let from = open(&self.file)?;
        if self.check {
            let about = setup::check_backup(ctx, from).map_err(failure)?;
            return terminal.show(&about, |about| {
                terminal.line(format!(
                    "{} is a whole backup of {}",
                    self.file.display(),
                    about.made_at
                ))
            });
        }
        let layout = self.data.layout()?;
        let database: DatabaseConfig = self.database.config()?;
        let to = match (self.sqlite, database.url.is_some()) {
            (true, _) => RestoreTo::Sqlite,
            (false, true) => RestoreTo::Postgres(database),
            (false, false) => RestoreTo::Same,
        };
        let about =
            setup::restore(ctx, &layout, &to, system::environment(), from).map_err(failure)?;
        terminal.show(&about, |about| {
            terminal.say(format!(
                "restored the data folder {} as it was at {}",
                layout.root().display(),
                about.made_at
            ));
            if !about.contents {
                terminal.say("what devices download is not in this backup: put it into treehub/ and targets/");
            }
            terminal.say("next: updraft-server check, then updraft-server run");
            Ok(())
        })
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Invalid,
        };
        Failure::new(kind, format!("open the backup {}: {error}", path.display()))
    })?;
    Ok(Box::new(BufReader::new(file)))
}
