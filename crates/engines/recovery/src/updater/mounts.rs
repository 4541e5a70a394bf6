//! Functions about file systems: `format`, `mount` and what belongs to them. Whatever a script leaves
//! mounted is taken away at its end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use updraft_error::Kind;
use updraft_fs::{Dir, mount};
use updraft_payload::RangeSet;
use updraft_payload::transfer_list::TRANSFER_BLOCK;
use updraft_process::Command;

use super::Updater;
use super::evaluate::{Value, truth};
use crate::block::zero_blocks;
use crate::{Error, Result};

/// Where tools may be, in the image of recovery.
const TOOLS: [&str; 5] = ["sbin", "usr/sbin", "system/bin", "bin", "usr/bin"];
/// How long a program may run.
const TIMEOUT: Duration = Duration::from_hours(1);
/// How long something that is mounted may be in use before it cannot be taken away.
const BUSY: Duration = Duration::from_secs(5);
const BLOCK: i64 = 4096;

impl Updater<'_> {
    /// `mount(FILE_SYSTEM, "EMMC", DEVICE, PATH[, OPTIONS])`: the path.
    pub(super) fn mount(&self, arguments: &[String]) -> Result<Value> {
        let [file_system, kind, device, to, options @ ..] = arguments else {
            return Ok(truth(false));
        };
        if kind != "EMMC" {
            return Err(Error::entry(device, Kind::Unsupported, "only EMMC can be mounted"));
        }
        let own = self.system.path(to);
        Dir::create_all(&own, 0o755)?;
        if !is_mounted(&own)? {
            let options = options.first().map_or("", String::as_str);
            let node = self.system.node(device)?;
            mount::file_system(&node, &own, file_system, options)?;
            self.mounted.borrow_mut().push(own);
        }
        Ok(to.as_bytes().to_vec())
    }

    /// `is_mounted`: the path, when something is mounted there.
    pub(super) fn is_mounted(&self, path: &str) -> Result<Value> {
        let is = is_mounted(&self.system.path(path))?;
        Ok(if is { path.as_bytes().to_vec() } else { truth(false) })
    }

    /// `unmount`: the path, when something was mounted there. What was written there is durable.
    pub(super) fn unmount(&self, path: &str) -> Result<Value> {
        let own = self.system.path(path);
        if !is_mounted(&own)? {
            self.say(&format!("nothing is mounted at {path}"));
            return Ok(truth(false));
        }
        take_away(&own)?;
        self.mounted.borrow_mut().retain(|mounted| *mounted != own);
        Ok(path.as_bytes().to_vec())
    }

    /// Takes away what was mounted and is still there.
    pub(super) fn unmount_all(&self) -> Result<()> {
        // Each before the ones below which it is.
        while let Some(path) = self.mounted.borrow_mut().pop() {
            take_away(&path)?;
        }
        Ok(())
    }

    /// `format(FILE_SYSTEM, "EMMC", DEVICE, SIZE, PATH)`: a new file system. Again makes the same.
    pub(super) fn format(&self, [file_system, _, device, size, _]: &[String; 5]) -> Result<()> {
        let node = self.system.node(device)?;
        let bad = |problem| Error::entry(device, Kind::Invalid, problem);
        let size: i64 = size.parse().map_err(|_| bad("the size of its file system is none"))?;
        let whole = self.system.device(device)?.size().map_err(Error::file("measure", device))?;
        // Zero: all of it. Less: all but so much, which the end of it keeps.
        let blocks = match size {
            0 => None,
            1.. => Some(size / BLOCK),
            _ => Some((i64::try_from(whole).unwrap_or(i64::MAX).saturating_add(size)) / BLOCK),
        };
        if blocks.is_some_and(|blocks| blocks <= 0) {
            return Err(bad("nothing is left for its file system"));
        }
        let (tool, words): (_, &[&str]) = match &file_system[..] {
            "ext4" => ("mke2fs", &["-F", "-q", "-t", "ext4", "-b", "4096"]),
            "f2fs" => ("make_f2fs", &["-f", "-q", "-w", "4096"]),
            _ => return Err(bad("there is no tool for its file system: ext4 and f2fs are known")),
        };
        let mut command = self.tool(tool)?.args(words).arg(node);
        if let Some(blocks) = blocks {
            command = command.arg(blocks.to_string());
        }
        self.begins()?;
        command.run(self.context)?;
        Ok(())
    }

    /// `tune2fs(OPTION, …, DEVICE)`.
    pub(super) fn tune(&self, arguments: &[String]) -> Result<()> {
        let Some((device, options)) = arguments.split_last() else { return Ok(()) };
        let command = self.tool("tune2fs")?.args(options).arg(self.system.node(device)?);
        self.begins()?;
        command.run(self.context)?;
        Ok(())
    }

    /// `wipe_block_device(DEVICE, LENGTH)`: zeros for so many bytes, in whole blocks.
    pub(super) fn wipe_device(&self, name: &str, length: &str) -> Result<()> {
        let bad = |problem| Error::entry(name, Kind::Invalid, problem);
        let length: u64 = length.parse().map_err(|_| bad("what shall be wiped has no length"))?;
        let device = self.system.device(name)?;
        let failed = || Error::file("wipe", name);
        let blocks = length.min(device.size().map_err(failed())?).div_ceil(TRANSFER_BLOCK);
        if blocks > 0 {
            let all = RangeSet::parse(&format!("2,0,{blocks}")).map_err(bad)?;
            self.begins()?;
            zero_blocks(&*device, &all).and_then(|()| device.sync()).map_err(failed())?;
        }
        Ok(())
    }

    /// `run_program(PROGRAM, ARGUMENT, …)`: how it ended, as `wait` says it: 0 for well, 256 for 1.
    pub(super) fn run_program(&self, arguments: &[String]) -> Result<Value> {
        use std::os::unix::process::ExitStatusExt as _;

        let Some((program, arguments)) = arguments.split_first() else { return Ok(truth(false)) };
        // Nobody knows what it writes.
        self.begins()?;
        self.touched_files.set(true);
        let command = Command::new(self.system.path(program)).args(arguments).timeout(TIMEOUT);
        let finished = command.output(self.context)?;
        for text in [finished.stdout.text(), finished.stderr.text()] {
            text.lines().for_each(|line| self.say(line));
        }
        Ok(finished.status.into_raw().to_string().into_bytes())
    }

    fn tool(&self, name: &str) -> Result<Command> {
        let paths = TOOLS.iter().map(|folder| self.system.root.join(folder).join(name));
        let found = paths.into_iter().find(|path| path.exists());
        let missing = || Error::entry(name, Kind::NotFound, "recovery's image has no such program");
        Ok(Command::new(found.ok_or_else(missing)?).timeout(TIMEOUT))
    }
}

/// Takes away what is mounted at `path`. A program that was started just now holds what its parent
/// had open until it begins, and one that was ended until the kernel has taken it apart: that it is
/// busy is believed after a while only.
fn take_away(path: &Path) -> Result<()> {
    Dir::open(path)?.syncfs()?;
    let end = Instant::now() + BUSY;
    loop {
        match mount::unmount(path) {
            Err(error)
                if error.io_kind() == io::ErrorKind::ResourceBusy && Instant::now() < end =>
            {
                thread::sleep(BUSY / 100);
            }
            result => return Ok(result?),
        }
    }
}

fn is_mounted(path: &Path) -> Result<bool> {
    let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    Ok(mount::is_mount_point(&path)?)
}
