//! Putting an image together.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use updraft_bootenv::{Gpt, GptPartition, KernelArgs};
use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::Checksum;
use updraft_process::{Command, Finished};
use updraft_repo::pull::{self, PullOptions, Source};
use updraft_repo::{Repo, Trust};
use updraft_sysroot::{DeployRequest, DeploymentId, InitEpoch, Options, Origin, Sysroot};
use updraft_task::{Context, Event, Unit};

use crate::boot_loader::BootLoader;
use crate::ext4::Ext4;
use crate::fat::Fat;
use crate::grub_bios::GrubBios;
use crate::identity::Identity;
use crate::layout::Role;
use crate::seal::Postponed;
use crate::{Error, Layout, Result, overlay, seal};

const PHASE: &str = "building the image";

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Request {
    /// The repository that holds the commit.
    pub repo: PathBuf,
    /// The commit.
    pub commit: Checksum,
    /// The stateroot that it is deployed in.
    pub stateroot: String,
    /// What later upgrades follow.
    pub origin: Origin,
    /// The kernel command line; `root=` is added where it is missing.
    pub kernel_args: KernelArgs,
    /// Who loads the kernel.
    pub boot_loader: BootLoader,
    /// Sizes of partitions.
    pub layout: Layout,
    /// What all names within the image are made from.
    pub seed: String,
    /// Seconds since 1970 for all times within the image.
    pub time: u64,
    /// Keys of the image's repository configuration: group, key, value.
    pub configuration: Vec<(String, String, String)>,
    /// A folder that is copied over the deployment's `/etc`.
    pub etc: Option<PathBuf>,
    /// A folder that is copied over the stateroot's `/var`.
    pub var: Option<PathBuf>,
}

/// A partition of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPartition {
    /// Its label.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How large it is, in bytes.
    pub size: u64,
    /// Its `PARTUUID`.
    pub guid: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The whole size in bytes.
    pub size: u64,
    /// Its partitions.
    pub partitions: Vec<BuiltPartition>,
    /// The deployment in it, `COMMIT.N`.
    pub deployment: String,
}

/// Makes an image at `output`, which must not exist. It appears there when it is complete.
///
/// Needs root, since files keep their owners, and the programs `mkfs.ext4`, `debugfs` and, by boot
/// loader, `mkfs.vfat`, `mcopy`, `grub-mkimage`.
///
/// # Errors
/// [`Error::Program`] naming the Debian package of what is missing, and others; [`Kind::Conflict`]
/// when `output` exists.
pub fn build(ctx: &Context, request: &Request, output: &Path) -> Result<Built> {
    if output.symlink_metadata().is_ok() {
        let message = format!("{} exists; remove it or choose another name", output.display());
        return Err(Error::other(Kind::Conflict, message));
    }
    let beside = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or_else(|| Path::new("."));
    let scratch = tempfile::Builder::new()
        .prefix(".updraft-image-")
        .tempdir_in(beside)
        .map_err(Error::file("make a folder in", beside))?;
    let identity = Identity::new(&request.seed);
    let (gpt, roles) = request.layout.plan(request.boot_loader, &identity)?;
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    let parts = Parts { request, gpt: &gpt, roles: &roles, scratch: scratch.path() };
    let (deployment, to_seal) = parts.assemble(ctx)?;
    let image = scratch.path().join("image");
    parts.write(ctx, &identity, &image, to_seal)?;
    let file = File::open(&image).map_err(Error::file("open", &image))?;
    file.sync_all().map_err(Error::file("make durable", &image))?;
    let (from, to) = (Dir::open(scratch.path())?, Dir::open(beside)?);
    let name = output.file_name().unwrap_or_default();
    // Commit point: until here there is nothing at `output`.
    from.rename_new("image", &to, name)?;
    to.sync()?;
    ctx.report(&Event::Finished { phase: PHASE });
    let partitions = gpt.partitions.iter().map(|one| BuiltPartition {
        name: one.name.clone(),
        offset: one.offset(),
        size: one.len(),
        guid: one.guid.to_string(),
    });
    let size = gpt.disk_sectors.saturating_mul(512);
    Ok(Built { size, partitions: partitions.collect(), deployment: deployment.dir_name() })
}

