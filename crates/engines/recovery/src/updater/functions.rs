//! The functions of scripts: which there are, and those that need nothing of the device.

use updraft_payload::script::Expression;

use super::Updater;
use super::evaluate::{Value, truth};
use crate::system::parse_properties;
use crate::{Error, Result};

/// Each with the fewest and the most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("abort", 0, 1),
    ("add_slot_suffix", 1, 1),
    ("apply_patch_space", 1, 1),
    ("assert", 0, 1000),
    ("block_image_recover", 2, 2),
    ("block_image_update", 4, 4),
    ("block_image_verify", 4, 4),
    ("check_first_block", 1, 1),
    ("concat", 0, 1000),
    ("enable_reboot", 0, 0),
    ("file_getprop", 2, 2),
    ("get_stage", 1, 1),
    ("getprop", 1, 1),
    ("greater_than_int", 2, 2),
    ("ifelse", 2, 3),
    ("is_substring", 2, 2),
    ("less_than_int", 2, 2),
    ("package_extract_file", 1, 2),
    ("patch_partition", 3, 4),
    ("patch_partition_check", 2, 2),
    ("range_sha1", 2, 2),
    ("read_file", 1, 1),
    ("reboot_now", 2, 2),
    ("set_progress", 1, 1),
    ("set_stage", 2, 2),
    ("show_progress", 2, 2),
    ("stdout", 0, 1000),
    ("ui_print", 0, 1000),
    ("write_value", 2, 2),
];
/// The largest file that a script reads, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Whether a function is there and may be given so much.
pub(super) fn check(name: &str, arguments: usize, line: usize) -> Result<()> {
    match FUNCTIONS.iter().find(|(own, ..)| *own == name) {
        None => Err(Error::Function { name: name.to_owned(), line, problem: "there is none" }),
        Some((_, fewest, most)) if !(*fewest..=*most).contains(&arguments) => {
            Err(Error::Function {
                name: name.to_owned(),
                line,
                problem: "it takes another number of arguments",
            })
        }
        Some(_) => Ok(()),
    }
}

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
            ("show_progress", [share, _]) => self.evaluate(share),
            ("enable_reboot", _) => Ok(truth(true)),
            _ => self.call_on_device(name, arguments),
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
