//! Who is visited when.
//!
//! One task keeps all devices that are at rest, by the time of their next visit, and gives those
//! that are due to tasks of their own, so many at a time. Waiting devices cost their own bytes only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use updraft_terminal::Terminal;

use crate::device::{Device, Next, World};
use crate::report;
use crate::tally::Kind;

/// Between two looks at the clock and at Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(5);
/// How long visits may take to end when the time is over.
const LAST: Duration = Duration::from_secs(10);

/// How a run is to go.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) devices: u32,
    pub(crate) duration: Option<Duration>,
    pub(crate) actions: Option<u32>,
    pub(crate) ramp: Duration,
    pub(crate) stampede_after: Option<Duration>,
    pub(crate) visits: usize,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// Each device did what was asked.
    Done,
    /// The time was over.
    Time,
    /// Somebody ended it.
    Interrupted,
}

struct Schedule {
    world: Arc<World>,
    plan: Plan,
    /// Devices at rest.
    resting: Vec<Option<Device>>,
    /// When which of them is due.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Devices that have done what was asked, or are never heard of again.
    done: u32,
    /// Devices that are never heard of again.
    gone: u32,
}

/// Plays until the end.
pub(crate) async fn play(world: &Arc<World>, plan: &Plan, terminal: &Terminal) -> End {
    let begun = Instant::now();
    let mut schedule = Schedule::new(world, plan, begun);
    let permits = Arc::new(Semaphore::new(plan.visits));
    // No task waits for room: there are not more of them than places.
    let (back, mut came) = mpsc::channel(plan.visits);
    let mut look = tokio::time::interval(LOOK);
    let (mut stampede, mut told) = (plan.stampede_after, begun);
    let end = loop {
        let now = Instant::now();
        let next = schedule.due.peek().map(|Reverse((moment, _))| *moment);
        let is_due = next.is_some_and(|moment| moment <= now);
        tokio::select! {
            Some((device, next)) = came.recv() => schedule.settle(device, next),
            Ok(permit) = Arc::clone(&permits).acquire_owned(), if is_due => {
                let Some(mut device) = schedule.take() else { continue };
                let (world, back) = (Arc::clone(world), back.clone());
                tokio::spawn(async move {
                    let next = device.visit(&world).await;
                    // Nobody listens after the end.
                    let _ = back.send((device, next)).await;
                    drop(permit);
                });
            }
            () = until(next), if !is_due => {}
            _ = look.tick() => {
                let passed = begun.elapsed();
                if terminal.context.cancel.is_cancelled() {
                    break End::Interrupted;
                }
                if plan.duration.is_some_and(|duration| passed >= duration) {
                    break End::Time;
                }
                if stampede.take_if(|after| passed >= *after).is_some() {
                    terminal.say("all devices start again");
                    schedule.stampede();
                }
                if told.elapsed() >= TELL {
                    told = Instant::now();
                    terminal.say(report::progress(&world.tally.totals(), passed));
                }
            }
        }
        if schedule.is_over() {
            break End::Done;
        }
    };
    // Who is being visited may end that.
    let all = permits.acquire_many(u32::try_from(plan.visits).unwrap_or(u32::MAX));
    let drained = async {
        tokio::join!(all, async {
            drop(back);
            while came.recv().await.is_some() {}
        })
    };
    drop(tokio::time::timeout(LAST, drained).await);
    end
}

/// Waits for a moment; for ever, if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

impl Schedule {
    fn new(world: &Arc<World>, plan: &Plan, begun: Instant) -> Self {
        let mut schedule = Self {
            world: Arc::clone(world),
            plan: plan.clone(),
            resting: Vec::new(),
            due: BinaryHeap::new(),
            done: 0,
            gone: 0,
        };
        for index in 0..plan.devices {
            let device = world.device(index, 0);
            schedule.due.push(Reverse((begun + device.first_visit(plan.ramp), index)));
            schedule.resting.push(Some(device));
        }
        schedule
    }

    /// The device that is due.
    fn take(&mut self) -> Option<Device> {
        let Reverse((moment, index)) = self.due.pop()?;
        let late = Instant::now().saturating_duration_since(moment);
        self.world.tally.took(Kind::Late, late, None);
        let device = self.resting.get_mut(index as usize)?.take()?;
        if !device.leaves() {
            return Some(device);
        }
        self.world.tally.devices(|devices| {
            devices.left += 1;
            devices.joined += 1;
        });
        if self.has_done(&device) {
            self.done -= 1;
        }
        Some(self.world.device(index, device.generation.wrapping_add(1)))
    }

    /// A visit is over.
    fn settle(&mut self, device: Device, next: Next) {
        let wait = match next {
            Next::After(wait) => wait,
            Next::Ended(wait) => {
                if self.plan.actions == Some(device.ended) {
                    self.done += 1;
                }
                wait
            }
            Next::Silent => {
                self.world.tally.devices(|devices| devices.silent += 1);
                self.gone += 1;
                if !self.has_done(&device) {
                    self.done += 1;
                }
                return;
            }
        };
        let index = device.index;
        let now = Instant::now();
        self.due.push(Reverse((now.checked_add(wait).unwrap_or(now), index)));
        if let Some(place) = self.resting.get_mut(index as usize) {
            *place = Some(device);
        }
    }

    fn has_done(&self, device: &Device) -> bool {
        self.plan.actions.is_some_and(|actions| device.ended >= actions)
    }

    fn is_over(&self) -> bool {
        self.gone == self.plan.devices
            || (self.plan.actions.is_some() && self.done >= self.plan.devices)
    }

    /// All devices at rest are due at once, and their connections are gone.
    fn stampede(&mut self) {
        self.world.cut();
        let now = Instant::now();
        self.due = std::mem::take(&mut self.due)
            .into_iter()
            .map(|Reverse((_, index))| Reverse((now, index)))
            .collect();
        for device in self.resting.iter_mut().flatten() {
            device.restart();
        }
    }
}
