//! A root that the kernel checks block by block: dm-verity, by the arguments that systemd has for it.
//!
//! | argument | meaning |
//! | --- | --- |
//! | `roothash=` | the hash of all hashes, in hex |
//! | `systemd.verity_root_data=`, `…_hash=` | the devices, as in `root=`; without them the partitions whose identities are the first and the last half of the root hash |
//! | `systemd.verity_root_options=` | see [`options`] |
//!
//! Given more than once, the devices belong together in their order, and the first ones that have this
//! root hash are taken: one signed command line is good for either of two slots. Where no device has
//! the hashes alone they are behind the data. (systemd, `systemd-veritysetup-generator(8)`.)

mod options;
mod superblock;

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use updraft_fs::device_mapper::{self, Target};
use updraft_ostree::Checksum;

use self::options::Options;
use self::superblock::Superblock;
use crate::console::say;
use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::KernelArguments;
use crate::root_device::{self, DeviceName};

const ROOT_HASH: &str = "roothash";
const DATA: &str = "systemd.verity_root_data";
const HASHES: &str = "systemd.verity_root_hash";
const OPTIONS: &str = "systemd.verity_root_options";
/// The device's name, as systemd has it.
const NAME: &str = "root";
/// What `roothash=` has at most: SHA-512.
const MAX_HASH: usize = 128;
const SECTOR: u64 = 512;

/// Whether a root is wanted that is checked.
pub(crate) fn is_wanted(arguments: &KernelArguments) -> bool {
    arguments.contains(ROOT_HASH)
}

/// Waits for the devices, and makes the one that is checked of them.
pub(crate) fn open(arguments: &KernelArguments) -> Result<PathBuf> {
    let root_hash = arguments.value(ROOT_HASH).unwrap_or_default().to_ascii_lowercase();
    let is_hash = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if root_hash.len() < 2 * 16 || root_hash.len() > MAX_HASH || !is_hash(&root_hash) {
        return Err(Failure::new(format!("roothash={root_hash} is no hash in hex"))
            .way_out("give what `veritysetup format` calls `Root hash`"));
    }
    let options = Options::parse(arguments.value(OPTIONS).unwrap_or_default())?;
    let mut refused = None;
    for (data, hashes) in candidates(arguments, &root_hash)? {
        let data = root_device::wait_for(&data, arguments)?;
        let hashes = match hashes {
            Some(hashes) => root_device::wait_for(&hashes, arguments)?,
            None => data.clone(),
        };
        match table(&data, &hashes, &root_hash, &options) {
            Ok(table) => return create(&data, &table),
            Err(failure) => refused = Some(refused.unwrap_or(failure)),
        }
    }
    Err(refused.unwrap_or_else(|| Failure::new("no device was named that has the root")))
}

/// The devices with the data and, where they are others, those with the hashes.
fn candidates(
    arguments: &KernelArguments,
    root_hash: &str,
) -> Result<Vec<(DeviceName, Option<DeviceName>)>> {
    let named = |key: &str| -> Result<Vec<DeviceName>> {
        let name = |text: &str| {
            let none = || Failure::new(format!("{key}={text} names no block device"));
            DeviceName::parse(text).ok_or_else(none)
        };
        arguments.values(key).map(name).collect()
    };
    let (data, hashes) = (named(DATA)?, named(HASHES)?);
    if data.is_empty() && hashes.is_empty() {
        let (first, last) = (&root_hash[..32], &root_hash[root_hash.len() - 32..]);
        return Ok(vec![(part_uuid(first), Some(part_uuid(last)))]);
    }
    if hashes.is_empty() {
        return Ok(data.into_iter().map(|data| (data, None)).collect());
    }
    if data.len() != hashes.len() {
        return Err(Failure::new(format!("{DATA}= and {HASHES}= do not go together"))
            .way_out("give both equally often"));
    }
    Ok(data.into_iter().zip(hashes.into_iter().map(Some)).collect())
}

/// 32 digits as the identity of a partition.
fn part_uuid(digits: &str) -> DeviceName {
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    DeviceName::PartUuid(parts.join("-"))
}

/// What the kernel is told, and how many sectors it makes of it.
struct Table {
    sectors: u64,
    parameters: String,
    uuid: String,
}

