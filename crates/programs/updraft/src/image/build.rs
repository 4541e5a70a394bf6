//! `updraft image build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use updraft_bootenv::KernelArgs;
use updraft_image::{BootLoader, Built, Layout, Request};
use updraft_repo::Repo;
use updraft_sysroot::Origin;
use updraft_terminal::{Result, ResultExt as _, Terminal};

/// Make a disk image with a deployment of a commit. Needs root.
///
/// The disk has a GPT with the partitions esp (where the boot loader is on EFI), boot, root and,
/// where --data-size is given, data. The same commit, options and seed give the same image, bit by
/// bit.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The repository that holds the commit.
    #[arg(long, env = "OSTREE_REPO", value_name = "PATH")]
    repo: PathBuf,
    /// The ref or commit.
    #[arg(value_name = "REV")]
    rev: String,
    /// The image to make; it must not exist.
    #[arg(value_name = "IMAGE")]
    output: PathBuf,
    /// The stateroot: deployments of one share /var.
    #[arg(long, default_value = "os", value_name = "NAME")]
    stateroot: String,
    /// What later upgrades follow, such as `site:os/main`; by default REV.
    #[arg(long, value_name = "REFSPEC")]
    origin: Option<String>,
    /// Who loads the kernel.
    #[arg(long, value_enum, default_value_t)]
    boot_loader: BootLoaderName,
    /// Add a kernel argument. root= and rw are added where they are missing.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    karg: Vec<String>,
    /// Size of the EFI system partition.
    #[arg(long, default_value = "256M", value_parser = updraft_image::parse_size, value_name = "SIZE")]
    esp_size: u64,
    /// Size of the partition of /boot; 0 leaves /boot on the root.
    #[arg(long, default_value = "512M", value_parser = updraft_image::parse_size, value_name = "SIZE")]
    boot_size: u64,
    /// Size of the root: two systems and data.
    #[arg(long, default_value = "4G", value_parser = updraft_image::parse_size, value_name = "SIZE")]
    root_size: u64,
    /// Size of a partition for data, which is not mounted by itself; 0 for none.
    #[arg(long, default_value = "0", value_parser = updraft_image::parse_size, value_name = "SIZE")]
    data_size: u64,
    /// What UUIDs are made from; by default the commit. Images that are in use at one time on one
    /// machine need different ones.
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// All times in the image, in seconds since 1970; by default the commit's.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    time: Option<u64>,
    /// Set a key of the repository's configuration in the image, such as
    /// `sysroot.readonly=true` or `remote "site".url=https://…`. With `ex-integrity.fsverity=yes`
    /// all objects are sealed in the image, as they are where the deployment demands it.
    #[arg(long, value_name = "GROUP.KEY=VALUE", value_parser = configuration)]
    set: Vec<(String, String, String)>,
    /// Copy what is in this folder over the deployment's /etc.
    #[arg(long, value_name = "FOLDER")]
    etc: Option<PathBuf>,
    /// Copy what is in this folder over the stateroot's /var.
    #[arg(long, value_name = "FOLDER")]
    var: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum BootLoaderName {
    /// None is installed; entries are in /boot
    #[default]
    None,
    /// systemd-boot; the EFI system partition is /boot
    SystemdBoot,
    /// the same, with unified kernel images
    Uki,
    /// GRUB for EFI; it counts tries
    Grub,
    /// GRUB for a BIOS; it counts tries
    GrubBios,
    /// U-Boot: boot.scr and uEnv.txt, written with each deployment
    Uboot,
    /// extlinux, or another that reads its configuration
    Extlinux,
}

impl From<BootLoaderName> for BootLoader {
    fn from(name: BootLoaderName) -> Self {
        match name {
            BootLoaderName::None => Self::None,
            BootLoaderName::SystemdBoot => Self::SystemdBoot,
            BootLoaderName::Uki => Self::Uki,
            BootLoaderName::Grub => Self::Grub,
            BootLoaderName::GrubBios => Self::GrubBios,
            BootLoaderName::Uboot => Self::Uboot,
            BootLoaderName::Extlinux => Self::Extlinux,
        }
    }
}

#[derive(Serialize)]
struct Report {
    image: PathBuf,
    size: u64,
    deployment: String,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    name: String,
    offset: u64,
    size: u64,
    partuuid: String,
}

impl Build {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let repo = Repo::open(&self.repo)?;
        let commit = repo.resolve(&self.rev)?;
        let time = match self.time {
            Some(time) => time,
            None => repo.load_commit(&commit)?.0.timestamp,
        };
        let mut kernel_args = KernelArgs::new();
        for arg in &self.karg {
            kernel_args.append(arg);
        }
        let request = Request {
            repo: self.repo.clone(),
            commit,
            stateroot: self.stateroot.clone(),
            origin: Origin::following(self.origin.as_ref().unwrap_or(&self.rev)),
            kernel_args,
            boot_loader: self.boot_loader.into(),
            layout: Layout {
                esp: self.esp_size,
                boot: self.boot_size,
                root: self.root_size,
                data: self.data_size,
            },
            seed: self.seed.clone().unwrap_or_else(|| commit.to_string()),
            time,
            configuration: self.set.clone(),
            etc: self.etc.clone(),
            var: self.var.clone(),
        };
        let built = updraft_image::build(&terminal.context, &request, &self.output)
            .with_context(|| format!("failed to build {}", self.output.display()))?;
        let report = self.report(built);
        terminal.show(&report, |report| {
            for one in &report.partitions {
                let (offset, size) = (one.offset >> 20, one.size >> 20);
                terminal.line(format!("{:<5} at {offset} MiB, {size} MiB", one.name))?;
            }
            let image = report.image.display();
            terminal.line(format!("made {image} with deployment {}", report.deployment))
        })
    }

    fn report(&self, built: Built) -> Report {
        let partitions = built.partitions.into_iter().map(|one| Partition {
            name: one.name,
            offset: one.offset,
            size: one.size,
            partuuid: one.guid,
        });
        Report {
            image: self.output.clone(),
            size: built.size,
            deployment: built.deployment,
            partitions: partitions.collect(),
        }
    }
}

fn configuration(text: &str) -> Result<(String, String, String), String> {
    // Groups may have dots in quotes, keys have none.
    let split = text
        .split_once('=')
        .and_then(|(path, value)| path.rsplit_once('.').map(|(group, key)| (group, key, value)));
    match split {
        Some((group, key, value)) if !group.is_empty() && !key.is_empty() => {
            Ok((group.to_owned(), key.to_owned(), value.to_owned()))
        }
        _ => Err("write GROUP.KEY=VALUE, such as sysroot.readonly=true".to_owned()),
    }
}
