//! A device in memory: what is on its disk survives a power cut, the rest does not.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::json;
use updraft_error::{Classify, Kind};
use updraft_task::Context;
use updraft_tuf::{Hashes, Outcome, Target, UptaneTarget, Verified};
use updraft_update::{
    Assignment, Component, Effect, Finished, Health, Host, Image, Installer, Journal, Observation,
    Record, StepError,
};

use super::common::{World, director_target};

/// What every component runs at first.
pub const OLD: &str = "old";

pub fn system() -> Component {
    Component::new("primary")
}

pub fn app() -> Component {
    Component::new("second")
}

fn image(name: &str) -> Image {
    Image { name: name.to_owned(), digest: digest(name).parse().unwrap() }
}

fn digest(name: &str) -> String {
    Hashes::of(name.as_bytes()).sha256().unwrap().to_string()
}

/// Orders both components to this image, proven by a full verification.
pub fn assignment(name: &str) -> Assignment<UptaneTarget> {
    let mut world = World::uptane();
    for server in [&mut world.director, &mut world.image] {
        server.targets.targets.clear();
    }
    let of_image = |content: &str| {
        let mut target = Target::new(content.len() as u64, Hashes::of(content.as_bytes()));
        target.custom = Some(json!({ "hardwareIds": ["hw-1"], "targetFormat": "BINARY" }));
        target
    };
    world.image.targets.targets.insert(name.to_owned(), of_image(name));
    let mut ordered = director_target(name.as_bytes(), "primary", "hw-1");
    ordered.custom = Some(json!({ "ecuIdentifiers": {
        "primary": { "hardwareId": "hw-1" }, "second": { "hardwareId": "hw-1" } } }));
    world.director.targets.targets.insert(name.to_owned(), ordered);
    for ecu in &mut world.ecus {
        "hw-1".clone_into(&mut ecu.hardware_id);
    }
    world.director.publish();
    world.image.publish();
    let Outcome::Update(targets) = world.run().unwrap() else { panic!("no update") };
    let targets = targets
        .into_iter()
        .map(|target| (Component::new(target.ecu_serial.clone()), image(name), target))
        .collect();
    Assignment { id: format!("order-{name}"), targets }
}

/// An injected error.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("injected: {0}")]
pub struct Trouble(pub Kind);

impl Classify for Trouble {
    fn kind(&self) -> Kind {
        self.0
    }
}

/// When operations fail.
#[derive(Debug, Clone, Copy)]
pub enum Fuse {
    Never,
    /// After so many operations nothing happens any more.
    Cut(u32),
    /// Operation number N alone fails.
    Once(u32, Trouble),
}

/// One component's part of the disk.
#[derive(Debug, Clone, Default)]
struct Slot {
    fetched: BTreeSet<String>,
    staged: BTreeSet<String>,
    next: String,
    confirmed: String,
}

#[derive(Debug)]
struct State {
    slots: [Slot; 2],
    journal: Option<Vec<u8>>,
    sentinel: bool,
    // What does not survive a reboot, or only a new boot changes.
    system_runs: String,
    boots: u32,
    fuse: Fuse,
    operations: u32,
    struck: bool,
    sick: bool,
    // Boots from which on it is well, and what the boot loader counts, if it does.
    well_after: u32,
    tries: Option<u32>,
}

/// A handle of the device; a new handle is a new process.
#[derive(Debug, Clone)]
pub struct Device(Rc<RefCell<State>>);

impl Device {
    pub fn on_old(sick: bool) -> Self {
        let slot = Slot {
            fetched: BTreeSet::new(),
            staged: BTreeSet::from([OLD.to_owned()]),
            next: OLD.to_owned(),
            confirmed: OLD.to_owned(),
        };
        Self(Rc::new(RefCell::new(State {
            slots: [slot.clone(), slot],
            journal: None,
            sentinel: false,
            system_runs: OLD.to_owned(),
            boots: 0,
            fuse: Fuse::Never,
            operations: 0,
            struck: false,
            sick,
            well_after: u32::MAX,
            tries: None,
        })))
    }

    /// A device whose boot loader tries a new system so often, and whose new system is sick
    /// before that boot.
    pub fn counted(tries: u32, well_after: u32) -> Self {
        let device = Self::on_old(true);
        let mut state = device.0.borrow_mut();
        (state.tries, state.well_after) = (Some(tries), well_after);
        drop(state);
        device
    }

    pub fn boots(&self) -> u32 {
        self.0.borrow().boots
    }

    pub fn process(&self) -> Self {
        self.clone()
    }

    pub fn parts(&self) -> (Slotted, Slotted, Self, Self) {
        let slotted = |index| Slotted { device: self.clone(), index };
        (slotted(0), slotted(1), self.clone(), self.clone())
    }

    pub fn set(&self, fuse: Fuse) {
        let mut state = self.0.borrow_mut();
        (state.fuse, state.operations, state.struck) = (fuse, 0, false);
    }

    pub fn has_struck(&self) -> bool {
        self.0.borrow().struck
    }

    /// The boot loader runs what is next.
    pub fn reboot(&self) {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let slot = &state.slots[0];
        state.system_runs.clone_from(&slot.next);
        if slot.next != slot.confirmed {
            match &mut state.tries {
                Some(0) => OLD.clone_into(&mut state.system_runs),
                Some(tries) => *tries -= 1,
                None => {}
            }
        }
        state.sentinel = false;
        state.boots += 1;
        assert!(state.boots < 10, "the device reboots on and on");
    }

    pub fn next(&self) -> [String; 2] {
        self.0.borrow().slots.clone().map(|slot| slot.next)
    }

