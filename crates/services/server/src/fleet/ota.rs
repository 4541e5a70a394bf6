//! What the scripts and tools of the OTA world (ota-tuf, director, device registry, treehub) ask
//! of a server, done on the same fleet.
//!
//! - [`repository`]: an Image repository whose root and targets keys are on the server, and
//!   targets added and removed one by one;
//! - [`keys`]: its keys, shown, deleted and rotated; roots signed elsewhere;
//! - [`delegations`]: who else may sign for which targets;
//! - [`remote_delegations`]: those whose metadata the server fetches;
//! - [`updates`]: multi-target updates, which are releases here;
//! - [`assignments`]: devices told to run one of them: a rollout in one step;
//! - [`registry`]: devices as the device registry shows and makes them;
//! - [`campaigns`]: updates for the devices of groups, told at once or after a question;
//! - [`deliveries`]: how far each of those devices has come;
//! - [`standing_orders`]: updates that are told at a time, and packages that are followed;
//! - [`expression`]: rules that say who belongs to a group;
//! - [`offline`]: lists of updates for vehicles without network.

pub mod assignments;
pub mod campaigns;
pub mod delegations;
pub mod deliveries;
pub mod expression;
pub mod keys;
pub mod offline;
pub mod registry;
pub mod remote_delegations;
pub mod repository;
pub mod standing_orders;
pub mod tags;
pub mod tags_table;
pub mod updates;

/// A page of a list as the OTA world counts: by offset, with the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many are passed over.
    pub offset: u64,
    /// How many are wanted.
    pub limit: u64,
}

impl Window {
    /// The items of this window, and how many there are.
    pub fn cut<T>(self, items: Vec<T>) -> (Vec<T>, u64) {
        let total = items.len() as u64;
        let skip = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(self.limit).unwrap_or(usize::MAX);
        (items.into_iter().skip(skip).take(take).collect(), total)
    }
}
