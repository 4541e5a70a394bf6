//! Signs of life for the service manager.
//!
//! Datagrams to the socket that systemd names in `NOTIFY_SOCKET` (`sd_notify(3)`): `READY=1` when the
//! service runs, `WATCHDOG=1` at least once in the time that `WATCHDOG_USEC` gives, `STOPPING=1`
//! when it ends. A service that waits for its next round is alive, and so is one that people have
//! paused. One that works is while its work says something; when it says nothing for too long, the
//! signs stop, and systemd starts it anew.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use updraft_task::{Context, Event, Progress};

/// Work that says nothing for so long hangs: no request, check or step may take that long.
const HANGS_AFTER: Duration = Duration::from_hours(1);
/// Twice in the time that systemd waits.
const SIGNS_IN_TIME: u32 = 2;

/// Who started the service, and what it wants to hear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceManager {
    /// `NOTIFY_SOCKET`: a path, or `@` and a name that is no file's. `None`: nobody listens.
    pub socket: Option<PathBuf>,
    /// `WATCHDOG_USEC`: without a sign for that long the service is taken for dead. `None`: signs
    /// are not asked for.
    pub watchdog: Option<Duration>,
}

/// What the thread that gives the signs is told.
#[derive(Debug)]
struct State {
    /// When the work last said something; `None` while there is none.
    heard: Option<Instant>,
    has_ended: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// A service that has said that it runs. It says that it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    shared: Shared,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Notifier {
    /// Says that the service runs, and gives signs of life from now on.
    pub(crate) fn start(manager: &ServiceManager) -> Self {
        Self::start_with(manager, HANGS_AFTER)
    }

    fn start_with(manager: &ServiceManager, hangs_after: Duration) -> Self {
        let state = State { heard: None, has_ended: false };
        let shared: Shared = Arc::new((Mutex::new(state), Condvar::new()));
        let mut notifier = Self { socket: manager.connect(), shared, thread: None };
        notifier.say("READY=1");
        if let (Some((socket, address)), Some(time)) = (&notifier.socket, manager.watchdog)
            && let Ok(socket) = socket.try_clone()
        {
            let (address, shared) = (address.clone(), notifier.shared.clone());
            let give = move || give_signs(&socket, &address, time, hangs_after, &shared);
            notifier.thread = Some(std::thread::spawn(give));
        }
        notifier
    }

    /// A context for one round of work: what is reported to it is a sign of life.
    pub(crate) fn working(&self, ctx: &Context) -> Context {
        note(&self.shared, Some(Instant::now()));
        let progress = Listener { inner: ctx.progress.clone(), shared: self.shared.clone() };
        ctx.clone().with_progress(Arc::new(progress))
    }

    /// Lets work that waits on purpose show that it lives.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse(Some(self.shared.clone()))
    }

    /// The round is over.
    pub(crate) fn waiting(&self) {
        note(&self.shared, None);
    }

    fn say(&self, text: &str) {
        if let Some((socket, address)) = &self.socket {
            send(socket, address, text);
        }
    }
}

/// Shows that work which says nothing lives all the same. The default is nobody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Option<Shared>);

impl Pulse {
    /// A sign of life of the round that is under way, if one is.
    pub(crate) fn beat(&self) {
        let Some(shared) = &self.0 else { return };
        let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Between two rounds nobody has to say anything, and must not seem to have stopped.
        state.heard = state.heard.map(|_| Instant::now());
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.say("STOPPING=1");
    }
}

impl ServiceManager {
    fn connect(&self) -> Option<(UnixDatagram, SocketAddr)> {
        let path = self.socket.as_ref()?;
        let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(path),
        };
        match address.and_then(|address| Ok((UnixDatagram::unbound()?, address))) {
            Ok(connected) => Some(connected),
            Err(error) => {
                tracing::warn!(%error, socket = %path.display(), "NOTIFY_SOCKET cannot be used");
                None
            }
        }
    }
}

/// Passes on what work says, and notes that it said something.
struct Listener {
    inner: Arc<dyn Progress>,
    shared: Shared,
}

impl Progress for Listener {
    fn report(&self, event: &Event) {
        note(&self.shared, Some(Instant::now()));
        self.inner.report(event);
    }
}

fn note(shared: &Shared, heard: Option<Instant>) {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner).heard = heard;
}

