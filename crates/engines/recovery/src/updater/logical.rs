//! Functions about logical partitions.
//!
//! `map_partition` makes no device: it names a path, and the functions that are given it read and write
//! the pieces of the partition where they lie.

use updraft_error::Kind;
use updraft_payload::logical_partitions::{LogicalTable, parse_changes};
use updraft_payload::script::Expression;

use super::Updater;
use super::evaluate::{Value, truth};
use crate::logical::{MAPPED, MAX_STEPS, Step, Steps, SuperPartition, open};
use crate::{Error, Result};

/// Where device mapper puts the partitions that somebody mapped.
const MAPPINGS: [&str; 2] = [MAPPED, "/dev/mapper/"];

impl Updater<'_> {
    /// Functions about logical partitions, and those about files.
    pub(super) fn call_on_logical(&self, name: &str, arguments: &[Expression]) -> Result<Value> {
        match (name, arguments) {
            ("map_partition", [partition]) => {
                let partition = self.text(partition)?;
                match open(self.system, &partition) {
                    Ok(_) => Ok(format!("{MAPPED}{partition}").into_bytes()),
                    Err(error) => self.told(Err(error)),
                }
            }
            // Nothing is mapped here.
            ("unmap_partition", [partition]) => self.text(partition).map(|_| truth(true)),
            ("update_dynamic_partitions", [changes]) => {
                let changes = self.text(changes)?;
                self.told(self.update_dynamic_partitions(&changes))
            }
            _ => self.call_on_files(name, arguments),
        }
    }

    fn update_dynamic_partitions(&self, text: &str) -> Result<()> {
        let changes = parse_changes(text)?;
        let path = self.system.super_partition();
        let device = self.system.device(&path)?;
        let disk = SuperPartition::read(&path, &*device)?;
        let (name, present) = (Steps::name_of(text.as_bytes()), disk.id()?);
        let mut kept = Steps::read(self.state, self.package.sha256())?;
        let known = self.find_step(&kept, &name);
        if let Some(index) = known {
            let since = kept.steps.get(index..).unwrap_or_default();
            if since.iter().any(|step| step.after == present) {
                self.say("the logical partitions are changed already");
                self.steps.borrow_mut().insert(index);
                return disk.settle();
            }
            if since.first().is_none_or(|step| step.before != present) {
                let problem = "somebody changed its table since this package did".to_owned();
                return Err(Error::logical(&path, Kind::Conflict, problem));
            }
        }
        let (table, bytes) = disk.plan(&changes)?;
        self.check_mappings(&path, &disk.table()?, &table)?;
        self.begins()?;
        // What came after it is not there: either it never was, or somebody put back what was before.
        let index = known.unwrap_or(kept.steps.len());
        kept.steps.truncate(index);
        if index >= MAX_STEPS {
            let problem = "its script changes the table over 200 times".to_owned();
            return Err(Error::logical(&path, Kind::Exhausted, problem));
        }
        let after = SuperPartition::id_of(&bytes);
        kept.steps.push(Step { changes: name, before: present, after });
        // Before the table: whoever runs the script again has to know whose it is.
        kept.write(self.state)?;
        disk.replace(&bytes)?;
        self.steps.borrow_mut().insert(index);
        self.say("the logical partitions are changed");
        Ok(())
    }

    /// The number of the step that this list of changes was, if it was not passed in this run.
    fn find_step(&self, kept: &Steps, name: &str) -> Option<usize> {
        let passed = self.steps.borrow();
        let mut steps = kept.steps.iter().enumerate();
        let found = steps.find(|(index, step)| step.changes == name && !passed.contains(index));
        found.map(|(index, _)| index)
    }

    /// Device mapper would go on with the old pieces of a partition that somebody mapped.
    fn check_mappings(&self, path: &str, old: &LogicalTable, new: &LogicalTable) -> Result<()> {
        for partition in &old.partitions {
            let name = &partition.name;
            let stays = new.partition(name).is_some_and(|own| own.extents == partition.extents);
            let is_there = |folder| self.system.path(&format!("{folder}{name}")).exists();
            if !stays && MAPPINGS.into_iter().any(is_there) {
                let problem = format!("partition {name} is mapped: take that away, and try again");
                return Err(Error::logical(path, Kind::Conflict, problem));
            }
        }
        Ok(())
    }
}
