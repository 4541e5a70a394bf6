//! What has to hold in every table, whoever made it: names are there once, pieces lie within their
//! devices, behind the tables, and no two of them share a sector.

use std::collections::BTreeSet;

use super::fields::NAME;
use super::table::bad;
use super::{Geometry, LogicalExtent, LogicalTable, SECTOR};
use crate::Error;

/// The most of anything in a table: more than there is room for in the largest one.
const MAX_ENTRIES: usize = 1 << 16;

impl LogicalTable {
    pub(super) fn check(&self, geometry: &Geometry) -> Result<(), Error> {
        if !self.is_known_version() {
            return Err(bad("it says more than its version can"));
        }
        let extents: usize = self.partitions.iter().map(|it| it.extents.len()).sum();
        for count in [extents, self.partitions.len(), self.groups.len(), self.devices.len()] {
            if count > MAX_ENTRIES {
                return Err(bad("it has more entries than there is room for"));
            }
        }
        unique("partition", self.partitions.iter().map(|it| &it.name[..]))?;
        unique("group", self.groups.iter().map(|it| &it.name[..]))?;
        unique("device", self.devices.iter().map(|it| &it.name[..]))?;
        for partition in &self.partitions {
            let name = &partition.name;
            if partition.attributes & !self.known_attributes() != 0 {
                return Err(bad(format!("partition {name} has attributes of a later version")));
            }
            if !self.groups.iter().any(|group| group.name == partition.group) {
                return Err(bad(format!("partition {name} is of no group")));
            }
        }
        self.check_devices(geometry)?;
        self.check_extents()
    }

    fn check_devices(&self, geometry: &Geometry) -> Result<(), Error> {
        let Some(first) = self.devices.first() else { return Err(bad("it has no device")) };
        if first.first_sector < geometry.end().div_ceil(SECTOR) {
            return Err(bad("its partitions begin within the tables"));
        }
        for device in &self.devices {
            let name = &device.name;
            if device.first_sector >= device.size / SECTOR {
                return Err(bad(format!("device {name} is smaller than what comes first on it")));
            }
            if u64::from(device.alignment) % SECTOR != 0 {
                return Err(bad(format!("device {name} is aligned within sectors")));
            }
        }
        Ok(())
    }

    fn check_extents(&self) -> Result<(), Error> {
        let mut taken = Vec::new();
        for partition in &self.partitions {
            let name = &partition.name;
            let mut all = 0_u64;
            for extent in &partition.extents {
                all = all
                    .checked_add(extent.sectors())
                    .filter(|all| *all <= u64::MAX / SECTOR)
                    .ok_or_else(|| bad(format!("partition {name} is larger than any disk")))?;
                let LogicalExtent::Linear { sectors, device, start } = *extent else { continue };
                let on = self.devices.get(device as usize);
                let on = on.ok_or_else(|| bad(format!("partition {name} is on no device")))?;
                let end = start.checked_add(sectors).filter(|end| *end <= on.size / SECTOR);
                match end {
                    Some(end) if start >= on.first_sector => taken.push((device, start, end, name)),
                    _ => return Err(bad(format!("partition {name} leaves its device"))),
                }
            }
        }
        taken.retain(|(_, start, end, _)| start < end);
        taken.sort_unstable();
        for pair in taken.windows(2) {
            if let [(device, _, end, one), (other_device, start, _, other)] = pair
                && device == other_device
                && start < end
            {
                return Err(bad(format!("partitions {one} and {other} share sectors")));
            }
        }
        Ok(())
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !is_name(name) {
            return Err(bad(format!("{what} {name:?} has a name that none may have")));
        }
        if !seen.insert(name) {
            return Err(bad(format!("{what} {name} is there twice")));
        }
    }
    Ok(())
}

/// Whether it may be a name: it becomes one of a file below `/dev`, and a word of a list.
pub(super) fn is_name(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'#';
    (1..=NAME).contains(&name.len()) && name.bytes().all(is_known) && !matches!(name, "." | "..")
}
