//! [`TableChange`]: what a package makes of logical partitions, `dynamic_partitions_op_list`.
//!
//! ```text
//! # a comment
//! remove_all_groups                 with all that is in them; the default group stays
//! remove_group GROUP                one that is empty
//! add_group GROUP BYTES             0: no limit
//! resize_group GROUP BYTES
//! add PARTITION GROUP               it is empty
//! remove PARTITION
//! move PARTITION GROUP
//! resize PARTITION BYTES
//! ```
//! One on each line, in this order. (AOSP, `bootable/recovery/updater`.)

use super::check::is_name;
use crate::Error;

/// The longest list that is read, in bytes.
pub const MAX_CHANGES: usize = 1 << 20;

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChange {
    /// A partition gets another size, in bytes. What is behind it is lost, and what comes to it is
    /// anything.
    Resize(String, u64),
    /// A partition is no more, if it is there.
    Remove(String),
    /// A new partition of this group, with no bytes.
    Add(String, String),
    /// A partition belongs to another group.
    Move(String, String),
    /// A new group, with the most bytes that its partitions have.
    AddGroup(String, u64),
    /// A group gets another limit.
    ResizeGroup(String, u64),
    /// A group that has no partitions is no more.
    RemoveGroup(String),
    /// No group is left but the default one, nor a partition of any other.
    RemoveAllGroups,
}

/// Reads a list; each change has its line, from 1.
///
/// # Errors
/// [`Error::TableChange`].
pub fn parse_changes(text: &str) -> Result<Vec<(usize, TableChange)>, Error> {
    let bad = |line, problem| Error::TableChange { line, problem };
    if text.len() > MAX_CHANGES {
        return Err(bad(0, "the list is over 1 MiB"));
    }
    let mut changes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let said = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = said.split_ascii_whitespace().collect();
        if !words.is_empty() {
            let change = read(&words).map_err(|problem| bad(index + 1, problem))?;
            changes.push((index + 1, change));
        }
    }
    Ok(changes)
}

fn read(words: &[&str]) -> Result<TableChange, &'static str> {
    use TableChange::{
        Add, AddGroup, Move, Remove, RemoveAllGroups, RemoveGroup, Resize, ResizeGroup,
    };
    match *words {
        ["resize", partition, size] => Ok(Resize(name(partition)?, bytes(size)?)),
        ["remove", partition] => Ok(Remove(name(partition)?)),
        ["add", partition, group] => Ok(Add(name(partition)?, name(group)?)),
        ["move", partition, group] => Ok(Move(name(partition)?, name(group)?)),
        ["add_group", group, size] => Ok(AddGroup(name(group)?, bytes(size)?)),
        ["resize_group", group, size] => Ok(ResizeGroup(name(group)?, bytes(size)?)),
        ["remove_group", group] => Ok(RemoveGroup(name(group)?)),
        ["remove_all_groups"] => Ok(RemoveAllGroups),
        _ => Err("it is none of the known changes, or has another number of words"),
    }
}

fn name(word: &str) -> Result<String, &'static str> {
    if is_name(word) { Ok(word.to_owned()) } else { Err("a name is none, or over 36 bytes") }
}

fn bytes(word: &str) -> Result<u64, &'static str> {
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    number.ok_or("a size is no number of bytes")
}

#[cfg(test)]
mod tests {
    use super::{TableChange, parse_changes};

    #[test]
    fn every_change_is_read() {
        let text = "# Remove all\nremove_all_groups\nadd_group main 4096 # so much\n\nadd system main\n\
                    move system default\nresize system 0x2000\nresize_group main 0\nremove vendor\n\
                    \x20 remove_group  old\r\n";
        let changes = parse_changes(text).unwrap();
        let lines: Vec<usize> = changes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 5, 6, 7, 8, 9, 10]);
        assert_eq!(changes[1].1, TableChange::AddGroup("main".to_owned(), 4096));
        assert_eq!(changes[4].1, TableChange::Resize("system".to_owned(), 8192));
        assert_eq!(changes[7].1, TableChange::RemoveGroup("old".to_owned()));
        assert!(parse_changes("").unwrap().is_empty());
    }

    #[test]
    fn what_is_none_is_refused_with_its_line() {
        let long = "x".repeat(37);
        for line in [
            "grow system 5",
            "resize system",
            "resize system -1",
            "resize system 1k",
            "resize system 18446744073709551616",
            "resize sys/tem 1",
            "add system",
            "remove_all_groups now",
            &format!("remove {long}"),
            "remove ..",
            "remove syst\u{e9}m",
        ] {
            let error = parse_changes(&format!("#\n{line}\n")).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{line}: {error}");
        }
        assert!(parse_changes(&"\n".repeat(2 << 20)).is_err());
    }
}
