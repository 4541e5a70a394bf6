//! Which system root, deployment and stateroot a command is about.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_sysroot::{Deployment, DeploymentId, Locked, Options, Sysroot};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

/// Opens the system root: the option, else `$OSTREE_SYSROOT`, else `/`.
pub(super) fn open(option: Option<&Path>) -> Result<Sysroot> {
    let environment = || std::env::var_os("OSTREE_SYSROOT").filter(|path| !path.is_empty());
    let path = option.map(Path::to_path_buf).or_else(|| environment().map(PathBuf::from));
    let path = path.unwrap_or_else(|| "/".into());
    let hint = "name the system root with --sysroot PATH";
    let missing = |what: String| {
        let message = format!("{what}: No such file or directory");
        Failure::new(Kind::NotFound, message).hint(hint)
    };
    check_folder(&path, &std::path::absolute(&path)?).hint(hint)?;
    if !path.join("ostree/repo").exists() {
        return Err(missing("loading sysroot: opendir(ostree/repo)".to_owned()));
    }
    Sysroot::open_with(&path, options()).hint(hint)
}

/// Refuses what is no folder, as the peer does by this name for it.
pub(super) fn check_folder(path: &Path, name: &Path) -> Result {
    let reason = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "Not a directory",
        Err(_) => "No such file or directory",
    };
    let message = format!("opendir({}): {reason}", name.display());
    Err(Failure::new(Kind::NotFound, message))
}

/// What the environment says about deployments, in the words of the peer's own tests.
fn options() -> Options {
    let list = |name: &str| std::env::var(name).unwrap_or_default();
    let has = |name: &str, word: &str| list(name).split(',').any(|found| found == word);
    let program = std::env::var_os("OSTREE_GRUB2_EXEC").filter(|path| !path.is_empty());
    Options {
        // As the oldest release that is in use has it; all of them read both.
        older_entry_names: !has("OSTREE_SYSROOT_OPTS", "bootloader-naming-2"),
        without_device_trees: has("OSTREE_SYSROOT_DEBUG", "no-dtb"),
        mutable_deployments: has("OSTREE_SYSROOT_DEBUG", "mutable-deployments"),
        skip_sync: has("OSTREE_SYSROOT_OPTS", "skip-sync"),
        grub2_program: program.map(PathBuf::from),
        ..Options::default()
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Only root changes the system that runs. Elsewhere the file system says who may.
pub(super) fn require_root(sysroot: &Sysroot) -> Result {
    if is_root() || booted(sysroot)?.is_none() {
        return Ok(());
    }
    Err(Failure::new(Kind::Rejected, "You must be root to perform this command"))
}

/// Keeps all others from changing the system root. Says so when somebody else does.
pub(super) fn lock<'a>(sysroot: &'a Sysroot, terminal: &Terminal) -> Result<Locked<'a>> {
    if let Some(locked) = sysroot.try_lock()? {
        return Ok(locked);
    }
    terminal.say("Waiting for sysroot lock...");
    Ok(sysroot.lock(&terminal.context)?)
}

/// The booted deployment, when this is the system root that runs.
pub(super) fn booted(sysroot: &Sysroot) -> Result<Option<DeploymentId>> {
    Ok(sysroot.running()?)
}

/// The booted deployment, where there has to be one.
pub(super) fn require_booted(sysroot: &Sysroot) -> Result<DeploymentId> {
    booted(sysroot)?.ok_or_else(|| {
        Failure::new(Kind::NotFound, "Not currently booted into an OSTree system")
            .hint("this command is about the system that runs")
    })
}

/// The command line of the kernel that runs.
pub(super) fn running_command_line() -> Result<String> {
    std::fs::read_to_string("/proc/cmdline").context("failed to read /proc/cmdline")
}

/// The number that is written as an index.
pub(super) fn index(text: &str) -> Result<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(Failure::new(Kind::Invalid, format!("Invalid index: {text}")));
    }
    let parsed = text.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok());
    parsed.ok_or_else(|| Failure::new(Kind::Invalid, format!("Index too large: {text}")))
}

/// The deployment with this index, or that is `booted`, `pending` or the `rollback`.
pub(super) fn named<'a>(
    sysroot: &Sysroot,
    deployments: &'a [Deployment],
    text: &str,
) -> Result<&'a Deployment> {
    if !matches!(text, "booted" | "pending" | "rollback") {
        return at(deployments, text);
    }
    let missing = || Failure::new(Kind::NotFound, format!("Deployment type not found: {text}"));
    let booted = booted(sysroot)?.ok_or_else(missing)?;
    let of_os = |one: &&Deployment| one.id.stateroot == booted.stateroot;
    let mut before = deployments.iter().take_while(|one| one.id != booted).filter(of_os);
    let mut after = deployments.iter().skip_while(|one| one.id != booted).filter(of_os);
    let found = match text {
        "pending" => before.next(),
        "booted" => after.next(),
        _ => after.nth(1),
    };
    found.ok_or_else(missing)
}

/// The deployment with this index.
pub(super) fn at<'a>(deployments: &'a [Deployment], text: &str) -> Result<&'a Deployment> {
    let number = index(text)?;
    deployments.get(number).ok_or_else(|| {
        let count = deployments.len();
        let message = format!("Out of range deployment index {number}, expected < {count}");
        Failure::new(Kind::NotFound, message).hint("`ostree admin status` lists them, 0 first")
    })
}

/// The stateroot that was named, else that of the booted deployment.
pub(super) fn stateroot(sysroot: &Sysroot, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    booted(sysroot)?.map(|id| id.stateroot).ok_or_else(|| {
        let message = "Not currently booted into an OSTree system and no --os= argument given";
        Failure::new(Kind::Invalid, message)
    })
}

/// The deployment whose `/etc` and origin the next one of a stateroot takes over: the booted one,
/// else the first.
pub(super) fn merge_deployment(
    deployments: &[Deployment],
    booted: Option<&DeploymentId>,
    stateroot: &str,
) -> Option<Deployment> {
    let of_stateroot = || deployments.iter().filter(|one| one.id.stateroot == stateroot);
    let running = of_stateroot().find(|one| Some(&one.id) == booted);
    running.or_else(|| of_stateroot().next()).cloned()
}