/// Reads what is before the hashes, and makes sure that the topmost of them are those of the root hash.
fn table(data: &Path, hashes: &Path, root_hash: &str, options: &Options) -> Result<Table> {
    let path = hashes.display();
    let what = || format!("read the hashes of dm-verity on {path}");
    let file = File::open(hashes).during(what)?;
    let mut head = [0; Superblock::SIZE];
    file.read_exact_at(&mut head, options.hash_offset).during(what)?;
    let superblock = Superblock::parse(&head)
        .map_err(|why| Failure::new(format!("{path} has no hashes of dm-verity: {why}")))?;
    let first = superblock.first_block(options.hash_offset);
    if superblock.algorithm == "sha256" {
        let mut top = superblock.salt.clone();
        let salt = top.len();
        top.resize(salt + superblock.hash_block as usize, 0);
        let offset = first.saturating_mul(u64::from(superblock.hash_block));
        file.read_exact_at(&mut top[salt..], offset).during(what)?;
        // Of a single block of data there are no hashes but the root hash.
        if superblock.blocks > 1 && Checksum::of(&top).to_hex() != root_hash {
            return Err(Failure::new(format!("{path} has not the root hash {root_hash}")).way_out(
                "the slot is damaged or holds another release: start the other one, and install \
                 it anew",
            ));
        }
    }
    let salt = if superblock.salt.is_empty() { "-".to_owned() } else { hex(&superblock.salt) };
    let features = &options.features;
    let more = match features.len() {
        0 => String::new(),
        count => format!(" {count} {}", features.join(" ")),
    };
    let parameters = format!(
        "1 {} {path} {} {} {} {first} {} {root_hash} {salt}{more}",
        data.display(),
        superblock.data_block,
        superblock.hash_block,
        superblock.blocks,
        superblock.algorithm,
    );
    let sectors = superblock.blocks * (u64::from(superblock.data_block) / SECTOR);
    Ok(Table {
        sectors,
        parameters,
        uuid: format!("CRYPT-VERITY-{}-{NAME}", hex(&superblock.uuid)),
    })
}

fn create(data: &Path, table: &Table) -> Result<PathBuf> {
    say(&format!("checking each block of {} by dm-verity", data.display()));
    let Table { sectors, parameters, uuid } = table;
    let target = Target { kind: "verity", sectors: *sectors, parameters };
    device_mapper::create_read_only(NAME, uuid, target)
        .map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            Failure::new(format!(
                "cannot have {} checked by dm-verity: {error}: {}",
                data.display(),
                why.unwrap_or_default()
            ))
        })
        .map_err(|failure| failure.way_out("put dm-verity into the initramfs or the kernel"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use std::process::Command;

    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    fn names(line: &str) -> Result<Vec<String>> {
        let found = candidates(&KernelArguments::parse(line), HASH)?;
        let text = |name: DeviceName| name.to_string();
        Ok(found
            .into_iter()
            .map(|(data, hashes)| format!("{data} {}", hashes.map_or("-".into(), text)))
            .collect())
    }

    #[test]
    fn devices_are_named_or_follow_from_the_hash() {
        let (data, hashes) = ("systemd.verity_root_data", "systemd.verity_root_hash");
        let pair = "PARTUUID=00112233-4455-6677-8899-aabbccddeeff \
                    PARTUUID=01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(names("").unwrap(), [pair]);
        assert_eq!(names(&format!("{data}=PARTLABEL=a")).unwrap(), ["PARTLABEL=a -"]);
        let two = format!("{data}=PARTLABEL=a {data}=/dev/b {hashes}=/dev/c {hashes}=/dev/d");
        assert_eq!(names(&two).unwrap(), ["PARTLABEL=a /dev/c", "/dev/b /dev/d"]);
        assert!(names(&format!("{data}=/dev/a {hashes}=/dev/b {hashes}=/dev/c")).is_err());
        assert!(names(&format!("{data}=a")).is_err());
    }

    /// Debian's `veritysetup` makes hashes behind data; their table is what it would tell the kernel.
    #[test]
    fn what_veritysetup_made_is_found_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let data: Vec<u8> = (0..200 * 4096_u32).flat_map(|it| [it.to_le_bytes()[1]]).collect();
        std::fs::write(&image, data).unwrap();
        let mut format = Command::new("veritysetup");
        format.args(["format", "--hash-offset=819200", "--salt=0a0b0c", "--data-blocks=200"]);
        let said = format.arg(&image).arg(&image).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let root_hash =
            said.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap().trim();
        let options = Options::parse("hash-offset=819200,panic-on-corruption").unwrap();
        let made = table(&image, &image, root_hash, &options).unwrap();
        let path = image.display();
        assert_eq!(
            made.parameters,
            format!(
                "1 {path} {path} 4096 4096 200 201 sha256 {root_hash} 0a0b0c 1 panic_on_corruption"
            )
        );
        assert_eq!(made.sectors, 1600);
        let other = table(&image, &image, HASH, &options).err().unwrap();
        assert!(other.what().contains("has not the root hash"), "{other}");
        let nowhere = table(&image, &image, root_hash, &Options::default()).err().unwrap();
        assert!(nowhere.what().contains("has no hashes of dm-verity"), "{nowhere}");
    }
}
