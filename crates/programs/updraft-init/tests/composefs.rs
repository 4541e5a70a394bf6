//! Composefs roots: images in which the kernel vouches for every byte, and whose digests are signed.
//! The kernel says what is refused.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use machine::{Disk, Initramfs, Kernel, Partition, Sysroot, System};
use tempfile::TempDir;
use updraft_composefs::{Attributes, Directory, File, Node, Symlink, VerityDigest, write_image};
use updraft_ostree::Metadata;
use updraft_ostree::gvariant::Value;

mod runs;
use runs::{OURS, Runs};

/// A disk with two deployments of one tree. The default is signed and has an image; the other is
/// the plain one before it.
struct Setup {
    _folder: TempDir,
    disk: Disk,
    signed: String,
    plain: String,
    signed_link: String,
    plain_link: String,
    key: String,
}

impl Setup {
    fn new(kernel: &Kernel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sysroot = Sysroot::init(&folder.path().join("sysroot")).unwrap();
        let tree = folder.path().join("tree");
        System::new("one").kernel(kernel).write(&tree).unwrap();
        sysroot.deploy(&tree, &[]).unwrap();
        let plain = sysroot.entries().unwrap().remove(0);

        let mut image = Vec::new();
        let objects = objects_by_inode(&sysroot.folder().join("ostree/repo/objects"));
        let root = directory(&sysroot.deployment(&plain.deployment), &objects, true);
        write_image(root, &mut image).unwrap();
        let digest = VerityDigest::of(&image);

        // The same tree in a commit that names the digest of its image.
        let bytes: Vec<String> = digest.as_bytes().iter().map(|b| format!("0x{b:02x}")).collect();
        let metadata = format!("ostree.composefs.digest.v0=[byte {}]", bytes.join(","));
        let mut commit = sysroot.ostree();
        commit.args(["commit", "-b", "signed", &format!("--add-metadata={metadata}")]);
        let output = commit.arg("--tree=ref=os").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let checksum = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        sysroot.admin(&["deploy", "--os=os", "--retain", "signed"]).unwrap();
        let entries = sysroot.entries().unwrap();
        let signed = entries[0].clone();
        let plain = entries.into_iter().find(|entry| entry.deployment == plain.deployment);
        fs::write(sysroot.deployment(&signed.deployment).join(".ostree.cfs"), &image).unwrap();

        let key = SigningKey::from_bytes(&[7; 32]);
        let (start, rest) = checksum.split_at(2);
        let object = sysroot.folder().join("ostree/repo/objects").join(start).join(rest);
        let signature = key.sign(&fs::read(object.with_extension("commit")).unwrap());
        let mut detached = Metadata::new();
        let signatures = Value::byte_arrays([signature.to_bytes().to_vec()]);
        detached.insert("ostree.sign.ed25519", signatures);
        fs::write(object.with_extension("commitmeta"), detached.encode()).unwrap();

        let root = Partition::ext4("root").option("-Overity").mib(200).folder(sysroot.folder());
        let disk = Disk::bare(&root, &folder.path().join("disk")).unwrap();
        let plain = plain.unwrap();
        Self {
            _folder: folder,
            disk,
            signed: signed.deployment,
            plain: plain.deployment,
            signed_link: signed.link,
            plain_link: plain.link,
            key: BASE64_STANDARD.encode(key.verifying_key().as_bytes()),
        }
    }

    /// Names for the shell lines of runs.
    fn settings(&self) -> String {
        let (signed, plain, key) = (&self.signed, &self.plain, &self.key);
        format!(
            "K={key}; P=/sysroot/ostree/deploy/os/deploy/{plain}\n\
             D=/sysroot/ostree/deploy/os/deploy/{signed}; O=/sysroot/ostree/repo/objects\n\
             conf() {{ printf \"$1\" >/etc/ostree/prepare-root.conf; }}\n\
             printf %s\\\\n $K >/etc/ostree/initramfs-root-binding.key\n"
        )
    }
}