    pub fn acknowledge(&self) {
        self.0.borrow_mut().journal = None;
    }

    /// What always holds: what runs and what runs next is complete.
    pub fn check(&self, wanted: &Assignment<UptaneTarget>) {
        let state = self.0.borrow();
        let new = &wanted.targets[0].1.name;
        for slot in &state.slots {
            assert!(slot.staged.contains(&slot.next), "{} is next and not staged", slot.next);
            assert!(slot.next == OLD || slot.next == *new);
        }
        assert!(state.slots[0].staged.contains(&state.system_runs), "what runs was removed");
    }

    /// What holds at the end: all new and confirmed, or all old.
    pub fn check_end(&self, end: Finished, wanted: &Assignment<UptaneTarget>) {
        let state = self.0.borrow();
        let expected = match end {
            Finished::Installed => wanted.targets[0].1.name.as_str(),
            Finished::RolledBack => OLD,
        };
        assert_eq!(state.system_runs, expected, "{state:?}");
        for slot in &state.slots {
            assert_eq!(slot.next, expected, "{state:?}");
            if end == Finished::Installed {
                assert_eq!(slot.confirmed, expected, "{state:?}");
            }
        }
    }

    /// Counts an operation, and fails it if it is its turn.
    fn operate(&self) -> Result<(), StepError> {
        let mut state = self.0.borrow_mut();
        let number = state.operations;
        state.operations += 1;
        let trouble = match state.fuse {
            Fuse::Cut(after) if number >= after => Some(Trouble(Kind::Cancelled)),
            Fuse::Once(at, trouble) if number == at => Some(trouble),
            _ => None,
        };
        match trouble {
            None => Ok(()),
            Some(trouble) => {
                state.struck = true;
                Err(StepError::new(trouble))
            }
        }
    }

    /// An operation whose effect may be there although it failed: the cut comes before or after.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), StepError> {
        self.operate()?;
        change(&mut self.0.borrow_mut());
        self.operate()
    }
}

impl Journal for Device {
    fn load(&mut self) -> Result<Option<Record>, StepError> {
        self.operate()?;
        let state = self.0.borrow();
        state.journal.as_deref().map(Record::decode).transpose().map_err(StepError::new)
    }

    fn store(&mut self, record: &Record) -> Result<(), StepError> {
        self.change(|state| state.journal = Some(record.encode()))
    }

    fn clear(&mut self) -> Result<(), StepError> {
        self.change(|state| state.journal = None)
    }
}

impl Host for Device {
    fn request_reboot(&mut self, _ctx: &Context) -> Result<String, StepError> {
        self.change(|state| state.sentinel = true)?;
        Ok(self.0.borrow().boots.to_string())
    }

    fn has_rebooted_since(&mut self, token: &str) -> Result<bool, StepError> {
        self.operate()?;
        Ok(self.0.borrow().boots.to_string() != token)
    }
}

/// The installer of one component: 0, the system, needs a reboot; 1, an app, does not.
pub struct Slotted {
    device: Device,
    index: usize,
}

impl Slotted {
    fn change(&self, change: impl FnOnce(&mut Slot)) -> Result<(), StepError> {
        self.device.change(|state| change(&mut state.slots[self.index]))
    }
}

impl Installer for Slotted {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        if self.index == 0 { Effect::AfterReboot } else { Effect::AtOnce }
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        self.device.operate()?;
        let state = self.device.0.borrow();
        let slot = &state.slots[self.index];
        let running = if self.index == 0 { &state.system_runs } else { &slot.next };
        Ok(Observation {
            running: Some(image(running)),
            next: Some(image(&slot.next)),
            staged: slot.staged.iter().filter(|one| **one != slot.next).map(|n| image(n)).collect(),
        })
    }

    fn is_fetched(&mut self, _ctx: &Context, image: &Image) -> Result<bool, StepError> {
        self.device.operate()?;
        Ok(self.device.0.borrow().slots[self.index].fetched.contains(&image.name))
    }

    fn fetch(&mut self, _ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.change(|slot| {
            slot.fetched.insert(target.filepath.clone());
        })
    }

    fn discard(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.change(|slot| {
            slot.fetched.remove(&image.name);
        })
    }

    fn stage(&mut self, _ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.change(|slot| {
            assert!(slot.fetched.contains(&target.filepath), "staged before it was fetched");
            slot.staged.insert(target.filepath.clone());
        })
    }

    fn unstage(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.change(|slot| {
            assert_ne!(slot.next, image.name, "what runs next was to be removed");
            slot.staged.remove(&image.name);
        })
    }

    fn activate(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.change(|slot| slot.next.clone_from(&image.name))
    }

    fn deactivate(
        &mut self,
        _ctx: &Context,
        _image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        let back_to = back_to.expect("there was something before").name.clone();
        self.change(|slot| slot.next = back_to)
    }

    fn check_health(&mut self, _ctx: &Context, _image: &Image) -> Result<Health, StepError> {
        self.device.operate()?;
        let state = self.device.0.borrow();
        if !state.sick || state.boots >= state.well_after {
            return Ok(Health::Good);
        }
        if state.tries.is_some_and(|tries| tries > 0) {
            return Ok(Health::TryAgain);
        }
        Err(StepError::message(Kind::Invalid, "pass the health check"))
    }

    fn why_not_running(&mut self, _ctx: &Context, _image: &Image) -> Option<String> {
        (self.device.0.borrow().tries == Some(0)).then(|| "no tries were left".to_owned())
    }

    fn confirm(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.change(|slot| slot.confirmed.clone_from(&image.name))
    }
}
