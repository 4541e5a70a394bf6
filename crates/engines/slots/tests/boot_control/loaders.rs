//! What each boot loader does with what it finds, on each start, written after its documentation.

use updraft_bootenv::{
    CountedName, GptCopy, GrubEnv, SlotAttributes, UbootCopy, UbootEnv, efi_variable,
};
use updraft_slots::boot_control::Slot;

use super::worlds::{Kind, LAYOUT, World, crc32};

impl World {
    /// Starts the device. `None`: the boot loader finds nothing to start.
    pub(crate) fn boot(&self) -> Option<Slot> {
        match self.kind {
            Kind::Misc => self.boot_android(),
            Kind::Gpt => self.boot_chromeos(),
            Kind::Rauc => self.boot_uboot(rauc),
            Kind::Mender => self.boot_uboot(mender),
            Kind::Grub => self.boot_grub(),
            Kind::Entries => self.boot_systemd(),
            Kind::Efi => self.boot_efi(),
        }
    }

    fn boot_android(&self) -> Option<Slot> {
        let mut misc = std::fs::read(self.path("misc")).unwrap();
        let control = &mut misc[2048..2080];
        assert_eq!(control[28..], crc32(&control[..28]).to_le_bytes());
        let (priority, tries) = (|it: u8| it & 15, |it: u8| it >> 4 & 7);
        let can = |it: u8| priority(it) > 0 && (it & 0x80 != 0 || tries(it) > 0);
        let (a, b) = (control[12], control[14]);
        let slot = match (can(a), can(b)) {
            (false, false) => return None,
            (false, true) => Slot::B,
            (true, true) if priority(b) > priority(a) => Slot::B,
            (true, _) => Slot::A,
        };
        let own = &mut control[if slot == Slot::A { 12 } else { 14 }];
        if *own & 0x80 == 0 {
            *own -= 0x10;
        }
        let crc = crc32(&control[..28]).to_le_bytes();
        control[28..].copy_from_slice(&crc);
        std::fs::write(self.path("misc"), misc).unwrap();
        Some(slot)
    }

    fn boot_chromeos(&self) -> Option<Slot> {
        let mut disk = std::fs::read(self.path("disk")).unwrap();
        let copy = |header: usize, entries: usize| {
            let header_bytes = disk[header * 512..][..512].to_vec();
            let entries = disk[entries * 512..][..128 * 128].to_vec();
            GptCopy::parse(header_bytes, header as u64, entries)
        };
        let first = copy(1, 2);
        let mut table = first.or_else(|_| copy(4095, 4095 - 32)).unwrap();
        let mut kernels: Vec<_> =
            table.partitions().filter(|(_, it)| it.name.starts_with("KERN")).collect();
        kernels.retain(|(_, it)| SlotAttributes::of(it.attributes).is_bootable());
        let best = kernels
            .iter()
            .rev()
            .max_by_key(|(_, it)| SlotAttributes::of(it.attributes).priority)
            .cloned()?;
        let mut attributes = SlotAttributes::of(best.1.attributes);
        if !attributes.successful {
            attributes.tries -= 1;
            table.set_attributes(best.0, attributes.within(best.1.attributes));
            let is_first = table.entries_sector() == 2;
            let other = table.mirrored(if is_first { 4095 - 32 } else { 2 });
            let (first, second) = if is_first { (table, other) } else { (other, table) };
            disk[512..1024].copy_from_slice(first.header());
            disk[1024..][..128 * 128].copy_from_slice(first.entries());
            disk[4095 * 512..].copy_from_slice(second.header());
            disk[(4095 - 32) * 512..4095 * 512].copy_from_slice(second.entries());
            std::fs::write(self.path("disk"), disk).unwrap();
        }
        Some(if best.1.name == "KERN-A" { Slot::A } else { Slot::B })
    }

    fn boot_uboot(&self, script: fn(&mut UbootEnv) -> Option<Slot>) -> Option<Slot> {
        let mut file = std::fs::read(self.path("env")).unwrap();
        let (first, second) = file.split_at_mut(0x1000);
        let mut found = UbootEnv::choose(LAYOUT, first, second).unwrap();
        let (copy, flag) = found.next();
        let slot = script(&mut found.environment);
        let copy = if copy == UbootCopy::First { first } else { second };
        copy.copy_from_slice(&found.environment.encode(LAYOUT, flag).unwrap());
        std::fs::write(self.path("env"), file).unwrap();
        slot
    }