fn give_signs(
    socket: &UnixDatagram,
    address: &SocketAddr,
    time: Duration,
    hangs_after: Duration,
    shared: &Shared,
) {
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.has_ended {
        if state.heard.is_none_or(|heard| heard.elapsed() < hangs_after) {
            send(socket, address, "WATCHDOG=1");
        } else {
            tracing::error!("the work says nothing any more; the service manager will end it");
        }
        let waited = shared.1.wait_timeout(state, time / SIGNS_IN_TIME);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn send(socket: &UnixDatagram, address: &SocketAddr, text: &str) {
    if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
        tracing::warn!(%error, text, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Storage;
    use crate::control::{Control, ControlGate};

    /// Time stands still.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn wait(&self, ctx: &Context, _: Duration) -> Result<(), updraft_task::Cancelled> {
            ctx.check()
        }
    }

    const TIME: Duration = Duration::from_millis(60);

    fn listen(folder: &tempfile::TempDir) -> (UnixDatagram, ServiceManager) {
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (listener, ServiceManager { socket: Some(path), watchdog: Some(TIME) })
    }

    fn next(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn it_says_when_it_runs_lives_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, manager) = listen(&folder);
        let notifier = Notifier::start(&manager);
        let said: Vec<String> = (0..4).map(|_| next(&listener)).collect();
        assert_eq!(said, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
        drop(notifier);
        let last = std::iter::repeat_with(|| next(&listener)).find(|text| text != "WATCHDOG=1");
        assert_eq!(last.as_deref(), Some("STOPPING=1"));
    }

    #[test]
    fn work_that_says_nothing_is_not_covered_up() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, manager) = listen(&folder);
        let notifier = Notifier::start_with(&manager, Duration::ZERO);
        assert_eq!([next(&listener), next(&listener)], ["READY=1", "WATCHDOG=1"]);
        let ctx = notifier.working(&Context::silent());
        // One may be on its way.
        listener.set_read_timeout(Some(3 * TIME)).unwrap();
        let mut buffer = [0; 64];
        while listener.recv(&mut buffer).is_ok() {}
        ctx.report(&Event::Message("a word".to_owned()));
        notifier.waiting();
        listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(next(&listener), "WATCHDOG=1");
    }

    #[test]
    fn a_word_from_the_work_is_a_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, manager) = listen(&folder);
        let notifier = Notifier::start_with(&manager, Duration::from_hours(1));
        let heard = || notifier.shared.0.lock().unwrap().heard;
        let ctx = notifier.working(&Context::silent());
        let first = heard().unwrap();
        ctx.report(&Event::Message("a word".to_owned()));
        assert!(heard().unwrap() > first);
        assert_eq!(next(&listener), "READY=1");
    }

    #[test]
    fn a_round_that_people_have_paused_lives() {
        const HANGS_AFTER: Duration = Duration::from_millis(400);
        let folder = tempfile::tempdir().unwrap();
        let (listener, manager) = listen(&folder);
        let notifier = Notifier::start_with(&manager, HANGS_AFTER);
        let storage = Storage { path: folder.path().join("storage"), ..Storage::default() };
        let control = Control::new(&storage);
        control.change(|wishes| wishes.paused = true).unwrap();
        let silent = Context::silent();
        let gate = ControlGate::new(&storage, silent.progress.clone(), Arc::new(Still))
            .with_pulse(notifier.pulse());
        let ctx = notifier.working(&silent).with_gate(Arc::new(gate));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let work = scope.spawn(|| ctx.check());
            // The work says nothing meanwhile, for longer than it may.
            while begun.elapsed() < 3 * HANGS_AFTER {
                assert_ne!(next(&listener), "");
            }
            listener.set_nonblocking(true).unwrap();
            while listener.recv(&mut [0; 64]).is_ok() {}
            listener.set_nonblocking(false).unwrap();
            let said = next(&listener);
            let worked = !work.is_finished();
            control.change(|wishes| wishes.paused = false).unwrap();
            work.join().unwrap().unwrap();
            assert!(said == "WATCHDOG=1" && worked, "{said}, at work: {worked}");
        });
        notifier.waiting();
        notifier.pulse().beat();
        assert!(notifier.shared.0.lock().unwrap().heard.is_none(), "waiting became work");
    }

    #[test]
    fn names_that_are_no_files_are_understood_and_nobody_is_no_trouble() {
        let name = format!("updraft-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        let manager = ServiceManager { socket: Some(format!("@{name}").into()), watchdog: None };
        drop(Notifier::start(&manager));
        assert_eq!([next(&listener), next(&listener)], ["READY=1", "STOPPING=1"]);
        drop(listener);
        drop(Notifier::start(&manager));
        drop(Notifier::start(&ServiceManager::default()));
    }
}
