//! One change of the table of logical partitions, as a package wants it.

use updraft_error::Kind;
use updraft_payload::logical_partitions::{
    DEFAULT_GROUP, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable, SECTOR, TableChange,
};

use super::space;

/// Why a change cannot be made.
type Problem = (Kind, String);

/// Makes a change. `Err` leaves the table in an unknown state: nobody writes it then.
pub(super) fn change(
    table: &mut LogicalTable,
    block_size: u32,
    change: &TableChange,
) -> Result<(), Problem> {
    match change {
        TableChange::Resize(name, size) => resize(table, block_size, name, *size),
        TableChange::Remove(name) => {
            table.partitions.retain(|partition| partition.name != *name);
            Ok(())
        }
        TableChange::Add(name, group) => add(table, name, group),
        TableChange::Move(name, group) => {
            group_of(table, group)?;
            partition_of(table, name)?.group.clone_from(group);
            Ok(())
        }
        TableChange::AddGroup(name, max_size) => {
            if table.groups.iter().any(|group| group.name == *name) {
                return Err((Kind::Conflict, format!("group {name} is there already")));
            }
            let (name, max_size) = (name.clone(), *max_size);
            table.groups.push(LogicalGroup { name, flags: 0, max_size });
            Ok(())
        }
        TableChange::ResizeGroup(name, max_size) => {
            let group = group_of(table, name)?;
            if name == DEFAULT_GROUP && group.max_size != *max_size {
                return Err((Kind::Invalid, format!("group {name} has no limit")));
            }
            group.max_size = *max_size;
            Ok(())
        }
        TableChange::RemoveGroup(name) => {
            if let Some(own) = table.partitions.iter().find(|own| own.group == *name) {
                let problem = format!("group {name} still has partition {}", own.name);
                return Err((Kind::Conflict, problem));
            }
            table.groups.retain(|group| group.name != *name || name == DEFAULT_GROUP);
            Ok(())
        }
        TableChange::RemoveAllGroups => {
            table.partitions.retain(|partition| partition.group == DEFAULT_GROUP);
            table.groups.retain(|group| group.name == DEFAULT_GROUP);
            Ok(())
        }
    }
}

/// No group has more than it may, after all changes.
pub(super) fn check_groups(table: &LogicalTable) -> Result<(), String> {
    for LogicalGroup { name, max_size, .. } in &table.groups {
        let used = used_by(table, name);
        if *max_size > 0 && used > *max_size {
            return Err(format!("group {name} has {used} bytes, and may have {max_size}"));
        }
    }
    Ok(())
}

fn add(table: &mut LogicalTable, name: &str, group: &str) -> Result<(), Problem> {
    if table.partition(name).is_some() {
        return Err((Kind::Conflict, format!("partition {name} is there already")));
    }
    group_of(table, group)?;
    let (name, group) = (name.to_owned(), group.to_owned());
    table.partitions.push(LogicalPartition { name, attributes: 0, group, extents: Vec::new() });
    Ok(())
}

fn resize(table: &mut LogicalTable, block_size: u32, name: &str, size: u64) -> Result<(), Problem> {
    let wanted = size.checked_next_multiple_of(block_size.into()).map(|size| size / SECTOR);
    let wanted = wanted.ok_or((Kind::Invalid, "no disk is so large".to_owned()))?;
    let own = partition_of(table, name)?;
    let (has, group) = (own.sectors(), own.group.clone());
    if wanted <= has {
        space::shrink(own, wanted);
        return Ok(());
    }
    let more = wanted - has;
    let most = group_of(table, &group)?.max_size;
    let used = used_by(table, &group);
    if most > 0 && more.saturating_mul(SECTOR) > most.saturating_sub(used) {
        let problem = format!(
            "partition {name} would need {} bytes more, and group {group} has {used} of {most}",
            more.saturating_mul(SECTOR)
        );
        return Err((Kind::Exhausted, problem));
    }
    let index = table.partitions.iter().position(|partition| partition.name == name);
    space::grow(table, index.unwrap_or(usize::MAX), more, u64::from(block_size) / SECTOR).map_err(
        |left| {
            let left = left.saturating_mul(SECTOR);
            (Kind::Exhausted, format!("there is no room for {left} bytes of partition {name}"))
        },
    )
}

/// How many bytes the partitions of a group take from devices.
fn used_by(table: &LogicalTable, group: &str) -> u64 {
    let own = table.partitions.iter().filter(|partition| partition.group == group);
    let pieces = own.flat_map(|partition| &partition.extents);
    let sectors = pieces.map(|extent| match extent {
        LogicalExtent::Linear { sectors, .. } => *sectors,
        LogicalExtent::Zero { .. } => 0,
    });
    sectors.fold(0, u64::saturating_add).saturating_mul(SECTOR)
}

fn partition_of<'a>(
    table: &'a mut LogicalTable,
    name: &str,
) -> Result<&'a mut LogicalPartition, Problem> {
    let own = table.partitions.iter_mut().find(|partition| partition.name == name);
    own.ok_or_else(|| (Kind::Conflict, format!("there is no partition {name}")))
}

fn group_of<'a>(table: &'a mut LogicalTable, name: &str) -> Result<&'a mut LogicalGroup, Problem> {
    let own = table.groups.iter_mut().find(|group| group.name == name);
    own.ok_or_else(|| (Kind::Conflict, format!("there is no group {name}")))
}
