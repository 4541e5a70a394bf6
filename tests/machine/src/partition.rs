//! What is on one partition.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::programs;

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// The type of EFI system partitions.
pub const EFI_SYSTEM: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

#[derive(Debug, Clone)]
enum Content {
    Fat,
    Ext4,
    Image(PathBuf),
    Nothing,
}

/// A partition that is to be made.
#[derive(Debug, Clone)]
pub struct Partition {
    content: Content,
    name: String,
    type_id: &'static str,
    mib: u64,
    label: Option<String>,
    uuid: Option<String>,
    part_uuid: Option<String>,
    folder: Option<PathBuf>,
    options: Vec<String>,
}

impl Partition {
    /// An EFI system partition with a FAT file system.
    #[must_use]
    pub fn efi() -> Self {
        Self { type_id: EFI_SYSTEM, ..Self::of(Content::Fat, "esp") }
    }

    /// A partition with an ext4 file system.
    #[must_use]
    pub fn ext4(name: &str) -> Self {
        Self::of(Content::Ext4, name)
    }

    /// A partition with the bytes of a file, such as a file system that another tool made.
    #[must_use]
    pub fn image(name: &str, file: &Path) -> Self {
        Self::of(Content::Image(file.to_path_buf()), name)
    }

    /// A partition of zeroes.
    #[must_use]
    pub fn empty(name: &str) -> Self {
        Self::of(Content::Nothing, name)
    }

    fn of(content: Content, name: &str) -> Self {
        Self {
            content,
            name: name.to_owned(),
            type_id: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
            mib: 64,
            label: None,
            uuid: None,
            part_uuid: None,
            folder: None,
            options: Vec::new(),
        }
    }

    /// Its size in MiB; 64 when not said.
    #[must_use]
    pub fn mib(mut self, mib: u64) -> Self {
        self.mib = mib;
        self
    }

    /// Its type, as a GUID; Linux data when not said.
    #[must_use]
    pub fn type_id(mut self, type_id: &'static str) -> Self {
        self.type_id = type_id;
        self
    }

    /// The label of its file system.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// The UUID of its file system; of FAT, eight hexadecimal digits.
    #[must_use]
    pub fn uuid(mut self, uuid: &str) -> Self {
        self.uuid = Some(uuid.to_owned());
        self
    }

    /// The GUID of the partition itself.
    #[must_use]
    pub fn part_uuid(mut self, uuid: &str) -> Self {
        self.part_uuid = Some(uuid.to_owned());
        self
    }

    /// The folder whose files it holds.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_path_buf());
        self
    }

    /// One more argument for `mkfs.ext4` or `mformat`, such as `-Overity`.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.mib * MIB
    }

    /// Its line in a script for `sfdisk`, with sizes in sectors of 512 bytes.
    pub(crate) fn script_line(&self, start: u64) -> String {
        let (start, size) = (start / 512, self.bytes() / 512);
        let mut line =
            format!("start={start}, size={size}, type={}, name=\"{}\"", self.type_id, self.name);
        if let Some(uuid) = &self.part_uuid {
            line = format!("{line}, uuid={uuid}");
        }
        line
    }

    /// Writes the file system into a disk.
    pub(crate) fn fill(&self, disk: &Path, start: u64) -> Result<()> {
        match &self.content {
            Content::Fat => self.fill_fat(disk, start),
            Content::Ext4 => self.fill_ext4(disk, start),
            Content::Nothing => Ok(()),
            Content::Image(file) => {
                let (from, to) = (path_argument("if=", file), path_argument("of=", disk));
                let at = format!("seek={start}");
                let flags = ["oflag=seek_bytes", "conv=notrunc,sparse", "bs=1M", "status=none"];
                programs::run(Command::new("dd").args([from, to, at]).args(flags)).map(drop)
            }
        }
    }

    fn fill_ext4(&self, disk: &Path, start: u64) -> Result<()> {
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-b", "4096", "-E"]);
        command.arg(format!("offset={start},lazy_itable_init=0,lazy_journal_init=0,nodiscard"));
        for (flag, value) in [("-L", &self.label), ("-U", &self.uuid)] {
            if let Some(value) = value {
                command.args([flag, value]);
            }
        }
        if let Some(folder) = &self.folder {
            command.arg("-d").arg(folder);
        }
        command.args(&self.options).arg(disk).arg(format!("{}k", self.bytes() / 1024));
        programs::run(&mut command).map(drop)
    }

    fn fill_fat(&self, disk: &Path, start: u64) -> Result<()> {
        let image = path_argument("", disk) + &format!("@@{start}");
        let mut format = Command::new("mformat");
        let sectors = (self.bytes() / 512).to_string();
        format.args(["-i", &image, "-T", &sectors, "-h", "255", "-s", "63"]);
        if let Some(label) = &self.label {
            format.args(["-v", label]);
        }
        if let Some(uuid) = &self.uuid {
            format.args(["-N", uuid]);
        }
        programs::run(format.args(&self.options).arg("::"))?;
        let Some(folder) = &self.folder else { return Ok(()) };
        let files = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
        if files.is_empty() {
            return Ok(());
        }
        let mut copy = Command::new("mcopy");
        copy.args(["-i", &image, "-s", "-Q", "-n"]);
        copy.args(files.iter().map(std::fs::DirEntry::path));
        programs::run(copy.arg("::/")).map(drop)
    }
}

fn path_argument(key: &str, path: &Path) -> String {
    format!("{key}{}", path.display())
}
