//! How virtual devices behave: what goes wrong, how long things take, who comes and goes.
//!
//! Everything that is left to chance is drawn from the seed, the device and the number of the
//! draw, and not from the order of events: the same seed gives the same devices the same fates.

use std::time::Duration;

use fastrand::Rng;

/// The odd constant of SplitMix64 (Steele, Lea, Flood 2014), which spreads neighbouring numbers.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// How devices behave.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// What all chance comes from.
    pub(crate) seed: u64,
    /// The share of actions that fail, 0 to 1.
    pub(crate) failures: f64,
    /// The share of actions after whose beginning the device is never heard of again, 0 to 1.
    pub(crate) silences: f64,
    /// The share of devices that leave, and are replaced by new ones, in an hour.
    pub(crate) churn: f64,
    /// How long an installation takes; each takes between half and one and a half of it.
    pub(crate) install: Duration,
    /// Bytes per second of one download; none for as fast as it goes.
    pub(crate) download_rate: Option<u64>,
    /// The time between two polls, instead of what the server says.
    pub(crate) interval: Option<Duration>,
}

/// How an action goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The device reports success.
    Succeeds,
    /// It reports a failure.
    Fails,
    /// It begins, and is never heard of again.
    GoesSilent,
}

/// What one device draws from.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Model {
    /// The dice of a device: its place in the fleet, and the how-manieth there.
    pub(crate) fn dice(&self, index: u32, generation: u32) -> Dice {
        let device = (u64::from(generation) << 32) | u64::from(index);
        Dice(self.seed.wrapping_add(device.wrapping_mul(SPREAD)))
    }

    /// How the action with this number goes.
    pub(crate) fn fate(&self, dice: &Dice, action: u32) -> Fate {
        let drawn = dice.of("fate", action).f64();
        if drawn < self.silences {
            Fate::GoesSilent
        } else if drawn < self.silences + self.failures {
            Fate::Fails
        } else {
            Fate::Succeeds
        }
    }

    /// How long the installation of the action with this number takes.
    pub(crate) fn installation(&self, dice: &Dice, action: u32) -> Duration {
        self.install.mul_f64(0.5 + dice.of("installation", action).f64())
    }

    /// How long the device stays; none for ever.
    pub(crate) fn lifetime(&self, dice: &Dice) -> Option<Duration> {
        if self.churn <= 0.0 {
            return None;
        }
        // Exponential: a device that is old is not more likely to leave than a new one.
        let drawn = 1.0 - dice.of("lifetime", 0).f64();
        let hours = -drawn.ln() / self.churn;
        Duration::try_from_secs_f64(hours * 3600.0).ok()
    }

    /// When to poll again, if the server asks for `asked`. A time of our own is spread by a tenth
    /// either way, as the server spreads its own.
    pub(crate) fn sleep(&self, dice: &Dice, poll: u32, asked: Duration) -> Duration {
        match self.interval {
            None => asked,
            Some(own) => own.mul_f64(0.9 + 0.2 * dice.of("sleep", poll).f64()),
        }
    }
}

impl Dice {
    /// A generator for the draw with this number.
    fn of(&self, what: &str, number: u32) -> Rng {
        let named = what.bytes().fold(self.0, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(SPREAD).rotate_left(23)
        });
        let mut rng = Rng::with_seed(named.wrapping_add(u64::from(number).wrapping_mul(SPREAD)));
        // Neighbouring seeds give neighbouring first numbers.
        let _ = rng.u64(..);
        rng
    }

    /// A share of `span`, for the first poll.
    pub(crate) fn share_of(&self, span: Duration) -> Duration {
        span.mul_f64(self.of("beginning", 0).f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model {
            seed: 7,
            failures: 0.2,
            silences: 0.1,
            churn: 0.5,
            install: Duration::from_secs(10),
            download_rate: None,
            interval: Some(Duration::from_secs(100)),
        }
    }

    #[test]
    fn shares_are_as_asked_for() {
        let model = model();
        let fates: Vec<Fate> =
            (0..10_000).map(|index| model.fate(&model.dice(index, 0), 1)).collect();
        let count = |fate| fates.iter().filter(|one| **one == fate).count();
        assert!((1_800..2_200).contains(&count(Fate::Fails)), "{}", count(Fate::Fails));
        assert!((900..1_100).contains(&count(Fate::GoesSilent)), "{}", count(Fate::GoesSilent));
    }

    #[test]
    fn one_seed_gives_one_story() {
        let (one, other) = (model(), Model { seed: 8, ..model() });
        let story = |model: &Model| -> Vec<_> {
            (0..50).map(|index| model.fate(&model.dice(index, 3), index)).collect()
        };
        assert_eq!(story(&one), story(&one));
        assert_ne!(story(&one), story(&other));
    }

    #[test]
    fn half_a_fleet_leaves_in_its_hours() {
        let model = model();
        let lives = (0..10_000).filter_map(|index| model.lifetime(&model.dice(index, 0)));
        let short = lives.filter(|life| *life < Duration::from_hours(1)).count();
        // 1 − e^−0.5
        assert!((3_700..4_200).contains(&short), "{short}");
    }

    #[test]
    fn times_of_our_own_are_spread() {
        let model = model();
        let sleeps: Vec<Duration> =
            (0..1_000).map(|index| model.sleep(&model.dice(index, 0), 1, Duration::ZERO)).collect();
        let (least, most) = (sleeps.iter().min().unwrap(), sleeps.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(90) && *most <= Duration::from_secs(110));
        assert!(most.saturating_sub(*least) > Duration::from_secs(18), "{least:?} {most:?}");
    }
}
