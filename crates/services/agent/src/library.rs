//! The agent inside another program: methods that return at once, and events.
//!
//! One thread does the work, one piece after the other, in the order in which it was asked for; a
//! [`Pending`] is the receipt. The surface is that of aktualizr's library: whoever has written a
//! program around that finds every method and every event again.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use updraft_agent::config::{Sources, load};
//! use updraft_agent::{Agent, BackgroundAgent, Clock, LibraryEvent};
//!
//! # fn example(clock: Arc<dyn Clock>) -> Result<(), updraft_agent::Error> {
//! let sources = Sources { paths: vec!["/etc/updraft/updraftd.toml".into()], ..Sources::default() };
//! let agent = BackgroundAgent::start(Agent::new(load(&sources)?.settings, clock))?;
//! agent.on_event(|event| {
//!     if let LibraryEvent::DownloadProgressReport { target, progress, .. } = event {
//!         eprintln!("{target}: {progress} %");
//!     }
//! });
//! agent.initialize().wait()?;
//! let check = agent.check_updates().wait()?;
//! if !check.updates.is_empty() {
//!     agent.download(check.updates.clone()).wait()?;
//!     let done = agent.install(check.updates).wait()?;
//!     eprintln!("{}: {}", done.device.code.name(), done.device.description);
//! }
//! # Ok(())
//! # }
//! ```

mod events;
mod pending;
mod results;
mod shared;
mod stored;
mod worker;

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use serde_json::Value;
use updraft_task::Context;

pub use events::LibraryEvent;
pub use pending::Pending;
pub use results::{
    CheckStatus, Download, DownloadStatus, Install, InstallResult, PauseStatus, ResultCode,
    UpdateCheck,
};
pub(crate) use shared::Watch;

use crate::campaign::{Campaign, CampaignAnswer};
use crate::config::Settings;
use crate::info::secondaries_of;
use crate::secondaries::seam::Secondary;
use crate::store::{Installed, Store};
use crate::{Agent, CycleReport, Error, Result, SecondaryInfo, TargetSummary};
use shared::Shared;
use worker::{Job, Worker};

