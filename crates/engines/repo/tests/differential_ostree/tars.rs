//! Tar streams become the same commit on both sides.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{World, assert_same, ours, peer, tree};

/// Runs GNU tar.
fn tar(directory: &Path, archive: &Path, options: &[&str], members: &[&str]) {
    let status = Command::new("tar")
        .args(["--create", "--numeric-owner", "--sort=name"])
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(directory)
        .args(options)
        .args(members)
        .status()
        .unwrap();
    assert!(status.success(), "tar {options:?}");
}

/// Commits `archive` on both sides and compares.
fn compare(world: &World, name: &str, archive: &Path, autocreate: bool) {
    let (mine, theirs) = (world.path(format!("mine-{name}")), world.path(name));
    peer::init(&theirs, "archive");
    let source = format!("--tree=tar={}", archive.display());
    let mut arguments =
        vec!["commit", "--branch=main", "--timestamp=@1700000000", "--subject=Subject", &source];
    if autocreate {
        arguments.push("--tar-autocreate-parents");
    }
    let expected = peer::ok(&theirs, &arguments);
    let repo = ours::init(&mine, "archive");
    let commit = ours::commit_tar(&repo, archive, autocreate);
    let list = ["ls", "-R", "-C", "-X", "main"];
    assert_same(&peer::ok(&mine, &list), &peer::ok(&theirs, &list), name);
    assert_eq!(commit.to_string(), expected, "{name}");
    peer::fsck(&mine);
}

#[test]
fn pax_archives_with_attributes() {
    let world = World::nasty();
    // The peer's tar reader takes this for its composed form, and so loses one of two files.
    std::fs::remove_file(world.path("tree/names/e\u{301}")).unwrap();
    // The peer hashes attributes in the order of its tar reader; one alone has no order.
    for name in ["user.zeta", "user.empty", "trusted.updraft"] {
        rustix::fs::removexattr(world.path("tree/attributes"), name).unwrap();
    }
    let archive = world.path("tree.tar");
    let options = ["--format=pax", "--xattrs", "--xattrs-include=*"];
    tar(&world.path("tree"), &archive, &options, &["."]);
    compare(&world, "pax", &archive, false);
}

#[test]
fn gnu_archives_with_long_names_and_links() {
    let world = World::nasty();
    let archive = world.path("tree.tar");
    tar(&world.path("tree"), &archive, &["--format=gnu"], &["."]);
    compare(&world, "gnu", &archive, false);
}

#[test]
fn old_archives_without_leading_dots() {
    let world = World::small();
    let archive = world.path("tree.tar");
    for format in ["--format=ustar", "--format=v7"] {
        tar(&world.path("tree"), &archive, &[format], &["hello", "link", "sub"]);
        compare(&world, &format[9..], &archive, true);
    }
}

#[test]
fn parents_are_made_when_asked() {
    let world = World::new();
    tree::nasty(&world.path("tree"));
    let archive = world.path("tree.tar");
    tar(&world.path("tree"), &archive, &[], &["directories/attributed", "hard/one"]);
    compare(&world, "parents", &archive, true);
}

#[test]
fn parents_are_missed_when_not_asked() {
    let world = World::small();
    let archive = world.path("tree.tar");
    tar(&world.path("tree"), &archive, &["--no-recursion"], &["sub/x"]);
    let repo = ours::init(&world.path("mine"), "archive");
    let error = ours::try_commit_tar(&repo, &archive, false).unwrap_err();
    assert!(error.contains("sub"), "{error}");
    assert!(repo.refs().unwrap().is_empty());
}

#[test]
fn an_entry_replaces_an_earlier_one() {
    let world = World::small();
    let archive = world.path("tree.tar");
    tar(&world.path("tree"), &archive, &[], &["."]);
    std::fs::write(world.path("tree/hello"), b"a later entry").unwrap();
    let append = ["--append", "--file", archive.to_str().unwrap(), "--directory"];
    let status =
        Command::new("tar").args(append).arg(world.path("tree")).arg("./hello").status().unwrap();
    assert!(status.success());
    compare(&world, "replaced", &archive, false);
}

#[test]
fn a_truncated_stream_commits_nothing() {
    let world = World::nasty();
    let archive = world.path("tree.tar");
    tar(&world.path("tree"), &archive, &[], &["."]);
    let whole = std::fs::read(&archive).unwrap();
    let repo = ours::init(&world.path("mine"), "archive");
    for length in [100, 512, 5000, whole.len() / 2, whole.len() / 2 + 77] {
        std::fs::write(&archive, &whole[..length]).unwrap();
        assert!(ours::try_commit_tar(&repo, &archive, true).is_err(), "{length} bytes");
        assert!(repo.refs().unwrap().is_empty());
    }
    ours::fsck(&repo);
}

