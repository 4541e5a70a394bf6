//! Writes that fail, and power cuts in the middle of one: the device starts what it would have
//! started, or what it is to start.

use updraft_bootenv::GptCopy;
use updraft_fs::fault::{Fault, Injection};
use updraft_slots::boot_control::Slot;

use super::worlds::{KINDS, Kind, World};

/// Whether a device like this starts slot B.
fn starts_b(world: &World) -> bool {
    match world.boot() {
        Some(slot) => slot == Slot::B,
        None => panic!("{:?}: nothing is started", world.kind),
    }
}

#[test]
fn a_write_that_fails_leaves_one_or_the_other() {
    for kind in KINDS {
        let mut outcomes = [0, 0];
        for operations in 0.. {
            let world = World::new(kind);
            let control = world.control();
            control.mark_unbootable(Slot::B).unwrap();
            let injection = Injection::after(operations, Fault::Broken);
            let done = control.set_active(Slot::B, Some(1));
            drop(injection);
            // What is cut off is done again, whatever it left.
            let again = World::new(kind);
            copy(&world, &again);
            let (b, struck) = (starts_b(&world), done.is_err());
            outcomes[usize::from(b)] += 1;
            again.control().set_active(Slot::B, Some(1)).unwrap();
            assert!(starts_b(&again), "{kind:?} after {operations}");
            if !struck {
                assert!(b, "{kind:?}");
                break;
            }
        }
        assert!(outcomes[0] > 0 && outcomes[1] > 0, "{kind:?}: {outcomes:?}");
    }
}

fn copy(from: &World, to: &World) {
    copy_folder(from.folder(), to.folder());
    if matches!(from.kind, Kind::Rauc | Kind::Mender) {
        let env = to.path("env");
        let text = format!("{0} 0 0x1000\n{0} 0x1000 0x1000\n", env.display());
        std::fs::write(to.path("fw_env.config"), text).unwrap();
    }
}

pub(crate) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The table is written in four pieces: with any of them torn anywhere, and those after it not yet
/// written, it is what it was or what it is to be.
#[test]
fn a_partition_table_that_is_torn_is_one_or_the_other() {
    for first_is_damaged in [false, true] {
        let world = World::new(Kind::Gpt);
        let mut old = std::fs::read(world.path("disk")).unwrap();
        if first_is_damaged {
            old[600] ^= 1;
            std::fs::write(world.path("disk"), &old).unwrap();
        }
        world.control().set_active(Slot::B, Some(2)).unwrap();
        let new = std::fs::read(world.path("disk")).unwrap();
        let whole = GptCopy::parse(new[512..1024].to_vec(), 1, new[1024..][..16384].to_vec());
        whole.unwrap();
        let end = new.len();
        let (front, back) =
            ([1024..1024 + 16384, 512..1024], [end - 16896..end - 512, end - 512..end]);
        let order = if first_is_damaged { [front, back] } else { [back, front] };
        let mut torn = old.clone();
        let mut seen = Vec::new();
        for piece in order.concat() {
            // Only bytes that change matter: cut before each of them.
            let changes = piece.clone().filter(|at| old[*at] != new[*at]);
            for cut in changes.chain([piece.end]) {
                torn[piece.start..cut].copy_from_slice(&new[piece.start..cut]);
                std::fs::write(world.path("disk"), &torn).unwrap();
                seen.push(starts_b(&world));
            }
        }
        let switched = seen.iter().position(|b| *b).unwrap();
        assert!(switched > 0 && seen[switched..].iter().all(|b| *b), "{seen:?}");
    }
}