fn objects_by_inode(objects: &Path) -> HashMap<u64, PathBuf> {
    let mut found = HashMap::new();
    for folder in fs::read_dir(objects).unwrap().map(|entry| entry.unwrap().path()) {
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let inode = file.symlink_metadata().unwrap().ino();
            found.insert(inode, file.strip_prefix(objects).unwrap().to_path_buf());
        }
    }
    found
}

/// The tree of an image; of the deployment's root, what the commit has.
fn directory(path: &Path, objects: &HashMap<u64, PathBuf>, is_root: bool) -> Directory {
    let mut tree = Directory { attributes: attributes(path), entries: BTreeMap::default() };
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        let found = path.symlink_metadata().unwrap();
        let attributes = attributes(&path);
        let node = if found.is_dir() && is_root && name == "etc" {
            Node::Directory(Directory { attributes, entries: BTreeMap::default() })
        } else if found.is_dir() {
            Node::Directory(directory(&path, objects, false))
        } else if found.is_symlink() {
            let target = fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec();
            Node::Symlink(Symlink { attributes, target })
        } else {
            let bytes = fs::read(&path).unwrap();
            let backing = objects.get(&found.ino()).map(|object| object.as_os_str().as_bytes());
            Node::File(File {
                attributes,
                size: found.size(),
                backing_path: backing.unwrap_or_default().to_vec(),
                digest: (!bytes.is_empty()).then(|| VerityDigest::of(&bytes)),
            })
        };
        tree.entries.insert(name.as_bytes().to_vec(), node);
    }
    tree
}

fn attributes(path: &Path) -> Attributes {
    let found = path.symlink_metadata().unwrap();
    let permissions = found.mode() & 0o7777;
    Attributes { uid: found.uid(), gid: found.gid(), permissions, ..Default::default() }
}

/// Turns fs-verity on for all objects but one, and for the image.
const SEAL: &str = "cp $D/.ostree.cfs /good
for file in $(find $O -name '*.file' -type f) $D/.ostree.cfs; do
    [ $file -ef $D/usr/lib/os-release ] && continue
    fsverity enable $file || echo FAILED $file
done";

const LOOK: &str = r#"
    echo HOST $(cat /sysroot/etc/hostname)
    [ "$(busybox md5sum </sysroot/usr/bin/busybox)" = "$(busybox md5sum </bin/busybox)" ] && echo SAME
    ls /sysroot | grep -q "^[0-9a-f][0-9a-f]$" && echo OBJECTS
    cat /sysroot/usr/lib/os-release >/dev/null 2>&1 && echo UNSEALED READ
    touch /sysroot/etc/new && echo ETC WRITABLE
    touch /sysroot/new 2>/dev/null && echo ROOT WRITABLE
    touch /sysroot/sysroot/new 2>/dev/null && echo SYSROOT WRITABLE
    echo BOOTED; cat -v /run/ostree-booted; echo
    readlink /run/systemd/volatile-root
    cat /run/updraft/boot-fallback.json
"#;

/// A soft reboot to the same deployment, out of a root that was just prepared.
const SOFT_REBOOT: &str = r#"
    for folder in proc run; do mount --rbind /$folder /sysroot/$folder; done
    cp /updraft-init /run; mkdir -p /sysroot/etc/ostree; cp /etc/ostree/* /sysroot/etc/ostree
    chroot /sysroot /run/updraft-init --soft-reboot ostree/deploy/os/deploy/${D##*/}
    echo "SOFT $?"
    cat /proc/self/mountinfo | grep " /sysroot/run/nextroot" | sed "s/^/NEXT /"
    cd /sysroot/run/nextroot
    touch etc/next && echo NEXT ETC WRITABLE
    touch sysroot/ostree/deploy/os/var/next && echo NEXT VAR WRITABLE
    touch sysroot/next 2>/dev/null && echo NEXT SYSROOT WRITABLE
    touch next 2>/dev/null && echo NEXT ROOT WRITABLE
    cat usr/lib/os-release >/dev/null 2>&1 && echo UNSEALED READ
    cat -v /run/ostree/nextroot-booted; echo
    chroot /sysroot /run/updraft-init --soft-reboot ostree/deploy/os/deploy/gone.0
    echo "GONE $?"
"#;

