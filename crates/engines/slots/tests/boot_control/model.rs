//! Boot control against a model: a device is updated, started, found well or bad, in any order.

use proptest::prelude::*;
use updraft_slots::boot_control::{BootStatus, Slot};

use super::worlds::{KINDS, Kind, World};

/// What happens to a device.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is started.
    Boot,
    /// What runs is found well.
    MarkSuccessful,
    /// The slot that does not run is written: what runs is marked successful and the other one
    /// unbootable.
    BeginUpdate,
    /// The slot that was written becomes the active one, for so many tries.
    FinishUpdate(u32),
    /// The update is taken back.
    Revert,
    /// What runs is found bad.
    Condemn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => Just(Step::Boot),
        2 => Just(Step::MarkSuccessful),
        2 => Just(Step::BeginUpdate),
        3 => (1..4_u32).prop_map(Step::FinishUpdate),
        1 => Just(Step::Revert),
        1 => Just(Step::Condemn),
    ];
    proptest::collection::vec(step, 1..24)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unbootable,
    Trial(u32),
    Good,
}

/// What any boot control has to come to.
#[derive(Debug, Clone)]
struct Model {
    slots: [State; 2],
    preferred: Slot,
    running: Slot,
    /// How often a slot that works may be started without being found well again.
    starts_when_good: Option<u32>,
    max_tries: u32,
}

impl Model {
    fn new(kind: Kind) -> Self {
        let starts_when_good = match kind {
            Kind::Rauc => Some(3),
            Kind::Grub => Some(1),
            _ => None,
        };
        let max_tries = match kind {
            Kind::Grub | Kind::Efi => 1,
            Kind::Misc => 7,
            _ => 15,
        };
        let mut model = Self {
            slots: [State::Unbootable; 2],
            preferred: Slot::A,
            running: Slot::A,
            starts_when_good,
            max_tries,
        };
        model.set(Slot::A, model.good());
        model
    }

    fn good(&self) -> State {
        self.starts_when_good.map_or(State::Good, State::Trial)
    }

    fn set(&mut self, slot: Slot, state: State) {
        let [a, b] = &mut self.slots;
        *if slot == Slot::A { a } else { b } = state;
    }

    fn is_bootable(&self, slot: Slot) -> bool {
        !matches!(slot.of(&self.slots), State::Unbootable | State::Trial(0))
    }

    fn next(&self) -> Option<Slot> {
        let order = [self.preferred, self.preferred.other()];
        order.into_iter().find(|slot| self.is_bootable(*slot))
    }

    fn boot(&mut self) -> Option<Slot> {
        let slot = self.next()?;
        if let State::Trial(left) = slot.of(&self.slots) {
            self.set(slot, State::Trial(left - 1));
        }
        self.running = slot;
        Some(slot)
    }
}

/// Does the steps with both, and compares after each.
fn run(kind: Kind, steps: &[Step]) -> Result<(), TestCaseError> {
    let world = World::new(kind);
    let control = world.control();
    let mut model = Model::new(kind);
    prop_assert_eq!(control.counting().counts_successful, model.starts_when_good.is_some());
    // The others keep one list or one name, and cannot say that what runs is bad.
    let can_condemn = !matches!(kind, Kind::Efi | Kind::Mender);
    let mut is_written = false;
    for step in steps {
        let (own, other) = (model.running, model.running.other());
        let is_condemned = *own.of(&model.slots) == State::Unbootable;
        match *step {
            Step::Boot => {
                let started = model.boot();
                prop_assert_eq!(world.boot(), started, "{:?}: {:?}", kind, steps);
                if started.is_none() {
                    // There is nobody left who could do another step.
                    return Ok(());
                }
                is_written = false;
            }
            _ if is_condemned => continue,
            Step::MarkSuccessful => {
                control.mark_successful(own).unwrap();
                model.set(own, model.good());
            }
            Step::BeginUpdate => {
                control.mark_successful(own).unwrap();
                control.mark_unbootable(other).unwrap();
                model.set(own, model.good());
                model.set(other, State::Unbootable);
                is_written = true;
            }
            Step::FinishUpdate(tries) if is_written => {
                control.set_active(other, Some(tries)).unwrap();
                model.preferred = other;
                model.set(other, State::Trial(tries.min(model.max_tries)));
            }
            Step::Revert => {
                control.set_active(own, None).unwrap();
                model.preferred = own;
                model.set(own, model.good());
            }
            Step::Condemn if can_condemn && model.is_bootable(other) => {
                control.mark_unbootable(own).unwrap();
                model.set(own, State::Unbootable);
            }
            Step::FinishUpdate(_) | Step::Condemn => continue,
        }
        let status = control.status().unwrap();
        prop_assert_eq!(status.active, model.next(), "{:?} after {:?} of {:?}", kind, step, steps);
        check_active(kind, &model, &status)?;
    }
    Ok(())
}

/// What is told of the slot that is started next.
fn check_active(kind: Kind, model: &Model, status: &BootStatus) -> Result<(), TestCaseError> {
    let Some(active) = status.active else { return Ok(()) };
    let told = active.of(&status.slots);
    let (is_good, left) = match *active.of(&model.slots) {
        State::Trial(left) => (false, Some(left)),
        _ => (true, None),
    };
    prop_assert!(told.is_bootable);
    prop_assert_eq!(told.tries_left, left, "{:?}: {:?}", kind, model);
    let expected = model.starts_when_good.is_none().then_some(is_good);
    prop_assert_eq!(told.is_successful, expected, "{:?}: {:?}", kind, model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_boot_control_is_as_the_model(steps in steps()) {
        for kind in KINDS {
            run(kind, &steps)?;
        }
    }
}

/// What an update is for: a new system that fails is given up after its tries.
#[test]
fn a_slot_that_fails_is_given_up() {
    for kind in KINDS {
        let world = World::new(kind);
        let control = world.control();
        let max = control.counting().max_tries.min(3);
        assert_eq!(world.boot(), Some(Slot::A), "{kind:?}");
        control.mark_successful(Slot::A).unwrap();
        control.mark_unbootable(Slot::B).unwrap();
        control.set_active(Slot::B, Some(max)).unwrap();
        for _ in 0..max {
            assert_eq!(world.boot(), Some(Slot::B), "{kind:?}");
        }
        assert_eq!(world.boot(), Some(Slot::A), "{kind:?}");
        control.mark_successful(Slot::A).unwrap();
        assert_eq!(world.boot(), Some(Slot::A), "{kind:?}");
    }
}
