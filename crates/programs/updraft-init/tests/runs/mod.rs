//! Many runs of programs that prepare a root, in one machine: each in a mount namespace and with a
//! `/run` of its own, so that they know nothing of each other.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use machine::{Initramfs, Kernel, Machine, Options};
use tempfile::TempDir;

/// Where our program is in the initramfs.
pub(crate) const OURS: &str = "/updraft-init";

const INIT: &str = "#!/bin/busybox sh
export PATH=/bin:/usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /etc/ostree
while read -r module; do insmod $module; done < /etc/updraft-init/modules
. /runs
echo RUNS DONE
poweroff -f
";

const RUN: &str = r#"
run() { # name program line setup look
    umount /sysroot 2>/dev/null
    mount -t ext4 /dev/vda /sysroot
    eval "$4"
    printf %s "$3" >/line
    printf %s "$5" >/look
    unshare -m sh -c '
        mount --make-rprivate /
        mount -t tmpfs tmpfs /run
        mount --bind /line /proc/cmdline
        "$1" /sysroot
        echo "RESULT $?"
        grep " /sysroot" /proc/self/mountinfo | sed "s/^/MOUNT /"
        find /run -type f | sed "s/^/FILE /"
        . /look
    ' "$1" "$2" 2>&1
    echo "END $1"
}
"#;

/// The script of runs that are to be made.
pub(crate) struct Runs {
    script: String,
    console: String,
}

impl Runs {
    /// None yet; `settings` are lines of shell for all of them.
    pub(crate) fn new(settings: &str) -> Self {
        Self { script: format!("{RUN}\n{settings}\n"), console: String::new() }
    }

    /// Adds a run of `program /sysroot` with the kernel's arguments `line`, after the shell lines
    /// `setup`; then, where the program left off, those of `look`.
    pub(crate) fn add(&mut self, name: &str, program: &str, line: &str, setup: &str, look: &str) {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let (line, setup, look) = (quoted(line), quoted(setup), quoted(look));
        writeln!(self.script, "run {name} {program} {line} {setup} {look}").unwrap();
    }

    /// Boots the kernel with all this, and waits for the end.
    pub(crate) fn go(mut self, kernel: &Kernel, initramfs: Initramfs, disk: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let modules = kernel.modules().unwrap();
        let image = initramfs
            .copy("/bin/busybox", Path::new("/bin/busybox"))
            .unwrap()
            .copy(OURS, &machine::build_updraft_init().unwrap())
            .unwrap()
            .file("/init", 0o755, INIT)
            .file("/runs", 0o644, self.script.as_str())
            .modules(&modules, machine::DISK_MODULES)
            .unwrap()
            .modules(&modules, &["overlay", "loop", "erofs"])
            .unwrap()
            .build(&folder.path().join("initramfs"))
            .unwrap();
        let options = Options::kernel(kernel, Some(&image), "quiet loglevel=3 panic=-1");
        let options = options.disk(disk).snapshot().folder(folder.path());
        // A panic is the end, not a second try.
        let options = options.arguments(&["-no-reboot"]);
        let mut machine = Machine::start(&options).unwrap();
        self.console = machine.wait_for("RUNS DONE", Duration::from_mins(3)).unwrap();
        self
    }

    /// What a run said.
    #[track_caller]
    pub(crate) fn said(&self, name: &str) -> String {
        let end = format!("END {name}\r\n");
        let (before, _) = self.console.split_once(&end).expect(name);
        let begin = before.rfind("END ").map_or(0, |at| before[at..].find('\n').unwrap() + at + 1);
        before[begin..].replace('\r', "")
    }

    /// The mounts that a run left: place, folder shown there, whether writable, kind.
    #[track_caller]
    pub(crate) fn mounts(&self, name: &str) -> Vec<String> {
        let said = self.said(name);
        let mut mounts: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix("MOUNT "))
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let kind = words.iter().skip_while(|word| **word != "-").nth(1).unwrap();
                let writable = words[5].split(',').next().unwrap();
                format!("{} {} {writable} {kind}", words[4], words[3])
            })
            .collect();
        mounts.sort();
        mounts
    }
}
