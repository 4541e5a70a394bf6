//! A device with two slots in files, a package for it, and the page that `updraft slots serve` serves.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use harness::{Answer, Programs};
use serde_json::{Value, json};

/// The size of each slot, in bytes.
const SIZE: usize = 16 << 20;

/// The page, served until it is dropped.
pub(crate) struct SlotsPage {
    folder: PathBuf,
    programs: Programs,
    child: Child,
}

impl Drop for SlotsPage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SlotsPage {
    /// A device that runs slot A, which a full package in `ota.zip` may replace.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let programs = Programs::beside_tests()?;
        make_device(folder)?;
        let run = |arguments: &[&str]| {
            Answer::good(programs.command("updraft").args(arguments).current_dir(folder))
        };
        run(&["payload", "generate", "p.bin", "--image", "system=new.img", "--key", "key"])?;
        run(&["ota", "zip", "p.bin", "ota.zip", "--device", "board"])?;
        let mut serve = programs.command("updraft");
        serve.args(["slots", "--config", "slots.toml", "serve", "--listen", "127.0.0.1:0"]);
        let mut child = serve.current_dir(folder).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        std::fs::write(folder.join("address"), line)?;
        Ok(Self { folder: folder.to_owned(), programs, child })
    }

    /// What a test in the browser has to know.
    pub(crate) fn world(&self) -> Result<Value> {
        let line = std::fs::read_to_string(self.folder.join("address"))?;
        let url = line.split_whitespace().next().context("an address")?.to_owned();
        let token = std::fs::read_to_string(self.folder.join("state/page-token"))?;
        let mut show = self.programs.command("updraft");
        show.args(["ota", "show", "ota.zip", "--json"]).current_dir(&self.folder);
        let shown = Answer::good(&mut show)?.json()?;
        let ranges = shown["ranges"].as_array().context("ranges")?.iter();
        let files: Vec<Value> = ranges
            .filter(|range| range["list"] == "ota-property-files")
            .map(|it| json!({ "filename": it["name"], "offset": it["offset"], "size": it["size"] }))
            .collect();
        Ok(json!({
            "url": url,
            "token": token.trim(),
            "package": self.folder.join("ota.zip"),
            "updates": self.folder.join("updates"),
            "propertyFiles": files,
        }))
    }

    /// Whether the slot that does not run holds the new system.
    pub(crate) fn is_updated(&self) -> Result<bool> {
        let read = |name: &str| std::fs::read(self.folder.join(name));
        Ok(read("system_b")? == read("new.img")?)
    }
}

fn make_device(folder: &Path) -> Result<()> {
    let entries = folder.join("entries");
    for name in ["entries", "updates"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    for (name, slot, version) in [("slot-a", 'a', 2), ("slot-b+0-1", 'b', 1)] {
        let entry = format!("title {slot}\nversion {version}\nlinux /vmlinuz\n");
        std::fs::write(entries.join(format!("{name}.conf")), entry)?;
        std::fs::write(folder.join(format!("system_{slot}")), vec![0x11; SIZE])?;
    }
    let mut state = 7_u32;
    let noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::fs::write(
        folder.join("new.img"),
        std::iter::repeat_with(noise).take(SIZE).collect::<Vec<_>>(),
    )?;
    for arguments in [
        &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"][..],
        &["ec", "-in", "key", "-pubout", "-out", "key.pub"],
    ] {
        Answer::good(Command::new("openssl").args(arguments).current_dir(folder))?;
    }
    let here = folder.display();
    let config = format!(
        "state = \"{here}/state\"\nkeys = [\"{here}/key.pub\"]\nrunning = \"a\"\n\
         updates = \"{here}/updates\"\n\
         [boot-control.entries]\nfolder = \"{here}/entries\"\nnames = [\"slot-a\", \"slot-b\"]\n\
         [partitions]\nsystem = [\"{here}/system_a\", \"{here}/system_b\"]\n"
    );
    std::fs::write(folder.join("slots.toml"), config)?;
    Ok(())
}
