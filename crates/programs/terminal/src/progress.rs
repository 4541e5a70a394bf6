//! Progress on stderr: bars for a person, plain message lines for a log.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use updraft_task::{Event, Progress, Unit};

/// Draws one bar or spinner per running phase; the line goes away when the phase ends.
pub struct Bars {
    all: MultiProgress,
    phases: Mutex<HashMap<&'static str, ProgressBar>>,
}

impl Bars {
    /// Bars on stderr. Only of use when stderr is a terminal.
    pub fn new() -> Self {
        Self { all: MultiProgress::new(), phases: Mutex::default() }
    }

    fn phases(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, ProgressBar>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, phase: &'static str, total: Option<u64>, unit: Unit) {
        let bar = self.all.add(ProgressBar::no_length().with_message(phase));
        bar.set_style(style(total.is_some(), unit));
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.phases().insert(phase, bar) {
            old.finish_and_clear();
        }
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bars {
    fn report(&self, event: &Event) {
        match event {
            Event::Started { phase, total, unit } => self.start(phase, *total, *unit),
            Event::Advanced { phase, done, total } => {
                if let Some(bar) = self.phases().get(phase) {
                    if let Some(total) = total {
                        if bar.length().is_none() {
                            bar.set_style(style(true, Unit::Items));
                        }
                        bar.set_length(*total);
                    }
                    bar.set_position(*done);
                }
            }
            Event::Finished { phase } => {
                if let Some(bar) = self.phases().remove(phase) {
                    bar.finish_and_clear();
                }
            }
            Event::Message(text) => {
                // A closed stderr leaves nobody to tell.
                let _ = self.all.println(text);
            }
        }
    }
}

fn style(known_total: bool, unit: Unit) -> ProgressStyle {
    let template = match (known_total, unit) {
        (true, Unit::Bytes) => "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}",
        (true, Unit::Items) => "{spinner} {msg} [{bar:30}] {pos}/{len}",
        (false, Unit::Bytes) => "{spinner} {msg} {bytes} {bytes_per_sec}",
        (false, Unit::Items) => "{spinner} {msg} {pos}",
    };
    ProgressStyle::with_template(template)
        .expect("the templates above are constants")
        .progress_chars("=> ")
}

/// Prints messages as lines and leaves phases out: for logs, pipes and CI.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Progress for Lines {
    fn report(&self, event: &Event) {
        if let Event::Message(text) = event {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed() {
        for unit in [Unit::Bytes, Unit::Items] {
            for known in [true, false] {
                let _ = style(known, unit);
            }
        }
    }
}
