//! The functions of scripts that need nothing of the device but to read it.

use std::time::Duration;

use updraft_payload::script::Expression;

use super::Updater;
use super::evaluate::{Value, truth};
use crate::system::parse_properties;
use crate::{Error, Result};

/// The largest file that a script reads, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The longest sleep, in seconds.
const MAX_SLEEP: u64 = 60;

impl Updater<'_> {
    pub(super) fn call(&self, name: &str, arguments: &[Expression]) -> Result<Value> {
        match (name, arguments) {
            ("abort", message) => {
                let message = self.texts(message)?.concat();
                let unnamed = "the script gave up".to_owned();
                Err(self.abort(if message.is_empty() { &unnamed } else { &message }))
            }
            ("assert", conditions) => {
                for (index, condition) in conditions.iter().enumerate() {
                    if self.evaluate(condition)?.is_empty() {
                        return Err(self.abort(&format!("assert failed: condition {}", index + 1)));
                    }
                }
                Ok(Value::new())
            }
            ("ifelse", [condition, then, rest @ ..]) => {
                match (self.evaluate(condition)?.is_empty(), rest.first()) {
                    (false, _) => self.evaluate(then),
                    (true, Some(otherwise)) => self.evaluate(otherwise),
                    (true, None) => Ok(Value::new()),
                }
            }
            ("concat", all) => Ok(self.texts(all)?.concat().into_bytes()),
            ("ui_print" | "stdout", all) => {
                let text = self.texts(all)?.concat();
                self.say(&text);
                Ok(text.into_bytes())
            }
            ("is_substring", [part, whole]) => {
                Ok(truth(self.text(whole)?.contains(&self.text(part)?)))
            }
            ("less_than_int", [one, other]) => self.compare(one, other, |one, other| one < other),
            ("greater_than_int", [one, other]) => {
                self.compare(one, other, |one, other| one > other)
            }
            ("getprop", [name]) => {
                let value = self.system.properties.get(&self.text(name)?);
                Ok(value.cloned().unwrap_or_default().into_bytes())
            }
            ("file_getprop", [file, name]) => {
                let (text, name) = (self.read(&self.text(file)?)?, self.text(name)?);
                let properties = parse_properties(&String::from_utf8_lossy(&text));
                Ok(properties.get(&name).cloned().unwrap_or_default().into_bytes())
            }
            ("read_file", [file]) => match self.read(&self.text(file)?) {
                Ok(bytes) => Ok(bytes),
                Err(error) => self.told(Err(error)),
            },
            // One copy of the system has no slots.
            ("add_slot_suffix" | "set_progress", [one]) => self.evaluate(one),
            ("sleep", [seconds]) => {
                let seconds = self.text(seconds)?.trim().parse().unwrap_or(0).min(MAX_SLEEP);
                for _ in 0..seconds {
                    self.context.check()?;
                    // The script knows of no event for which it waits.
                    std::thread::park_timeout(Duration::from_secs(1));
                }
                Ok(seconds.to_string().into_bytes())
            }
            ("sha1_check", [value, hashes @ ..]) => {
                Ok(Self::sha1_check(&self.evaluate(value)?, &self.texts(hashes)?))
            }
            ("show_progress", [share, _]) => self.evaluate(share),
            ("enable_reboot", _) => Ok(truth(true)),
            _ => self.call_on_partitions(name, arguments),
        }
    }

    fn compare(
        &self,
        one: &Expression,
        other: &Expression,
        is: fn(i64, i64) -> bool,
    ) -> Result<Value> {
        let (one, other) = (self.text(one)?, self.text(other)?);
        match (one.trim().parse(), other.trim().parse()) {
            (Ok(one), Ok(other)) => Ok(truth(is(one, other))),
            _ => Ok(truth(false)),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        use std::io::Read as _;
        let own = self.system.path(path);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&own).map_err(Error::file("open", &own))?;
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(Error::file("read", &own))?;
        Ok(bytes)
    }
}
