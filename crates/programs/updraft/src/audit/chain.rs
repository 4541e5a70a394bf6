//! Whether entries of an audit log follow each other, by what they say themselves: whoever keeps a copy
//! need not believe the server.

use serde_json::Value;
use updraft_tuf::{Dialect, canonical, sha256_hex};

/// A number and the hash of the entry there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// The number; 0 when there is no entry.
    pub(super) number: u64,
    /// The hash in hexadecimal digits; that of no entry is 64 zeros.
    pub(super) hash: String,
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl std::str::FromStr for Checkpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parsed = text.split_once(':').and_then(|(number, hash)| {
            let digits = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = number.parse().ok().filter(|_| digits)?;
            Some(Self { number, hash: hash.to_ascii_lowercase() })
        });
        parsed.ok_or("a checkpoint is NUMBER:HASH, as `audit verify` prints it")
    }
}

/// A log that is read from its beginning.
pub(super) struct Chain {
    last: Checkpoint,
    pinned: Option<Checkpoint>,
}

impl Chain {
    pub(super) fn new(pinned: Option<Checkpoint>) -> Self {
        Self { last: Checkpoint { number: 0, hash: "0".repeat(64) }, pinned }
    }

    /// Takes the next entry; says what is wrong with it.
    pub(super) fn follow(&mut self, entry: &Value) -> Result<(), String> {
        let expected = self.last.number.saturating_add(1);
        let number = entry.get("number").and_then(Value::as_u64).unwrap_or(0);
        if number != expected {
            return Err(format!("entry {expected} was removed"));
        }
        let mut hashed = entry.clone();
        let hash = hashed.as_object_mut().and_then(|members| members.remove("hash"));
        let bytes = canonical::encode(Dialect::Uptane, &hashed)
            .map_err(|error| format!("entry {number} was changed: {error}"))?;
        let hash = hash.as_ref().and_then(Value::as_str).unwrap_or_default();
        if sha256_hex(&bytes) != hash {
            return Err(format!("entry {number} was changed"));
        }
        if entry.get("previous").and_then(Value::as_str) != Some(self.last.hash.as_str()) {
            return Err(format!(
                "entry {number} does not follow the one before: that was changed, or one of them \
                 was inserted"
            ));
        }
        if self.pinned.as_ref().is_some_and(|pinned| pinned.number == number && pinned.hash != hash)
        {
            return Err(format!("entry {number} is not the one that was pinned"));
        }
        self.last = Checkpoint { number, hash: hash.to_owned() };
        Ok(())
    }

    /// The last entry, unless the log ends before the one that was pinned.
    pub(super) fn end(self) -> Result<Checkpoint, String> {
        match self.pinned {
            Some(pinned) if pinned.number > self.last.number => Err(format!(
                "entries {} to {} were removed: the log ends before the one that was pinned",
                self.last.number.saturating_add(1),
                pinned.number
            )),
            _ => Ok(self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log() -> Vec<Value> {
        let mut previous = "0".repeat(64);
        let entry = |number: u64| {
            let mut entry = json!({ "number": number, "action": "a", "previous": previous });
            let bytes = canonical::encode(Dialect::Uptane, &entry).expect("canonical");
            previous = sha256_hex(&bytes);
            entry["hash"] = previous.clone().into();
            entry
        };
        (1..=4).map(entry).collect()
    }

    fn verify(log: &[Value], pinned: Option<&str>) -> Result<Checkpoint, String> {
        let pinned = pinned.map(|pinned| pinned.parse().expect("a checkpoint"));
        let mut chain = Chain::new(pinned);
        log.iter().try_for_each(|entry| chain.follow(entry))?;
        chain.end()
    }

    #[test]
    fn a_whole_log_is_whole() {
        let end = verify(&log(), None).expect("whole");
        assert_eq!((end.number, end.hash.as_str()), (4, log()[3]["hash"].as_str().expect("text")));
        assert_eq!(verify(&log(), Some(&end.to_string())), Ok(end));
        assert_eq!(verify(&[], None).map(|end| end.number), Ok(0));
    }

    #[test]
    fn what_was_done_to_a_log_is_found() {
        let check = |change: fn(&mut Vec<Value>), pinned: Option<&str>, said: &str| {
            let mut log = log();
            change(&mut log);
            let found = verify(&log, pinned).expect_err(said);
            assert!(found.contains(said), "{found}");
        };
        let last = format!("4:{}", log()[3]["hash"].as_str().expect("text"));
        check(|log| log[1]["action"] = "b".into(), None, "entry 2 was changed");
        check(|log| drop(log.remove(0)), None, "entry 1 was removed");
        check(|log| log.swap(1, 2), None, "entry 2 was removed");
        check(|log| drop(log.pop()), Some(&last), "entries 4 to 4 were removed");
        check(|_| (), Some(&format!("2:{}", "0".repeat(64))), "entry 2 is not the one");
        check(
            |log| {
                // Somebody who can count and hash, and did not go on to the end.
                log[1]["action"] = "b".into();
                let mut hashed = log[1].clone();
                hashed.as_object_mut().expect("members").remove("hash");
                let bytes = canonical::encode(Dialect::Uptane, &hashed).expect("canonical");
                log[1]["hash"] = sha256_hex(&bytes).into();
            },
            None,
            "entry 3 does not follow",
        );
    }
}