/// The folders that the partitions are made from.
struct Parts<'a> {
    request: &'a Request,
    gpt: &'a Gpt,
    roles: &'a [Role],
    scratch: &'a Path,
}

impl Parts<'_> {
    fn folder(&self, role: Role) -> PathBuf {
        self.scratch.join(role.name())
    }

    fn partition(&self, wanted: Role) -> Option<&GptPartition> {
        let found = self.roles.iter().zip(&self.gpt.partitions).find(|(role, _)| **role == wanted);
        found.map(|(_, partition)| partition)
    }

    /// Puts the sysroot together, and takes it apart into one folder for each partition. Gives the
    /// deployment, and the files that are to be sealed on the root.
    fn assemble(&self, ctx: &Context) -> Result<(DeploymentId, Vec<PathBuf>)> {
        let request = self.request;
        let root = self.folder(Role::Root);
        let sysroot = Sysroot::init(&root, InitEpoch::Modern)?;
        sysroot.repo().edit_config(|file| {
            let (group, name) = request.boot_loader.configured_name();
            file.set(group, "bootloader", name);
            if let Some((group, key, value)) = request.boot_loader.more_configuration() {
                file.set(group, key, value);
            }
            for (group, key, value) in &request.configuration {
                file.set(group, key, value);
            }
        })?;
        let postponed = Postponed::new(sysroot.repo())?;
        drop(sysroot);
        let boot = root.join("boot");
        request.boot_loader.prepare(&boot)?;
        let options = Options { skip_sync: true, mutable_deployments: true, ..Options::default() };
        let sysroot = Sysroot::open_with(&root, options)?;
        let source = Source::Local(Repo::open(&request.repo)?);
        let options = PullOptions {
            commits: vec![request.commit],
            trust: Trust::Verify,
            copies: true,
            ..Default::default()
        };
        pull::pull(ctx, sysroot.repo(), &source, &options)?;
        let locked = sysroot.lock(ctx)?;
        locked.init_stateroot(&request.stateroot)?;
        let mut deploy =
            DeployRequest::new(&request.stateroot, request.commit, request.origin.clone());
        deploy.kernel_args = Some(self.kernel_args());
        let deployment = locked.deploy(ctx, &deploy)?;
        drop(locked);
        let to_seal = postponed.resume(ctx, &sysroot, &root, &deployment.id)?;
        let tree = root.join(deployment.id.path());
        if let Some(etc) = &request.etc {
            overlay::copy(etc, &tree.join("etc"))?;
        }
        if let Some(var) = &request.var {
            overlay::copy(var, &root.join("ostree/deploy").join(&request.stateroot).join("var"))?;
        }
        for role in self.roles {
            let folder = self.folder(*role);
            fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        }
        let esp =
            if request.boot_loader.boot_is_esp() { boot.clone() } else { self.folder(Role::Esp) };
        request.boot_loader.install(ctx, &tree, &esp, self.scratch)?;
        if request.boot_loader.boot_is_esp() {
            self.move_boot(&root, Role::Esp)?;
        } else if self.partition(Role::Boot).is_some() {
            self.move_boot(&root, Role::Boot)?;
        }
        Ok((deployment.id, to_seal))
    }

    /// What is in `/boot` belongs to a partition of its own; the root keeps an empty folder.
    fn move_boot(&self, root: &Path, to: Role) -> Result<()> {
        let (root, scratch) = (Dir::open(root)?, Dir::open(self.scratch)?);
        scratch.remove_dir(to.name())?;
        root.rename("boot", &scratch, to.name())?;
        root.create_dir("boot", 0o755)?;
        Ok(())
    }

    fn kernel_args(&self) -> KernelArgs {
        let mut args = self.request.kernel_args.clone();
        let text = args.to_string();
        let has = |key: &str| text.split_whitespace().any(|word| word.starts_with(key));
        if !has("root=")
            && let Some(root) = self.partition(Role::Root)
        {
            args.append(&format!("root=PARTUUID={}", root.guid));
        }
        if !text.split_whitespace().any(|word| word == "rw" || word == "ro") {
            args.append("rw");
        }
        args
    }

    /// Makes the file systems and puts them where the partition table says.
    fn write(
        &self,
        ctx: &Context,
        identity: &Identity,
        image: &Path,
        mut to_seal: Vec<PathBuf>,
    ) -> Result<()> {
        let mut disk = File::create_new(image).map_err(Error::file("create", image))?;
        let sectors = self.gpt.disk_sectors;
        let size = sectors.saturating_mul(512);
        disk.set_len(size).map_err(Error::file("enlarge", image))?;
        let table = self.gpt.encode()?;
        let mut put = |offset: u64, bytes: &[u8]| -> std::io::Result<()> {
            disk.seek(SeekFrom::Start(offset))?;
            disk.write_all(bytes)
        };
        put(0, &table.front).map_err(Error::file("write", image))?;
        let back = size.saturating_sub(table.back.len() as u64);
        put(back, &table.back).map_err(Error::file("write", image))?;
        for (role, partition) in self.roles.iter().zip(&self.gpt.partitions) {
            ctx.check()?;
            let name = role.name();
            if *role == Role::Bios {
                let grub = GrubBios::make(ctx, partition.first_sector, self.scratch)?;
                for (offset, bytes) in [(0, grub.code()), (partition.offset(), grub.core())] {
                    disk.seek(SeekFrom::Start(offset))
                        .and_then(|_| disk.write_all(bytes))
                        .map_err(Error::file("write", image))?;
                }
                continue;
            }
            let file = self.scratch.join(format!("{name}.partition"));
            let (folder, size) = (self.folder(*role), partition.len());
            if *role == Role::Esp {
                let volume_id = identity.volume_id(name);
                let fat = Fat { label: name, volume_id, time: self.request.time, size };
                fat.make(ctx, &folder, &file)?;
            } else {
                // Not before `/boot` is written: its kernels are hard links to objects.
                let paths =
                    if *role == Role::Root { std::mem::take(&mut to_seal) } else { Vec::new() };
                let ext4 = Ext4 {
                    label: name,
                    uuid: identity.guid(&format!("file system {name}")),
                    hash_seed: identity.guid(&format!("hash seed {name}")),
                    time: self.request.time,
                    size,
                    sealed: seal::write(ctx, &folder, paths)?,
                };
                ext4.make(ctx, &folder, &file)?;
            }
            copy_sparse(&file, &mut disk, partition.offset())
                .map_err(Error::file("copy to", image))?;
            fs::remove_file(&file).map_err(Error::file("remove", &file))?;
        }
        Ok(())
    }
}

/// Copies a file to a place in another, which has zeros there; what is zero is not written.
fn copy_sparse(from: &Path, to: &mut File, offset: u64) -> std::io::Result<()> {
    use std::io::Read as _;
    const BLOCK: usize = 1 << 16;
    let mut from = File::open(from)?;
    let mut block = vec![0; BLOCK];
    let mut at = offset;
    loop {
        let read = from.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        if bytes.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(bytes)?;
        }
        at = at.saturating_add(read as u64);
    }
}

/// Runs a program that makes a part of the image.
pub(crate) fn run(ctx: &Context, command: &Command, what: &str, package: &str) -> Result<Finished> {
    command.run(ctx).map_err(|source| Error::Program {
        message: format!("{what} (its program is in the Debian package {package})"),
        source,
    })
}
