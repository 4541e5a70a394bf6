//! [`Reusing`]: connections that are asked once, not twice, whether they are still open.
//!
//! The HTTP library looks whether a connection is as it should be both when it puts it by after an
//! answer and when it takes it for the next request, with three system calls each time. A pull takes
//! it again at once, for each of many thousand objects. What was seen a moment ago is believed; a
//! server that closes in between is noticed by the request, which is repeated.

use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// How long it is believed that a connection is open.
const FRESH: Duration = Duration::from_millis(20);

/// Makes the connections of another connector.
#[derive(Debug)]
pub(crate) struct Reusing<C>(pub(crate) C);

impl<C: Connector> Connector for Reusing<C> {
    type Out = Watched<C::Out>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let made = self.0.connect(details, chained)?;
        Ok(made.map(|transport| Watched { transport, seen_open: None }))
    }
}

/// A connection that knows when it was last seen open and silent.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    transport: T,
    /// `None` since something was sent or received.
    seen_open: Option<Instant>,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.seen_open = None;
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.seen_open = None;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        if self.seen_open.is_some_and(|seen| seen.elapsed() < FRESH) {
            return true;
        }
        let is_open = self.transport.is_open();
        self.seen_open = is_open.then(Instant::now);
        is_open
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it is open, once.
    #[derive(Debug, Default)]
    struct Once {
        asked: u32,
    }

    impl Transport for Once {
        fn buffers(&mut self) -> &mut dyn Buffers {
            unreachable!("nothing is sent")
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            self.asked += 1;
            self.asked == 1
        }
    }

    #[test]
    fn what_was_just_seen_is_believed_until_something_is_sent() {
        let mut watched = Watched { transport: Once::default(), seen_open: None };
        assert!(watched.is_open());
        assert!(watched.is_open());
        assert_eq!(watched.transport.asked, 1);
        watched.transmit_output(0, NextTimeout::default()).unwrap();
        assert!(!watched.is_open());
        assert!(!watched.is_open(), "that it is closed is not believed for ever");
        assert_eq!(watched.transport.asked, 3);
    }
}
