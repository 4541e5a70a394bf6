//! Systems so small that a machine with two of them is up, updated and given up in little time: their
//! programs lie on a partition that they share, which is at `/opt`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use harness::{Answer, Programs};
use machine::System;

use crate::release::copy_program;

/// What a shared partition has room for, in MiB.
pub(crate) const PROGRAMS: u64 = 256;
/// How large the place for data is, in MiB.
pub(crate) const DATA: u64 = 16;

/// A place where such systems are made, and the key that signs their payloads.
#[derive(Debug)]
pub(crate) struct SmallSystems {
    folder: PathBuf,
    programs: Programs,
    rc: String,
}

impl SmallSystems {
    /// Their inits run this, after `/opt` and `/var` were mounted from these devices.
    pub(crate) fn new(folder: &Path, [opt, var]: [&str; 2], rc: &str) -> Result<Self> {
        let rc = format!(
            "mount -t ext4 -o ro {opt} /opt\nmount -t ext4 {var} /var\nifconfig lo 127.0.0.1 up\n{rc}"
        );
        let programs = Programs::beside_tests()?;
        let made = Self { folder: folder.to_path_buf(), programs, rc };
        let openssl = |arguments: &[&str]| {
            Answer::good(Command::new("openssl").current_dir(folder).args(arguments))
        };
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"])?;
        for path in ["usr/bin", "etc/updraft", "payloads"] {
            fs::create_dir_all(made.opt().join(path))?;
        }
        openssl(&["ec", "-in", "key", "-pubout", "-out", "opt/etc/updraft/payload.pem"])?;
        for program in [made.programs.path("updraft"), "/usr/bin/efibootmgr".into()] {
            copy_program(&program, &made.opt())?;
        }
        Ok(made)
    }

    /// Where all of it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What is in a machine's `/opt`.
    pub(crate) fn opt(&self) -> PathBuf {
        self.path("opt")
    }

    /// Says what the slots of a machine are.
    pub(crate) fn configure(&self, boot_control: &str, tries: u32, partitions: &str) -> Result<()> {
        let config = format!(
            "state = \"/var/slots\"\nkeys = [\"/etc/updraft/payload.pem\"]\ntries = {tries}\n\
             {boot_control}\n[partitions]\n{partitions}\n"
        );
        Ok(fs::write(self.opt().join("etc/updraft/slots.toml"), config)?)
    }

    /// Writes the tree of a release. One with the name `broken` has no init.
    pub(crate) fn tree(&self, name: &str) -> Result<PathBuf> {
        let tree = self.path(&format!("{name}-tree"));
        System::new(name).write(&tree)?;
        let rc = tree.join("usr/etc/rc");
        fs::write(&rc, &self.rc)?;
        fs::set_permissions(&rc, fs::Permissions::from_mode(0o755))?;
        fs::create_dir_all(tree.join("opt"))?;
        fs::rename(tree.join("usr/etc"), tree.join("etc"))?;
        for (link, target) in [
            ("usr/etc", "../etc"),
            ("etc/updraft", "/opt/etc/updraft"),
            ("lib64", "/opt/usr/lib64"),
            ("usr/lib/x86_64-linux-gnu", "/opt/usr/lib/x86_64-linux-gnu"),
            ("usr/bin/updraft", "/opt/usr/bin/updraft"),
            ("usr/bin/efibootmgr", "/opt/usr/bin/efibootmgr"),
        ] {
            symlink(target, tree.join(link))?;
        }
        if name == "broken" {
            fs::remove_file(tree.join("usr/sbin/init"))?;
        }
        Ok(tree)
    }

    /// Makes the payload of a release, `/opt/payloads/NAME.bin`, of these partitions and images.
    pub(crate) fn payload(&self, name: &str, images: &[(&str, &Path)]) -> Result<()> {
        let mut generate = self.programs.command("updraft");
        generate.args(["payload", "generate"]).arg(self.opt().join(format!("payloads/{name}.bin")));
        for (partition, image) in images {
            generate.args(["--image", &format!("{partition}={}", image.display())]);
        }
        Answer::good(generate.arg("--key").arg(self.path("key"))).map(drop)
    }
}
