//! The power is cut before every single write, sync, rename: the same image comes of it.

use updraft_fs::Dir;
use updraft_fs::fault::{Fault, Injection};
use updraft_recovery_engine::Attempt;

use super::device::CutDevice;
use super::make::{Maker, NAME, noise, sha1};

/// Everything that a list can say, as generators say it.
fn everything() -> Maker {
    let mut maker = Maker::new(noise(1, 160));
    maker.fill("erase", "2,150,160", 0xee);
    maker.new_blocks("4,140,142,149,150", &noise(2, 3));
    maker.fill("zero", "2,142,149", 0);
    // Target and source overlap: the engine sets the source aside by itself.
    maker.move_blocks("2,10,20", "2,12,22");
    let mut changed = maker.get("2,30,40");
    changed[5000] ^= 1;
    maker.bsdiff("2,30,40", "2,30,40", &changed);
    let id = maker.stash("2,50,54");
    maker.new_blocks("2,50,54", &noise(3, 4));
    maker.move_blocks("2,60,64", &format!("- {id}:2,0,4"));
    let mut both = maker.get("2,80,82");
    both.extend(noise(1, 160)[50 * 4096..54 * 4096].to_vec());
    both[100] ^= 7;
    maker.bsdiff("2,84,90", &format!("2,80,82 2,0,2 {id}:2,2,6"), &both);
    maker.free(&id);
    // Two commands with the same blocks set aside, of which one overlaps with its own target.
    let same = maker.stash("2,100,103");
    maker.move_blocks("2,101,104", "2,100,103");
    maker.move_blocks("2,110,113", &format!("- {same}:2,0,3"));
    maker.free(&same);
    maker.new_blocks("2,0,1", &noise(4, 1));
    maker.hash_tree("2,158,159", "2,0,100");
    maker
}

fn state() -> (tempfile::TempDir, Dir) {
    // Thousands of syncs: in memory where that is possible.
    let memory = std::path::Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
    let dir = Dir::open(folder.path()).unwrap();
    (folder, dir)
}

/// Nothing is left but the marker.
fn assert_tidy(state: &Dir) {
    let names: Vec<_> = state.entries().unwrap().into_iter().map(|entry| entry.name).collect();
    let marker = format!("{}.UPDATED", sha1(NAME.as_bytes()));
    assert_eq!(names, [marker.as_str()]);
}

#[test]
fn a_list_does_what_it_says() {
    let maker = everything();
    let (device, (_folder, state)) = (CutDevice::new(&maker.old), state());
    maker.verify(&device, &state).unwrap();
    assert!(device.image() == maker.old && state.entries().unwrap().is_empty());
    maker.update(&device, &state, Attempt::First).unwrap();
    assert!(device.image() == maker.image);
    assert_tidy(&state);
    // What is done is not done again: not one write.
    let writes = device.writes();
    maker.update(&device, &state, Attempt::Again).unwrap();
    assert_eq!(device.writes(), writes);
}

#[test]
fn after_a_cut_at_any_write_the_same_image_comes_of_it() {
    let maker = everything();
    let mut chance = fastrand::Rng::with_seed(7);
    let mut cuts = 0;
    for before in 0.. {
        let (device, (_folder, state)) = (CutDevice::new(&maker.old), state());
        let injection = Injection::after(before, Fault::Broken);
        let result = maker.update(&device, &state, Attempt::First);
        drop(injection);
        device.cut_power(&mut chance);
        if result.is_ok() {
            break;
        }
        cuts += 1;
        // Without the record it goes on as well: by the content of the targets.
        if chance.bool() {
            state.try_unlink("last_command").unwrap();
        }
        maker.verify(&device, &state).unwrap_or_else(|error| panic!("cut {before}: {error}"));
        // And the power is cut again while it goes on.
        let injection = Injection::after(chance.u64(..60), Fault::Broken);
        let result = maker.update(&device, &state, Attempt::Again);
        drop(injection);
        if result.is_err() {
            device.cut_power(&mut chance);
            maker.update(&device, &state, Attempt::Again).unwrap();
        }
        device.cut_power(&mut chance);
        assert!(device.image() == maker.image, "cut {before}");
        assert_tidy(&state);
    }
    assert!(cuts > 150, "only {cuts} moments");
}

#[test]
fn a_record_that_is_not_true_is_not_believed() {
    let maker = everything();
    let (device, (_folder, state)) = (CutDevice::new(&maker.old), state());
    let lines: Vec<&str> = maker.list.lines().collect();
    for index in [0, 3, 7, lines.len() - 1] {
        // As if all up to there were done, and nothing is.
        let record = format!("{index}\n{}", lines[index]);
        std::fs::write(state.path().join("last_command"), record).unwrap();
        maker.verify(&device, &state).unwrap();
    }
    maker.update(&device, &state, Attempt::Again).unwrap();
    assert!(device.image() == maker.image);
    // A new attempt at a device that somebody put back begins anew, whatever was left.
    let fresh = CutDevice::new(&maker.old);
    std::fs::write(state.path().join("last_command"), format!("0\n{}", lines[0])).unwrap();
    maker.update(&fresh, &state, Attempt::First).unwrap();
    assert!(fresh.image() == maker.image);
}

#[test]
fn a_marker_of_another_list_says_nothing() {
    let maker = everything();
    let mut other = maker.clone();
    other.new_blocks("2,159,160", &noise(9, 1));
    let (device, (_folder, state)) = (CutDevice::new(&maker.old), state());
    other.update(&device, &state, Attempt::First).unwrap();
    let device = CutDevice::new(&maker.old);
    maker.update(&device, &state, Attempt::Again).unwrap();
    assert!(device.image() == maker.image);
}