/// An agent that works in a thread of its own. When it is dropped, what is under way stops at its
/// next safe point.
#[derive(Debug)]
pub struct BackgroundAgent {
    settings: Settings,
    shared: Arc<Shared>,
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl BackgroundAgent {
    /// Starts the thread; nothing is opened yet. Deltas of our own format are passed over from now on,
    /// unless the program called [`work_if_called`](updraft_repo::delta::work_if_called) first.
    pub fn start(agent: Agent) -> Result<Self> {
        updraft_repo::delta::pack_in_workers_only();
        let settings = agent.settings().clone();
        let shared = Arc::new(Shared::new(&agent));
        let (queue, asked) = channel::<Job>();
        let worker = Worker::new(agent, Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("updraft-agent".to_owned())
            .spawn(move || worker.run(&asked))
            .map_err(Error::below("start the agent's thread"))?;
        Ok(Self { settings, shared, queue: Some(queue), thread: Some(thread) })
    }

    /// Opens the state, and provisions the device if that has not happened. Every other method
    /// does so, too, when it has not been done.
    pub fn initialize(&self) -> Pending<()> {
        self.ask(Worker::initialize)
    }

    /// Cycles every `uptane.polling_sec`; what else is asked for is done in between. Ends with
    /// [`shutdown`](Self::shutdown), or when the device cannot be provisioned.
    pub fn run_forever(&self) -> Pending<()> {
        let (pending, done) = Pending::new();
        self.send(Box::new(move |worker| worker.run_forever(done)));
        pending
    }

    /// Stops what is under way at its next safe point, and the thread.
    pub fn shutdown(mut self) {
        self.end();
    }

    /// Asks which campaigns the server offers.
    pub fn check_campaigns(&self) -> Pending<Vec<Campaign>> {
        self.ask(Worker::check_campaigns)
    }

    /// Answers a campaign.
    pub fn answer_campaign(&self, id: &str, answer: CampaignAnswer) -> Pending<()> {
        let id = id.to_owned();
        self.ask(move |worker, ctx| worker.answer_campaign(ctx, &id, answer))
    }

    /// Sends what the device tells of itself, as far as it has changed.
    pub fn send_device_data(&self) -> Pending<()> {
        self.ask(Worker::send_device_data)
    }

    /// Asks the server, and verifies its answer.
    pub fn check_updates(&self) -> Pending<UpdateCheck> {
        self.ask(Worker::check_updates)
    }

    /// Brings what is assigned. `targets` are those of a check: when others are assigned by now,
    /// nothing is brought. An assignment is one transaction; empty means: whatever it is.
    pub fn download(&self, targets: Vec<TargetSummary>) -> Pending<Download> {
        self.ask(move |worker, ctx| worker.download(ctx, &targets))
    }

    /// Installs what was brought; `targets` as for [`download`](Self::download).
    pub fn install(&self, targets: Vec<TargetSummary>) -> Pending<Install> {
        self.ask(move |worker, ctx| worker.install(ctx, &targets))
    }

    /// One whole cycle: after a reboot confirms or takes back, then checks, brings and installs.
    pub fn uptane_cycle(&self) -> Pending<CycleReport> {
        self.ask(Worker::cycle)
    }

    /// Sends a manifest; `custom` is what the program around the agent adds to it.
    pub fn send_manifest(&self, custom: Option<Value>) -> Pending<()> {
        self.ask(move |worker, ctx| worker.send_manifest(ctx, custom))
    }

    /// Replaces the text of the installation report that waits for the server. `false`: none does.
    pub fn set_installation_raw_report(&self, text: &str) -> Pending<bool> {
        let text = text.to_owned();
        self.ask(move |worker, ctx| worker.set_raw_report(ctx, text))
    }

    /// Brings a secondary of the program's own, which lives as long as the agent. From the next
    /// cycle on the server knows it, and it takes part in updates like any other.
    pub fn add_secondary(&self, secondary: impl Secondary + 'static) -> Pending<()> {
        let secondary = Box::new(secondary);
        self.ask(move |worker, ctx| worker.add_secondary(ctx, secondary))
    }

    /// Remembers a text with a secondary that the vehicle has. It means nothing to the agent.
    pub fn set_secondary_data(&self, serial: &str, data: &str) -> Pending<()> {
        let (serial, data) = (serial.to_owned(), data.to_owned());
        self.ask(move |worker, ctx| worker.set_secondary_data(ctx, &serial, &data))
    }

    /// The vehicle's other ECUs that have answered once, by their serials.
    pub fn secondaries(&self) -> Result<Vec<SecondaryInfo>> {
        let store = Store::open_to_read(&self.settings.storage)?;
        store.map_or_else(|| Ok(Vec::new()), |store| secondaries_of(&store))
    }

    /// Sends this instead of what the agent finds out about the hardware.
    pub fn set_custom_hardware_info(&self, hardware: Value) {
        self.send(Box::new(move |worker| worker.set_hardware(hardware)));
    }

    /// What was confirmed on this device, oldest first.
    pub fn installation_log(&self) -> Result<Vec<Installed>> {
        let store = Store::open_to_read(&self.settings.storage)?;
        store.map_or_else(|| Ok(Vec::new()), |store| store.history())
    }

    /// The targets whose files are on this device. Commits are no files.
    pub fn stored_targets(&self) -> Result<Vec<TargetSummary>> {
        stored::list(&self.settings)
    }

    /// Removes the file of a target that does not run.
    pub fn delete_stored_target(&self, target: &TargetSummary) -> Result<()> {
        stored::delete(&self.settings, target)
    }

    /// The file of a target.
    pub fn open_stored_target(&self, target: &TargetSummary) -> Result<File> {
        stored::open(&self.settings, target)
    }

    /// Lets all work stand still at its next safe point. Ends with this program; `updraftd pause`
    /// holds longer.
    pub fn pause(&self) -> PauseStatus {
        if self.shared.pause() { PauseStatus::Success } else { PauseStatus::AlreadyPaused }
    }

    /// Lets work go on.
    pub fn resume(&self) -> PauseStatus {
        if self.shared.resume() { PauseStatus::Success } else { PauseStatus::AlreadyRunning }
    }

    /// Stops what is under way, and drops what was asked for after it; what comes later is done.
    pub fn abort(&self) {
        self.shared.abort();
    }

    /// Hears all events, in the thread that does the work: return quickly, and wait for nothing
    /// that the agent is to do.
    pub fn on_event(&self, handler: impl Fn(&LibraryEvent) + Send + Sync + 'static) {
        self.shared.listen(Arc::new(handler));
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker, &Context) -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        let (pending, done) = Pending::new();
        let ctx = self.shared.context();
        self.send(Box::new(move |worker| {
            let result = ctx.check().map_err(Error::from).and_then(|()| work(worker, &ctx));
            worker.has_worked();
            // Nobody may be waiting.
            let _ = done.send(result);
        }));
        pending
    }

    fn send(&self, job: Job) {
        // A thread that is gone drops the job, and whoever waits hears that it was cancelled.
        if let Some(queue) = &self.queue {
            let _ = queue.send(job);
        }
    }

    fn end(&mut self) {
        self.shared.close();
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for BackgroundAgent {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use jiff::Timestamp;
    use updraft_task::{Cancelled, Context};

    use super::{BackgroundAgent, PauseStatus};
    use crate::config::Settings;
    use crate::secondary;
    use crate::{Agent, Clock, Error};

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            "2026-06-01T12:00:00Z".parse().unwrap()
        }

        fn wait(&self, ctx: &Context, _: Duration) -> Result<(), Cancelled> {
            ctx.check()
        }
    }

    /// An agent that can do nothing but say why.
    fn agent(folder: &std::path::Path) -> BackgroundAgent {
        let mut settings = Settings::default();
        settings.storage.path = folder.join("storage");
        settings.pacman.kind = "none".to_owned();
        settings.pacman.images_path = folder.join("images");
        BackgroundAgent::start(Agent::new(settings, Arc::new(Noon))).unwrap()
    }

    #[test]
    fn paused_work_waits_and_aborted_work_never_begins() {
        let folder = tempfile::tempdir().unwrap();
        let agent = agent(folder.path());
        assert_eq!(agent.pause(), PauseStatus::Success);
        assert_eq!(agent.pause(), PauseStatus::AlreadyPaused);
        let first = agent.send_device_data();
        let second = agent.check_updates();
        assert!(first.wait_for(Duration::from_millis(100)).is_none(), "it did not wait");
        agent.abort();
        assert!(matches!(first.wait(), Err(Error::Cancelled(_))));
        assert!(matches!(second.wait(), Err(Error::Cancelled(_))));
        // An abort ends the pause as well, and what is asked for afterwards is done.
        assert_eq!(agent.resume(), PauseStatus::AlreadyRunning);
        assert!(matches!(agent.initialize().wait(), Err(Error::NotProvisioned { .. })));
        agent.shutdown();
    }

    #[test]
    fn errors_reach_whoever_asked_and_whoever_listens() {
        let folder = tempfile::tempdir().unwrap();
        let agent = agent(folder.path());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        agent.on_event(move |event| told.lock().unwrap().push(event.name()));
        assert!(agent.check_updates().wait().is_err());
        assert!(agent.uptane_cycle().wait().is_err());
        // A device that cannot get an identity does not try for ever.
        assert!(matches!(agent.run_forever().wait(), Err(Error::NotProvisioned { .. })));
        assert_eq!(*heard.lock().unwrap(), ["UpdateCheckComplete"; 3]);
        assert!(agent.installation_log().unwrap().is_empty());
        assert!(agent.stored_targets().unwrap().is_empty());
    }

    /// A secondary that says who it is, and no more.
    struct Shy(updraft_tuf::PublicKey);

    impl secondary::Secondary for Shy {
        fn info(&mut self, _: &Context) -> secondary::Result<secondary::Known> {
            let (serial, hardware_id) = ("shy-1".to_owned(), "shy".to_owned());
            Ok(secondary::Known { serial, hardware_id, key: self.0.clone() })
        }
        fn manifest(&mut self, _: &Context) -> secondary::Result<Vec<u8>> {
            Ok(Vec::new())
        }
        fn root_version(
            &mut self,
            _: &Context,
            _: secondary::Repository,
        ) -> secondary::Result<Option<u64>> {
            Ok(None)
        }
        fn put_root(
            &mut self,
            _: &Context,
            _: secondary::Repository,
            _: &[u8],
        ) -> secondary::Result<()> {
            Ok(())
        }
        fn put_metadata(
            &mut self,
            _: &Context,
            _: &secondary::TrustedMetadata,
        ) -> secondary::Result<()> {
            Ok(())
        }
        fn send_image(
            &mut self,
            _: &Context,
            _: &mut std::fs::File,
            _: u64,
        ) -> secondary::Result<()> {
            Ok(())
        }
        fn install(&mut self, _: &Context, _: &str) -> secondary::Result<secondary::Installation> {
            Ok(secondary::Installation::Done)
        }
        fn revert(&mut self, _: &Context) -> secondary::Result<()> {
            Ok(())
        }
        fn confirm(&mut self, _: &Context) -> secondary::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_secondary_is_brought_once() {
        let folder = tempfile::tempdir().unwrap();
        let agent = agent(folder.path());
        let key = updraft_crypto::SigningKey::generate(updraft_crypto::KeyAlgorithm::Ed25519);
        let key = key.unwrap().public().clone();
        agent.add_secondary(Shy(key.clone())).wait().unwrap();
        let again = agent.add_secondary(Shy(key)).wait();
        assert!(matches!(again, Err(Error::Secondary { .. })), "{again:?}");
        assert!(agent.secondaries().unwrap().is_empty(), "nobody has asked it yet");
    }
}