#[test]
fn sparse_files_come_whole_in_every_form() {
    let world = World::small();
    let file = std::fs::File::create(world.path("tree/holes")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", 1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"later", 3 << 20).unwrap();
    file.set_len(5 << 20).unwrap();
    let archive = world.path("tree.tar");
    let forms = ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1"];
    for (number, form) in forms.into_iter().chain(["--sparse-version=1.0"]).enumerate() {
        let format = if number == 0 { form } else { "--format=pax" };
        tar(&world.path("tree"), &archive, &["--sparse", format, form], &["."]);
        let stored = std::fs::metadata(&archive).unwrap().len();
        assert!(stored < 1 << 20, "{form} keeps the holes out: {stored}");
        compare(&world, &format!("sparse-{number}"), &archive, false);
    }
}

/// A pax archive of the file `x` with these records, made by Python.
fn with_records(world: &World, records: &str) -> PathBuf {
    let archive = world.path("records.tar");
    let script = format!(
        "import tarfile,io,sys\n\
         t=tarfile.open(sys.argv[1],'w',format=tarfile.PAX_FORMAT)\n\
         d=tarfile.TarInfo('./'); d.type=tarfile.DIRTYPE; d.mode=0o755; t.addfile(d)\n\
         x=tarfile.TarInfo('x'); x.size=1; x.pax_headers={records}\n\
         t.addfile(x,io.BytesIO(b'1')); t.close()\n"
    );
    let status = Command::new("python3").args(["-c", &script]).arg(&archive).status().unwrap();
    assert!(status.success());
    archive
}

#[test]
fn attributes_of_other_tar_programs_are_kept() {
    let world = World::new();
    for (name, records) in [
        ("libarchive", "{'LIBARCHIVE.xattr.user.k%20k': 'dg'}"),
        ("selinux", "{'RHT.security.selinux': 'system_u:object_r:etc_t:s0'}"),
    ] {
        let archive = with_records(&world, records);
        compare(&world, name, &archive, false);
        let listed = peer::ok(&world.path(format!("mine-{name}")), &["ls", "-X", "main", "/x"]);
        assert!(!listed.contains("@a(ayay) []"), "{listed}");
    }
}

#[test]
fn a_hard_link_may_come_before_its_target() {
    let world = World::small();
    std::fs::hard_link(world.path("tree/hello"), world.path("tree/twin")).unwrap();
    let (archive, reversed) = (world.path("tree.tar"), world.path("reversed.tar"));
    tar(&world.path("tree"), &archive, &["--no-recursion"], &["./", "./hello", "./twin"]);
    let bytes = std::fs::read(&archive).unwrap();
    // One block for the folder, two for the file and its content, one for the link.
    let order = [&bytes[..512], &bytes[1536..2048], &bytes[512..1536], &bytes[2048..]];
    std::fs::write(&reversed, order.concat()).unwrap();
    compare(&world, "reversed", &reversed, false);
    std::fs::write(&reversed, [&bytes[..512], &bytes[1536..]].concat()).unwrap();
    let repo = ours::init(&world.path("mine"), "archive");
    let error = ours::try_commit_tar(&repo, &reversed, false).unwrap_err();
    assert!(error.contains("/twin is a hard link to /hello"), "{error}");
}

#[test]
fn compressed_streams_are_unpacked_or_named() {
    let world = World::small();
    let archive = world.path("tree.tar");
    for name in ["gzip", "xz", "zstd", "bzip2"] {
        tar(&world.path("tree"), &archive, &[&format!("--{name}")], &["."]);
        compare(&world, name, &archive, false);
        let bytes = std::fs::read(&archive).unwrap();
        std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
        let repo = ours::init(&world.path(format!("cut-{name}")), "archive");
        assert!(ours::try_commit_tar(&repo, &archive, false).is_err(), "{name}");
        assert!(repo.list_objects().unwrap().is_empty(), "{name}");
    }
    let repo = ours::init(&world.path("mine"), "archive");
    for (beginning, program) in [(&b"\x04\x22\x4d\x18"[..], "lz4"), (b"LZIP", "lzip")] {
        std::fs::write(&archive, [beginning, &[0; 2000]].concat()).unwrap();
        let error = ours::try_commit_tar(&repo, &archive, false).unwrap_err();
        assert!(error.contains(&format!("{program} -dc")), "{error}");
    }
}
