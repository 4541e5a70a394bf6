//! The note that tells the running system that it is not the one which was chosen.
//!
//! `/run/updraft/boot-fallback.json`: `{"failed": CSUM.N or link, "reason": text, "booted": CSUM.N}`.
//! After tries in vain there are also `"tried": N` and, where it is known, `"reached": WORD`, how far
//! the last of them came; see [`crate::tries`].

use std::path::Path;

use crate::console::complain;
use crate::failure::{During, Result};
use crate::mounts;
use crate::tries::Exhausted;

const FOLDER: &str = "/run/updraft";
const FILE: &str = "/run/updraft/boot-fallback.json";

/// Writes the note. A system that runs without it is better than one that does not run.
pub(crate) fn write(failed: &str, reason: &str, booted: &str, tries: Option<&Exhausted>) {
    if let Err(failure) = try_write(&text(failed, reason, booted, tries)) {
        complain(&failure.to_string());
    }
}

fn try_write(text: &str) -> Result<()> {
    mounts::make_folder(Path::new(FOLDER))?;
    updraft_fs::atomic_write_path(FILE, text.as_bytes(), 0o644).during(|| format!("write {FILE}"))
}

fn text(failed: &str, reason: &str, booted: &str, tries: Option<&Exhausted>) -> String {
    let [failed, reason, booted] = [failed, reason, booted].map(quoted);
    let tried = tries.map_or_else(String::new, |tries| format!(", \"tried\": {}", tries.number));
    let reached = tries
        .and_then(|tries| tries.reached)
        .map_or_else(String::new, |reached| format!(", \"reached\": {}", quoted(reached.word())));
    format!(
        "{{\"failed\": {failed}, \"reason\": {reason}, \"booted\": {booted}{tried}{reached}}}\n"
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out = format!("{out}\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use crate::tries::{Exhausted, Reached};

    #[test]
    fn what_a_person_wrote_stays_one_string() {
        assert_eq!(
            super::text("a.0", "no \"x\\y\"\n", "b.0", None),
            "{\"failed\": \"a.0\", \"reason\": \"no \\\"x\\\\y\\\"\\u000a\", \"booted\": \"b.0\"}\n"
        );
    }

    #[test]
    fn tries_in_vain_are_members_of_their_own() {
        let mut tries = Exhausted { number: 2, reached: Some(Reached::Initramfs) };
        assert_eq!(
            super::text("a.0", "why", "b.0", Some(&tries)),
            "{\"failed\": \"a.0\", \"reason\": \"why\", \"booted\": \"b.0\", \"tried\": 2, \
             \"reached\": \"initramfs\"}\n"
        );
        tries.reached = None;
        assert!(super::text("a", "why", "b", Some(&tries)).ends_with("\"tried\": 2}\n"));
    }
}