    fn boot_grub(&self) -> Option<Slot> {
        let path = self.path("grubenv");
        let mut block = GrubEnv::parse(&std::fs::read(&path).unwrap()).unwrap();
        let order = block.get("ORDER").unwrap_or("A B").to_owned();
        let get = |name: String| block.get(&name).unwrap_or("0").to_owned();
        let is_next =
            |name: &&str| get(format!("{name}_OK")) == "1" && get(format!("{name}_TRY")) == "0";
        let name = order.split_whitespace().find(is_next)?;
        block.set(&format!("{name}_TRY"), "1").unwrap();
        std::fs::write(path, block.encode().unwrap()).unwrap();
        Some(if name == "A" { Slot::A } else { Slot::B })
    }

    fn boot_systemd(&self) -> Option<Slot> {
        let folder = self.path("loader/entries");
        let mut entries = Vec::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let Ok(counted) = name.parse::<CountedName>() else { continue };
            let text = std::fs::read_to_string(folder.join(&name)).unwrap();
            let value = |key| text.lines().find_map(|line| line.strip_prefix(key));
            let version: u32 = value("version ").unwrap().parse().unwrap();
            // Without a key the version does not count, and names do.
            let key = value("sort-key ").map(|key| (std::cmp::Reverse(key.to_owned()), version));
            let is_bad = counted.count.is_some_and(|count| count.left == 0);
            entries.push((!is_bad, key, counted.stem.clone(), name, counted));
        }
        entries.sort_by_key(|entry| (entry.0, entry.1.clone(), entry.2.clone()));
        let (is_good, _, _, file, name) = entries.pop().unwrap();
        if !is_good {
            return None;
        }
        std::fs::rename(folder.join(&file), folder.join(name.tried().to_string())).unwrap();
        Some(if name.stem == "os-a" { Slot::A } else { Slot::B })
    }

    fn boot_efi(&self) -> Option<Slot> {
        let slot = |bytes: &[u8]| match bytes {
            [2, 0] => Some(Slot::A),
            [5, 0] => Some(Slot::B),
            _ => None,
        };
        let next = self.path(&efi_variable("BootNext"));
        if let Ok(bytes) = std::fs::read(&next) {
            std::fs::remove_file(next).unwrap();
            return slot(&bytes[4..]);
        }
        let order = std::fs::read(self.path(&efi_variable("BootOrder"))).unwrap();
        order[4..].chunks(2).find_map(slot)
    }
}

/// After the script in RAUC's documentation.
fn rauc(environment: &mut UbootEnv) -> Option<Slot> {
    let order = environment.get("BOOT_ORDER").unwrap_or("A B").to_owned();
    for name in order.split_whitespace() {
        let variable = format!("BOOT_{name}_LEFT");
        let left = u32::from_str_radix(environment.get(&variable).unwrap_or("3"), 16).unwrap();
        if left > 0 {
            environment.set(&variable, &format!("{:x}", left - 1)).unwrap();
            return Some(if name == "A" { Slot::A } else { Slot::B });
        }
    }
    None
}

/// U-Boot's own counting, and Mender's `altbootcmd`.
#[allow(clippy::unnecessary_wraps, reason = "as all scripts are")]
fn mender(environment: &mut UbootEnv) -> Option<Slot> {
    let number = |environment: &UbootEnv, name| {
        environment.get(name).map_or(0, |text| text.parse::<u32>().unwrap())
    };
    if number(environment, "upgrade_available") == 1 {
        let count = number(environment, "bootcount") + 1;
        environment.set("bootcount", &count.to_string()).unwrap();
        if count > number(environment, "bootlimit") {
            let part = if environment.get("mender_boot_part") == Some("2") { "3" } else { "2" };
            for (name, value) in [
                ("mender_boot_part", part),
                ("mender_boot_part_hex", part),
                ("upgrade_available", "0"),
                ("bootcount", "0"),
            ] {
                environment.set(name, value).unwrap();
            }
        }
    }
    let part = environment.get("mender_boot_part").unwrap();
    assert_eq!(environment.get("mender_boot_part_hex"), Some(part));
    Some(if part == "2" { Slot::A } else { Slot::B })
}
