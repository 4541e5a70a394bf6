//! `ostree admin`: deployments of a system root.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use updraft_error::Kind;
use updraft_sysroot::{Deployment, DeploymentId, InitEpoch, Sysroot};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

mod deploy;
mod status;

/// Look at and change deployments.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Admin {
    /// The system root; by default $OSTREE_SYSROOT or `/`.
    #[arg(long, global = true, value_name = "PATH")]
    sysroot: Option<PathBuf>,
    /// Print the folder of the default deployment.
    #[arg(long, hide = true)]
    print_current_dir: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remove deployments that are not offered, and objects that nothing needs.
    Cleanup,
    /// List what was changed in /etc.
    ConfigDiff {
        /// The stateroot.
        #[arg(long, visible_alias = "stateroot", value_name = "NAME")]
        os: Option<String>,
    },
    Deploy(deploy::Deploy),
    /// Make a system root.
    InitFs {
        /// Only the folders that a new system needs; the same as --epoch=1.
        #[arg(long)]
        modern: bool,
        /// Which folders are made.
        #[arg(long, short = 'E', value_name = "N", conflicts_with = "modern")]
        epoch: Option<u8>,
        /// Where.
        path: PathBuf,
    },
    /// Make a stateroot: a name under which deployments share /var.
    #[command(visible_alias = "stateroot-init")]
    OsInit {
        /// Its name.
        #[arg(value_name = "STATEROOT")]
        name: String,
    },
    /// Make a deployment the default.
    SetDefault {
        /// Its index, as `status` lists them.
        index: String,
    },
    /// List deployments.
    Status,
    /// Remove a deployment.
    Undeploy {
        /// Its index, as `status` lists them.
        index: String,
    },
}

impl Admin {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        if let Some(Command::InitFs { modern, epoch, path }) = &self.command {
            Sysroot::init(path, init_epoch(*modern, *epoch)?)?;
            return Ok(());
        }
        let sysroot = self.open()?;
        let Some(command) = &self.command else { return print_current_dir(&sysroot, terminal) };
        match command {
            Command::InitFs { .. } => Ok(()),
            Command::Cleanup => Ok(sysroot.lock(&terminal.context)?.cleanup(&terminal.context)?),
            Command::ConfigDiff { os } => config_diff(&sysroot, os.as_deref(), terminal),
            Command::Deploy(deploy) => deploy.run(&sysroot, terminal),
            Command::OsInit { name } => {
                sysroot.lock(&terminal.context)?.init_stateroot(name)?;
                terminal.line(format!("ostree/deploy/{name} initialized as OSTree stateroot"))
            }
            Command::SetDefault { index } => {
                let id = at(&sysroot.deployments()?, index)?.id.clone();
                sysroot.lock(&terminal.context)?.make_default(&terminal.context, &id)?;
                Ok(())
            }
            Command::Status => status::print(&sysroot, terminal),
            Command::Undeploy { index } => undeploy(&sysroot, index, terminal),
        }
    }

    fn open(&self) -> Result<Sysroot> {
        let path = self.sysroot.clone().or_else(|| {
            let path = std::env::var_os("OSTREE_SYSROOT").filter(|path| !path.is_empty());
            path.map(PathBuf::from)
        });
        let path = path.unwrap_or_else(|| "/".into());
        Sysroot::open(&path).hint("name the system root with --sysroot PATH")
    }
}

fn init_epoch(modern: bool, epoch: Option<u8>) -> Result<InitEpoch> {
    match (modern, epoch) {
        (true, _) | (_, Some(1)) => Ok(InitEpoch::Modern),
        (_, None | Some(0)) => Ok(InitEpoch::Legacy),
        (_, Some(2)) => Ok(InitEpoch::Private),
        (_, Some(other)) => {
            let message = format!("Invalid sysroot epoch {other}");
            Err(Failure::new(Kind::Invalid, message).hint("epochs are 0, 1 and 2"))
        }
    }
}

/// The booted deployment, when this is the system root that runs.
fn booted(sysroot: &Sysroot) -> Result<Option<DeploymentId>> {
    if sysroot.path() != Path::new("/") {
        return Ok(None);
    }
    let line = std::fs::read_to_string("/proc/cmdline").context("failed to read /proc/cmdline")?;
    Ok(sysroot.booted(&line)?)
}

/// The deployment with this index.
fn at<'a>(deployments: &'a [Deployment], index: &str) -> Result<&'a Deployment> {
    let number: usize = index
        .parse()
        .map_err(|_| Failure::new(Kind::Invalid, format!("Invalid index: {index}")))?;
    deployments.get(number).ok_or_else(|| {
        let count = deployments.len();
        let message = format!("Out of range deployment index {number}, expected < {count}");
        Failure::new(Kind::NotFound, message)
    })
}

/// The stateroot that was named, else that of the booted deployment.
fn stateroot(sysroot: &Sysroot, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    booted(sysroot)?.map(|id| id.stateroot).ok_or_else(|| {
        let message = "Not currently booted into an OSTree system and no --os= argument given";
        Failure::new(Kind::Invalid, message).context("Looking for booted deployment")
    })
}

fn print_current_dir(sysroot: &Sysroot, terminal: &Terminal) -> Result {
    let deployments = sysroot.deployments()?;
    let first = deployments
        .first()
        .ok_or_else(|| Failure::new(Kind::NotFound, "Unable to find a deployment in sysroot"))?;
    let path = sysroot.path().join(first.id.path());
    let path = path.canonicalize().with_context(|| format!("failed to find {}", path.display()))?;
    terminal.line(path.display())
}

fn config_diff(sysroot: &Sysroot, os: Option<&str>, terminal: &Terminal) -> Result {
    let stateroot = stateroot(sysroot, os)?;
    let deployments = sysroot.deployments()?;
    let of_os = deployments.iter().find(|deployment| deployment.id.stateroot == stateroot);
    let deployment = of_os.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("No deployment for OS '{stateroot}'"))
    })?;
    let changes = sysroot.etc_changes(&deployment.id)?;
    let lists = [("M", &changes.modified), ("D", &changes.removed), ("A", &changes.added)];
    if terminal.wants_json() {
        let [modified, removed, added] = lists.map(|(_, list)| list);
        let json = serde_json::json!({"modified": modified, "removed": removed, "added": added});
        return terminal.json(&json);
    }
    for (letter, paths) in lists {
        paths
            .iter()
            .try_for_each(|path| terminal.line(format!("{letter}    {}", path.display())))?;
    }
    Ok(())
}

fn undeploy(sysroot: &Sysroot, index: &str, terminal: &Terminal) -> Result {
    let deployments = sysroot.deployments()?;
    let deployment = at(&deployments, index)?;
    let booted = booted(sysroot)?;
    let locked = sysroot.lock(&terminal.context)?;
    locked.undeploy(&terminal.context, &deployment.id, booted.as_ref())?;
    terminal.line(format!("Deleted deployment {}", deployment.id.dir_name()))
}
