//! The package `liblp` of PyPI, a port of Android's library: partitions `super` made by its structures,
//! and what it finds in ours.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::world::World;

const PACKAGE: &str = "liblp==1.0.2";
/// Names its folder, so that other versions get an environment of their own.
const ENVIRONMENT: &str = "liblp-1.0.2";
const SECTOR: u64 = 512;

/// A partition to be made: name, group, pieces (sectors, first one), and what is in it.
pub(crate) struct Made<'a> {
    pub(crate) name: &'a str,
    pub(crate) group: &'a str,
    pub(crate) pieces: &'a [(u64, u64)],
    pub(crate) content: &'a [u8],
}

/// A `super` to be made, of 2 MiB, with pieces that begin at multiples of 64 KiB.
pub(crate) struct Super<'a> {
    pub(crate) minor: u32,
    pub(crate) groups: &'a [(&'a str, u64)],
    pub(crate) partitions: &'a [Made<'a>],
}

pub(crate) const SIZE: u64 = 2 << 20;
pub(crate) const ALIGNMENT: u64 = 64 << 10;
/// The first sector that partitions may have: four tables of 8 KiB are before it.
pub(crate) const FIRST: u64 = ALIGNMENT / SECTOR;

/// Python with the package, in an environment of its own.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(ENVIRONMENT);
        let ready = folder.join("ready");
        if !ready.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
            run(Command::new(folder.join("bin/python3")).args(pip));
            std::fs::write(&ready, b"").unwrap();
        }
        folder.join("bin/python3")
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Makes the partition `super` of a device.
pub(crate) fn make_super(world: &World, wanted: &Super<'_>) {
    let mut groups = String::from("{\"name\": \"default\", \"max_size\": 0}");
    for (name, max_size) in wanted.groups {
        write!(groups, ", {{\"name\": \"{name}\", \"max_size\": {max_size}}}").unwrap();
    }
    let mut partitions = Vec::new();
    for (index, one) in wanted.partitions.iter().enumerate() {
        let content = format!("content-{index}");
        world.write(&content, one.content);
        let pieces =
            one.pieces.iter().map(|(sectors, first)| format!("[{sectors}, 0, {first}, 0]"));
        let pieces = pieces.collect::<Vec<_>>().join(", ");
        let Made { name, group, .. } = one;
        partitions.push(format!(
            "{{\"name\": \"{name}\", \"group\": \"{group}\", \"attributes\": 1, \"extents\": [{pieces}], \
             \"content\": \"{}\"}}",
            world.path(&content).display()
        ));
    }
    let (minor, partitions) = (wanted.minor, partitions.join(", "));
    let spec = format!(
        "{{\"size\": {SIZE}, \"block_size\": 4096, \"max_size\": 8192, \"slots\": 2, \"minor\": {minor}, \
         \"groups\": [{groups}], \"partitions\": [{partitions}], \"devices\": [{{\"first_sector\": {FIRST}, \
         \"alignment\": {ALIGNMENT}, \"size\": {SIZE}, \"name\": \"super\"}}]}}"
    );
    world.write("super.json", spec.as_bytes());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recovery/make_super.py");
    let mut python = Command::new(python());
    python.arg(script).arg(world.path("super.json"));
    run(python.arg(world.path("dev/block/by-name/super")));
}

/// What is in a logical partition, as the package reads it; or nothing, when it finds none.
pub(crate) fn unpacked(world: &World, partition: &str) -> Option<Vec<u8>> {
    let folder = world.path("unpacked");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir(&folder).unwrap();
    let unpack = "from liblp.partition_tools.lpunpack import main; main()";
    let mut python = Command::new(python());
    python.args(["-c", unpack, "-o"]).arg(&folder).arg(world.path("dev/block/by-name/super"));
    run(&mut python);
    std::fs::read(folder.join(format!("{partition}.img"))).ok()
}