#[test]
fn the_kernel_vouches_for_what_is_signed() {
    let kernel = Kernel::backports().unwrap();
    let setup = Setup::new(&kernel);
    let line = format!("ostree={}", setup.signed_link);
    let mut runs = Runs::new(&setup.settings());
    let mut add = |name: &str, more: &str, shell: &str| {
        runs.add(name, OURS, &format!("{line} {more}"), shell, LOOK);
    };
    add("plain", "", SEAL);
    add("yes", "", "conf '[composefs]\\nenabled=yes\\n'");
    add("verity", "", "conf '[composefs]\\nenabled=verity\\n'");
    add("transient-ro", "", "conf '[composefs]\\nenabled=yes\\n[root]\\ntransient-ro=true\\n'");
    let all = "conf '[composefs]\\nenabled=yes\\n[root]\\ntransient=1\\n[etc]\\ntransient=1\\n'";
    add("transient", "", all);
    let signed = "conf '[composefs]\\nenabled=signed\\n[updraft]\\nfallback=previous\\n'";
    add("signed", "", signed);
    runs.add("soft", OURS, &line, &format!("{signed}; export D"), SOFT_REBOOT);
    let mut add = |name: &str, more: &str, shell: &str| {
        runs.add(name, OURS, &format!("{line} {more}"), shell, LOOK);
    };
    add("hotfix", "", "mkdir $D/.usr-ovl-work $D/.usr-ovl-upper");
    add("off", "ostree.prepare-root.composefs=no", "rm -r $D/.usr-ovl-*");
    let other =
        "echo A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg= >/etc/ostree/initramfs-root-binding.key";
    let no_fallback = "conf '[composefs]\\nenabled=signed\\n'";
    add("other-key", "updraft.fallback=halt-not", no_fallback);
    add("stranger", "", &format!("{no_fallback}; {other}"));
    add("no-key", "", "rm /etc/ostree/initramfs-root-binding.key");
    let key = format!("echo {} >/etc/ostree/initramfs-root-binding.key", setup.key);
    let unsealed = "cp $D/.ostree.cfs /image; rm $D/.ostree.cfs; cp /image $D/.ostree.cfs";
    add("unsealed", "", &format!("{key}; {unsealed}"));
    let swapped = "rm $D/.ostree.cfs; echo x >>/image; cp /image $D/.ostree.cfs; fsverity enable $D/.ostree.cfs";
    add("swapped", "", swapped);
    add("maybe", "ostree.prepare-root.composefs=maybe", "rm $D/.ostree.cfs");
    add("gone", "ostree.prepare-root.composefs=yes", "conf ''");
    let plain = format!("ostree={}", setup.plain_link);
    let restored = "cp /good $D/.ostree.cfs; fsverity enable $D/.ostree.cfs";
    runs.add("fallback", OURS, &plain, &format!("{signed}; {restored}"), LOOK);
    // The settings of the chosen one mean nothing; the other one's own are in its tree.
    let broken = |words: &str| format!("conf '{words}\\n[updraft]\\nfallback=previous\\n'");
    let own = "mkdir -p $P/etc/ostree; printf '[etc]\\ntransient=true\\n' >$P/etc/ostree/prepare-root.conf";
    let unkeyed = "rm -f /etc/ostree/initramfs-root-binding.key";
    let setting = broken("[composefs]\\nenabled=sigend");
    runs.add("broken", OURS, &line, &format!("{unkeyed}; {own}; {setting}"), LOOK);
    let changed = "C=$(find $O -path \"*$(echo ${D##*/} | cut -c3-64).commit\"); printf x >>$C";
    runs.add("changed", OURS, &line, &format!("{key}; {no_fallback}; {changed}"), LOOK);
    let initramfs = Initramfs::new().program(Path::new("/usr/bin/fsverity")).unwrap();
    let runs = runs.go(&kernel, initramfs, setup.disk.path());

    let told = |name: &str, what: &[&str], not: &[&str]| {
        let said = runs.said(name);
        for word in what {
            assert!(said.contains(word), "{name} does not say {word}:\n{said}");
        }
        for word in not {
            assert!(!said.contains(word), "{name} says {word}:\n{said}");
        }
    };
    told(
        "plain",
        &["RESULT 0", "SAME", "HOST tiny", "ROOT WRITABLE"],
        &["FAILED", "composefs", "/dev/block"],
    );
    let usual = ["RESULT 0", "HOST tiny", "SAME", "ETC WRITABLE", "composefs.verity"];
    told("yes", &usual, &["ROOT WRITABLE", "OBJECTS", "SYSROOT WRITABLE", "composefs.signed"]);
    told("yes", &["UNSEALED READ", "/dev/block/"], &[]);
    told("verity", &usual, &["ROOT WRITABLE", "OBJECTS", "UNSEALED READ", "composefs.signed"]);
    told("transient-ro", &usual, &["ROOT WRITABLE"]);
    told("transient", &["ROOT WRITABLE", "transient-etc", "/run/ostree/transient-etc."], &[]);
    told("signed", &usual, &["ROOT WRITABLE", "OBJECTS", "UNSEALED READ"]);
    told("signed", &["composefs.signed", "/etc/ostree/initramfs-root-binding.key"], &[]);
    let next = ["SOFT 0", "NEXT ETC WRITABLE", "NEXT VAR WRITABLE", "composefs.signed", "GONE 1"];
    told("soft", &next, &["NEXT SYSROOT WRITABLE", "NEXT ROOT WRITABLE", "UNSEALED READ"]);
    told("hotfix", &["RESULT 0", "the hotfix over /usr is left out", "SAME"], &[]);
    told("off", &["RESULT 0", "SAME"], &["composefs"]);
    let failed = ["RESULT 1", "THE SYSTEM CANNOT BE BOOTED", "way out"];
    for (name, why) in [
        ("stranger", "is by a known key"),
        ("no-key", "the key file /etc/ostree/initramfs-root-binding.key is unreadable"),
        ("unsealed", "the composefs image has no fs-verity"),
        ("swapped", "but the signed commit says"),
        ("gone", "open the image"),
        ("changed", "has been changed"),
    ] {
        told(name, &failed, &["SAME"]);
        told(name, &[why], &[]);
        assert_eq!(runs.mounts(name), ["/sysroot / rw ext4"], "{name} leaves no mounts");
    }
    told("other-key", &["RESULT 1", "updraft.fallback must not be `halt-not`"], &[]);
    told("maybe", &["RESULT 0", "no composefs image", "SAME"], &["composefs.verity"]);
    let note = format!("\"failed\": \"{}\"", setup.plain);
    told("fallback", &usual, &[]);
    told("fallback", &[&note, &format!("\"booted\": \"{}\"", setup.signed)], &["OBJECTS"]);
    told("fallback", &["open the image"], &[]);
    let instead = format!("\"booted\": \"{}\"", setup.plain);
    let own = ["RESULT 0", "SAME", "transient-etc", &instead, "must not be `sigend`"];
    told("broken", &own, &["composefs.verity"]);
}

#[test]
fn an_older_kernel_shows_images_through_loop_devices_but_demands_no_verity() {
    let kernel = Kernel::cloud().unwrap();
    let setup = Setup::new(&kernel);
    let line = format!("ostree={}", setup.signed_link);
    let mut runs = Runs::new(&setup.settings());
    runs.add("yes", OURS, &line, "conf '[composefs]\\nenabled=yes\\n'", LOOK);
    runs.add("verity", OURS, &line, "conf '[composefs]\\nenabled=verity\\n'", LOOK);
    let runs = runs.go(&kernel, Initramfs::new(), setup.disk.path());
    let said = runs.said("yes");
    for word in ["RESULT 0", "HOST tiny", "SAME", "ETC WRITABLE", "composefs"] {
        assert!(said.contains(word), "{word}:\n{said}");
    }
    for word in ["ROOT WRITABLE", "OBJECTS", "SYSROOT WRITABLE"] {
        assert!(!said.contains(word), "{word}:\n{said}");
    }
    let said = runs.said("verity");
    assert!(said.contains("RESULT 1") && said.contains("verity needs Linux 6.6"), "{said}");
    assert_eq!(runs.mounts("verity"), ["/sysroot / rw ext4"]);
}
