//! From what should be and what is to what must be done. No I/O, no clock, no choice left.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Component, Digest, Effect, Error, Image, Observation};

/// What the device should run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intended {
    /// Names this wish in reports. May be empty.
    pub id: String,
    /// The wanted image of each component that is to change.
    pub images: BTreeMap<Component, Image>,
}

impl Intended {
    /// From an assignment's components and images. Fails when a component appears twice.
    pub fn new<'a>(
        id: impl Into<String>,
        images: impl IntoIterator<Item = (&'a Component, &'a Image)>,
    ) -> Result<Self, Error> {
        let mut intended = Self { id: id.into(), images: BTreeMap::new() };
        for (component, image) in images {
            if intended.images.insert(component.clone(), image.clone()).is_some() {
                return Err(Error::DuplicateComponent { component: component.to_string() });
            }
        }
        Ok(intended)
    }
}

/// What the device runs, and what it remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Each component that has an installer: when an image takes effect, and what is there.
    pub components: BTreeMap<Component, (bool, Observation)>,
    /// Images that failed on this device and are not to be tried again.
    pub known_bad: BTreeSet<Digest>,
}

impl Observed {
    /// Adds what one installer sees.
    pub fn add(&mut self, component: Component, effect: Effect, observation: Observation) {
        self.components.insert(component, (effect == Effect::AfterReboot, observation));
    }
}

/// What is to be done with one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Bring all bytes to the device.
    Fetch,
    /// Put the image in place beside what runs.
    Stage,
    /// Make it run next.
    Activate,
    /// Boot into it. One for all components.
    Reboot,
    /// See whether it does its work.
    CheckHealth,
    /// Make it the good one.
    Confirm,
}

/// One thing to do. What it does is fixed by the plan alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What.
    pub kind: ActionKind,
    /// With which component; for [`ActionKind::Reboot`] the first that needs it.
    pub component: Component,
    /// The new image.
    pub image: Image,
    /// What ran next before, and does again if the transaction turns back.
    pub previous: Option<Image>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, image, .. } = self;
        match self.kind {
            ActionKind::Fetch => write!(f, "fetch {image} for {component}"),
            ActionKind::Stage => write!(f, "stage {image} on {component}"),
            ActionKind::Activate => write!(f, "activate {image} on {component}"),
            ActionKind::Reboot => write!(f, "reboot into {image} on {component}"),
            ActionKind::CheckHealth => write!(f, "check the health of {image} on {component}"),
            ActionKind::Confirm => write!(f, "confirm {image} on {component}"),
        }
    }
}

/// Why a component has no action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It runs the wanted image already.
    UpToDate,
    /// The wanted image failed here before; the whole assignment is left alone.
    KnownBad,
    /// There is no installer for it; the whole assignment is left alone.
    NoInstaller,
    /// It is to be updated; the actions say how.
    Update,
}

/// What must be done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names the wish behind it. May be empty.
    pub id: String,
    /// What was decided for each component, and which image it is about.
    pub decisions: Vec<(Component, Image, Decision)>,
    /// The actions. Empty when there is nothing to do.
    pub actions: Vec<Action>,
}

impl Plan {
    /// Whether the plan leads to the same images as `intended` wants.
    #[must_use]
    pub fn leads_to(&self, intended: &Intended) -> bool {
        self.decisions.len() == intended.images.len()
            && self.decisions.iter().all(|(component, image, _)| {
                intended.images.get(component).is_some_and(|wanted| wanted == image)
            })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (component, image, decision) in &self.decisions {
            match decision {
                Decision::UpToDate => writeln!(f, "{component} runs {image} already")?,
                Decision::KnownBad => {
                    writeln!(f, "{image} failed on {component} before and is not tried again")?;
                }
                Decision::NoInstaller => writeln!(f, "nothing here can update {component}")?,
                Decision::Update => {}
            }
        }
        for (index, action) in self.actions.iter().enumerate() {
            writeln!(f, "{}. {action}", index + 1)?;
        }
        Ok(())
    }
}

/// Makes the plan. Pure: equal arguments give equal plans.
///
/// All components of the assignment go together: first everything is fetched, then staged, then
/// activated, then the device reboots at most once. If any component cannot or must not be
/// updated, nothing is.
#[must_use]
pub fn plan(intended: &Intended, observed: &Observed) -> Plan {
    let decisions: Vec<_> = intended
        .images
        .iter()
        .map(|(component, image)| {
            (component.clone(), image.clone(), decide(component, image, observed))
        })
        .collect();
    let blocked = decisions
        .iter()
        .any(|(_, _, decision)| matches!(decision, Decision::KnownBad | Decision::NoInstaller));
    let actions = if blocked { Vec::new() } else { actions(&decisions, observed) };
    Plan { id: intended.id.clone(), decisions, actions }
}

fn decide(component: &Component, image: &Image, observed: &Observed) -> Decision {
    let Some((_, there)) = observed.components.get(component) else {
        return Decision::NoInstaller;
    };
    if there.running.as_ref() == Some(image) && there.next.as_ref() == Some(image) {
        Decision::UpToDate
    } else if observed.known_bad.contains(&image.digest) {
        Decision::KnownBad
    } else {
        Decision::Update
    }
}

fn actions(decisions: &[(Component, Image, Decision)], observed: &Observed) -> Vec<Action> {
    const ORDER: [ActionKind; 6] = [
        ActionKind::Fetch,
        ActionKind::Stage,
        ActionKind::Activate,
        ActionKind::Reboot,
        ActionKind::CheckHealth,
        ActionKind::Confirm,
    ];
    let updates: Vec<_> = decisions
        .iter()
        .filter(|(_, _, decision)| *decision == Decision::Update)
        .filter_map(|(component, image, _)| {
            observed.components.get(component).map(|there| (component, image, there))
        })
        .collect();
    let mut actions = Vec::new();
    for kind in ORDER {
        for (component, image, (after_reboot, there)) in &updates {
            let is_next = there.next.as_ref() == Some(image);
            let in_place =
                is_next || there.running.as_ref() == Some(image) || there.staged.contains(image);
            let wanted = match kind {
                ActionKind::Fetch | ActionKind::Stage => !in_place,
                ActionKind::Activate => !is_next,
                ActionKind::Reboot => {
                    *after_reboot
                        && there.running.as_ref() != Some(image)
                        && !actions.iter().any(|a: &Action| a.kind == ActionKind::Reboot)
                }
                ActionKind::CheckHealth | ActionKind::Confirm => true,
            };
            if wanted {
                // Where the wanted image is the next one already, what runs is what to return to.
                let previous = if is_next { &there.running } else { &there.next };
                actions.push(Action {
                    kind,
                    component: (*component).clone(),
                    image: (*image).clone(),
                    previous: previous.clone(),
                });
            }
        }
    }
    actions
}
