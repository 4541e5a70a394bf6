//! The peers: tough in this process, python-tuf in one of its own that measures itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tough::{FilesystemTransport, Limits, RepositoryLoader, TargetName};
use url::Url;

use crate::cpu::Cpu;
use crate::repository::WANTED;

/// tough, from the first root to the target. It loads all delegated roles at once.
pub(crate) fn tough(metadata: &Path, store: &Path) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let begin = Cpu::now();
    let root = fs::read(metadata.join("1.root.json"))?;
    let url = |path: &Path| {
        Url::from_directory_path(path).map_err(|()| anyhow::anyhow!("no URL: {}", path.display()))
    };
    let limits = Limits { max_root_updates: 100_000, ..Limits::default() };
    let repository = runtime.block_on(
        RepositoryLoader::new(&root, url(metadata)?, url(metadata)?)
            .transport(FilesystemTransport)
            .datastore(store)
            .limits(limits)
            .load(),
    )?;
    let name = TargetName::new(WANTED)?;
    ensure!(repository.all_targets().any(|(known, _)| *known == name), "tough found no target");
    Ok(begin.elapsed())
}

/// An interpreter with python-tuf.
pub(crate) struct Python(PathBuf);

const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];

/// Updates as often as it is told, each time from the first root, and prints the processor seconds of each.
const SCRIPT: &str = "
import os, sys, tempfile, time
from urllib.parse import unquote, urlparse
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

metadata, wanted, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Folder(FetcherInterface):
    def _fetch(self, url):
        path = os.path.join(metadata, os.path.basename(unquote(urlparse(url).path)))
        if not os.path.exists(path):
            raise DownloadHTTPError('absent', 404)
        with open(path, 'rb') as file:
            yield file.read()

for _ in range(runs):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(metadata)) as store:
        begin = time.process_time()
        root = open(os.path.join(metadata, '1.root.json'), 'rb').read()
        config = UpdaterConfig(max_root_rotations=100000, targets_max_length=50000000)
        updater = Updater(store, 'http://peer/metadata/', config=config, fetcher=Folder(), bootstrap=root)
        updater.refresh()
        assert updater.get_targetinfo(wanted) is not None
        print(time.process_time() - begin)
";

impl Python {
    /// `given`, or an environment made below the folder `scratch`.
    pub(crate) fn new(given: Option<PathBuf>, scratch: &Path) -> Result<Self> {
        if let Some(python) = given {
            return Ok(Self(python));
        }
        let folder = scratch.join("python");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let python = folder.join("bin/python3");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(install).args(PACKAGES))?;
        Ok(Self(python))
    }

    /// The fastest of `runs` updates.
    pub(crate) fn update(&self, metadata: &Path, runs: u32) -> Result<Duration> {
        let mut command = Command::new(&self.0);
        command.args(["-c", SCRIPT]).arg(metadata).arg(WANTED).arg(runs.to_string());
        let output = run(&mut command)?;
        let times: Vec<f64> = output.lines().map(str::parse).collect::<Result<_, _>>()?;
        let fastest = times.into_iter().min_by(f64::total_cmp).context("no run")?;
        Ok(Duration::from_secs_f64(fastest))
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
