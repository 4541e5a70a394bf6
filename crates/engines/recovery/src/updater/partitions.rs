//! Functions that read and write partitions, `misc`, and files.

use updraft_error::Kind;
use updraft_fs::space;
use updraft_payload::RangeSet;
use updraft_payload::script::Expression;

use super::Updater;
use super::attributes::Depth;
use super::blocks::{Parts, Work};
use super::evaluate::{Value, truth};
use super::patches::PatchCall;
use crate::control::ControlBlock;
use crate::partition::{PartitionSpec, can_patch, patch_partition, write_whole};
use crate::{Error, Result};

/// The largest entry that a script holds in memory, in bytes: an image of a kernel, a list.
const MAX_ENTRY: u64 = 256 << 20;

impl Updater<'_> {
    /// Functions that need the device. Their names and numbers of arguments were checked.
    pub(super) fn call_on_partitions(&self, name: &str, arguments: &[Expression]) -> Result<Value> {
        match (name, arguments) {
            ("range_sha1", [device, ranges]) => {
                match self.range_sha1(&self.text(device)?, &self.text(ranges)?) {
                    Ok(hash) => Ok(hash.into_bytes()),
                    Err(error) => self.told(Err(error)),
                }
            }
            ("block_image_verify", [device, list, new_data, patches]) => {
                let parts = self.parts(device, list, new_data, patches)?;
                self.told(self.block_image(&parts, Work::Verify))
            }
            ("block_image_update", [device, list, new_data, patches]) => {
                let parts = self.parts(device, list, new_data, patches)?;
                self.told(self.block_image(&parts, Work::Update(self.attempt)))
            }
            // There is no error correction here: what is damaged stays so, and the script gives up.
            ("block_image_recover", _) => Ok(truth(false)),
            ("check_first_block", [device]) => self.told(self.first_block(&self.text(device)?)),
            ("package_extract_file", [entry]) => self.entry(&self.text(entry)?),
            ("package_extract_file", [entry, to]) => {
                let (entry, to) = (self.text(entry)?, self.text(to)?);
                if to.starts_with("/dev/") {
                    self.extract(&entry, &to)?;
                } else {
                    self.extract_to_file(&entry, &to)?;
                }
                Ok(truth(true))
            }
            ("patch_partition", [target, source, patch, bonus @ ..]) => {
                let (target, source) = (self.text(target)?, self.text(source)?);
                let patch = self.evaluate(patch)?;
                let bonus = bonus.first().map(|one| self.evaluate(one)).transpose()?;
                self.told(self.patch(&target, &source, &patch, &bonus.unwrap_or_default()))
            }
            ("patch_partition_check", [target, source]) => {
                let specs = (self.text(target)?, self.text(source)?);
                let can = PartitionSpec::parse(&specs.0).and_then(|target| {
                    let source = PartitionSpec::parse(&specs.1)?;
                    can_patch(self.system, self.state, &target, &source)
                });
                match can {
                    Ok(can) => Ok(truth(can)),
                    Err(error) => self.told(Err(error)),
                }
            }
            ("apply_patch_space", [bytes]) => {
                let needed = self.text(bytes)?.parse().unwrap_or(u64::MAX);
                let available = space::of(self.state)?.available;
                let path = self.state.path().to_owned();
                let error = Error::Space { path, needed, available };
                self.told(if available >= needed { Ok(()) } else { Err(error) })
            }
            ("get_stage", [misc]) => {
                let message = self.control(&self.text(misc)?)?.read()?;
                Ok(message.stage().as_bytes().to_vec())
            }
            ("set_stage", [misc, stage]) => {
                let (misc, stage) = (self.text(misc)?, self.text(stage)?);
                self.control(&misc)?.change(|message| message.set_stage(&stage))?;
                Ok(misc.into_bytes())
            }
            ("reboot_now", _) => Err(Error::RebootNow),
            ("write_value", [value, path]) => {
                let (value, path) = (self.evaluate(value)?, self.text(path)?);
                let own = self.system.path(&path);
                self.told(write_existing(&own, &value))
            }
            _ => self.call_on_logical(name, arguments),
        }
    }

    /// Functions that need file systems and what is in them. Scripts of release tools do not look at
    /// what they say: where one fails the script ends, so that the system is not taken for whole.
    pub(super) fn call_on_files(&self, name: &str, arguments: &[Expression]) -> Result<Value> {
        if name == "apply_patch" {
            self.call_apply_patch(arguments)?;
            return Ok(truth(true));
        }
        let all = self.texts(arguments)?;
        match (name, &all[..]) {
            ("mount", _) => self.mount(&all),
            ("is_mounted", [path]) => self.is_mounted(path),
            ("unmount", [path]) => self.unmount(path),
            ("format", words) => match <&[String; 5]>::try_from(words) {
                Ok(words) => self.format(words).map(|()| truth(true)),
                Err(_) => Ok(truth(false)),
            },
            ("tune2fs", _) => self.tune(&all).map(|()| truth(true)),
            ("wipe_block_device", [device, length]) => self.told(self.wipe_device(device, length)),
            ("wipe_cache", _) => {
                self.wipes_cache.set(true);
                Ok(truth(true))
            }
            ("run_program", _) => self.run_program(&all),
            ("delete", _) => self.delete(&all, false),
            ("delete_recursive", _) => self.delete(&all, true),
            ("rename", [from, to]) => self.rename(from, to),
            ("symlink", [target, links @ ..]) => self.symlink(target, links),
            ("package_extract_dir", [folder, to]) => {
                self.extract_folder(folder, to).map(|()| truth(true))
            }
            ("set_metadata", _) => self.set_metadata(&all, Depth::Itself),
            ("set_metadata_recursive", _) => self.set_metadata(&all, Depth::WithContent),
            ("set_perm", _) => self.set_permissions(&all, Depth::Itself),
            ("set_perm_recursive", _) => self.set_permissions(&all, Depth::WithContent),
            ("apply_patch_check", [source, hashes @ ..]) => {
                match self.apply_patch_check(source, hashes) {
                    Ok(is) => Ok(truth(is)),
                    Err(error) => self.told(Err(error)),
                }
            }
            _ => Err(Error::Function { name: name.to_owned(), line: 0, problem: "there is none" }),
        }
    }

    fn call_apply_patch(&self, arguments: &[Expression]) -> Result<()> {
        let (words, rest) = arguments.split_at(4.min(arguments.len()));
        let words = self.texts(words)?;
        let [source, target, hash, size] = &words[..] else { return Ok(()) };
        let mut patches = Vec::new();
        for pair in rest.chunks(2) {
            if let [hash, patch] = pair {
                patches.push((self.text(hash)?, self.evaluate(patch)?));
            }
        }
        self.apply_patch(&PatchCall { source, target, hash, size, patches })
    }

    fn parts(
        &self,
        device: &Expression,
        list: &Expression,
        new_data: &Expression,
        patches: &Expression,
    ) -> Result<Parts> {
        let device = self.text(device)?;
        let answers = self.answers.borrow().get(&device).cloned().unwrap_or_default();
        Ok(Parts {
            device,
            answers,
            list: self.evaluate(list)?,
            new_data: self.text(new_data)?,
            patches: self.text(patches)?,
        })
    }

    /// Reads the first block: whoever mounted the partition for writing changed it.
    fn first_block(&self, device: &str) -> Result<()> {
        let first =
            RangeSet::parse("2,0,1").map_err(|problem| Error::entry(device, Kind::Bug, problem))?;
        let own = self.system.device(device)?;
        let bytes =
            crate::block::read_blocks(&*own, &first).map_err(Error::file("read", device))?;
        // ext4: how often it was mounted, at byte 1024 + 52.
        let count =
            bytes.get(1076..1078).map_or(0, |two| u16::from(two[0]) | u16::from(two[1]) << 8);
        if bytes.get(1080..1082) == Some(&[0x53, 0xef]) && count > 0 {
            self.say(&format!("{device} was mounted for writing {count} times"));
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<Value> {
        let entry = self.package.read(name, MAX_ENTRY)?;
        entry.ok_or_else(|| Error::entry(name, Kind::Invalid, "there is none"))
    }

    fn extract(&self, entry: &str, to: &str) -> Result<()> {
        let content = self.entry(entry)?;
        let device = self.system.device(to)?;
        self.begins()?;
        write_whole(&*device, to, &content)
    }

    fn patch(&self, target: &str, source: &str, patch: &[u8], bonus: &[u8]) -> Result<()> {
        let (target, source) = (PartitionSpec::parse(target)?, PartitionSpec::parse(source)?);
        self.begins()?;
        patch_partition(self.system, self.state, &target, &source, (patch, bonus))
    }

    fn control(&self, misc: &str) -> Result<ControlBlock> {
        Ok(ControlBlock::new(self.system.device(misc)?))
    }
}

/// Writes to a file that is there: one of sysfs, for example.
fn write_existing(path: &std::path::Path, value: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let file = std::fs::File::options().write(true).open(path);
    let mut file = file.map_err(Error::file("open", path))?;
    file.write_all(value).map_err(Error::file("write", path))
}
