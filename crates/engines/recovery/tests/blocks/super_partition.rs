//! The table of logical partitions: whole at any moment, and what changes make of it.

use updraft_fs::fault::{Fault, Injection};
use updraft_payload::logical_partitions::{
    Geometry, LogicalDevice, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable,
    TableChange, parse_changes,
};
use updraft_recovery_engine::SuperPartition;

use super::device::CutDevice;

const GEOMETRY: Geometry = Geometry { max_size: 8192, slots: 1, block_size: 4096 };
const SIZE: u64 = 4 << 20;
/// 64 KiB, in sectors.
const UNIT: u64 = 128;

fn linear(start: u64, sectors: u64) -> LogicalExtent {
    LogicalExtent::Linear { sectors, device: 0, start }
}

fn table(partitions: &[(&str, &[LogicalExtent])]) -> LogicalTable {
    let group = |name: &str, max_size| LogicalGroup { name: name.to_owned(), flags: 0, max_size };
    let partition = |(name, extents): &(&str, &[LogicalExtent])| LogicalPartition {
        name: (*name).to_owned(),
        attributes: 1,
        group: "main".to_owned(),
        extents: extents.to_vec(),
    };
    LogicalTable {
        minor_version: 0,
        flags: 0,
        partitions: partitions.iter().map(partition).collect(),
        groups: vec![group("default", 0), group("main", 3 << 20)],
        devices: vec![LogicalDevice {
            first_sector: UNIT,
            alignment: 65536,
            alignment_offset: 0,
            size: SIZE,
            name: "super".to_owned(),
            flags: 0,
        }],
    }
}

fn image(table: &LogicalTable) -> Vec<u8> {
    let mut image = vec![0; usize::try_from(SIZE).unwrap()];
    let mut put = |offset: u64, bytes: &[u8]| {
        let offset = usize::try_from(offset).unwrap();
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    for offset in Geometry::OFFSETS {
        put(offset, &GEOMETRY.encode().unwrap());
    }
    for offset in GEOMETRY.table_offsets(0) {
        put(offset, &table.encode(&GEOMETRY).unwrap());
    }
    image
}

fn planned(table: &LogicalTable, changes: &str) -> LogicalTable {
    let device = CutDevice::new(&image(table));
    let disk = SuperPartition::read("super", &device).unwrap();
    disk.plan(&parse_changes(changes).unwrap()).unwrap().0
}

#[test]
fn after_a_cut_at_any_write_one_table_is_whole() {
    // Of several sectors, of which any may get through.
    let names: Vec<String> = (0..20).map(|number| format!("empty{number}")).collect();
    let pieces = [linear(UNIT, 512), linear(1024, 128)];
    let mut all = vec![("a", &pieces[..1]), ("b", &pieces[1..])];
    all.extend(names.iter().map(|name| (name.as_str(), &[][..])));
    let old = table(&all);
    let changes =
        "remove a\nresize b 262144\nadd c main\nresize c 8192\nresize_group main 1048576\n";
    let changes = parse_changes(changes).unwrap();
    let mut chance = fastrand::Rng::with_seed(5);
    let [first, second] = GEOMETRY.table_offsets(0).map(|offset| usize::try_from(offset).unwrap());
    for damaged in [None, Some(first), Some(second)] {
        let mut begin = image(&old);
        if let Some(offset) = damaged {
            begin[offset + 100] ^= 1;
        }
        let (mut olds, mut news, mut torn) = (0, 0, 0);
        let mut done = 0;
        // Three writes, each made durable.
        for before in (0..=6).flat_map(|before| [before; 20]) {
            let device = CutDevice::new(&begin);
            let disk = SuperPartition::read("super", &device).unwrap();
            let (new, bytes) = disk.plan(&changes).unwrap();
            let injection = Injection::after(before, Fault::Broken);
            let result = disk.replace(&bytes);
            drop(injection);
            device.cut_power(&mut chance);
            let disk = SuperPartition::read("super", &device).unwrap();
            let found = disk.table().unwrap();
            match &found {
                _ if found == new => news += 1,
                _ if found == old => olds += 1,
                _ => panic!("cut {before}: {found:?}"),
            }
            let copy = |offset: usize| {
                LogicalTable::parse(&GEOMETRY, &device.image()[offset..offset + 8192])
            };
            torn += u32::from(copy(first).is_err() && damaged != Some(first));
            disk.settle().unwrap();
            assert!([first, second].iter().all(|offset| copy(*offset).as_ref() == Ok(&found)));
            assert_eq!(
                disk.id().unwrap(),
                SuperPartition::id_of(&found.encode(&GEOMETRY).unwrap())
            );
            if result.is_ok() {
                assert!(found == new);
                done += 1;
            }
        }
        let is_mixed = done >= 20 && olds > 20 && news > 20 && (torn > 5 || damaged == Some(first));
        assert!(is_mixed, "{olds} old, {news} new, {torn} torn");
    }
}

#[test]
fn room_is_given_away_as_android_does_it() {
    // a, a gap of one unit, b that ends within a unit, and the rest.
    let old = table(&[("a", &[linear(UNIT, UNIT)]), ("b", &[linear(3 * UNIT, UNIT + 16)])]);
    let extents =
        |changes: &str, name: &str| planned(&old, changes).partition(name).unwrap().extents.clone();
    // The rest of its own last unit comes first, which nobody else could have; then the first gap.
    assert_eq!(extents("resize b 131072", "b"), [linear(3 * UNIT, 2 * UNIT)]);
    assert_eq!(
        extents("resize b 200704", "b"),
        [linear(3 * UNIT, 2 * UNIT), linear(2 * UNIT, UNIT), linear(5 * UNIT, 8)]
    );
    // What follows at once is one piece with what was there.
    assert_eq!(extents("resize a 131072", "a"), [linear(UNIT, 2 * UNIT)]);
    // A size that is no whole block becomes one.
    assert_eq!(extents("resize a 5000", "a"), [linear(UNIT, 16)]);
    assert_eq!(extents("resize a 0", "a"), []);
    // A new one begins at a unit, and never in what another one could grow into.
    assert_eq!(extents("add c main\nresize c 4096", "c"), [linear(2 * UNIT, 8)]);
    assert_eq!(extents("resize a 131072\nadd c main\nresize c 4096", "c"), [linear(5 * UNIT, 8)]);
    assert_eq!(
        extents("remove_all_groups\nadd_group main 0\nadd b main\nresize b 8192", "b"),
        [linear(UNIT, 16)]
    );
}

/// Sectors of a partition, each with where it is.
fn places(partition: &LogicalPartition) -> Vec<u64> {
    let extents = partition.extents.iter().flat_map(|extent| match *extent {
        LogicalExtent::Linear { sectors, start, .. } => start..start + sectors,
        LogicalExtent::Zero { .. } => panic!("no zeros were asked for"),
    });
    extents.collect()
}

#[test]
fn whatever_changes_what_stays_is_where_it_was() {
    let mut chance = fastrand::Rng::with_seed(11);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..60 {
        let mut old = table(&[("a", &[linear(UNIT, 512)]), ("b", &[linear(1024, 136)])]);
        for _ in 0..25 {
            let name = ["a", "b", "c", "d"][chance.usize(..4)].to_owned();
            let change = match chance.u8(..10) {
                0 => TableChange::Remove(name.clone()),
                1 | 2 => TableChange::Add(name.clone(), "main".to_owned()),
                _ => TableChange::Resize(name.clone(), chance.u64(..1 << 20)),
            };
            let device = CutDevice::new(&image(&old));
            let disk = SuperPartition::read("super", &device).unwrap();
            let Ok((new, bytes)) = disk.plan(&[(1, change.clone())]) else {
                refused += 1;
                continue;
            };
            made += 1;
            // It reads back; that pieces neither overlap nor leave the device, reading sees to.
            disk.replace(&bytes).unwrap();
            assert_eq!(SuperPartition::read("super", &device).unwrap().table().unwrap(), new);
            for partition in &old.partitions {
                let (had, has) = (places(partition), new.partition(&partition.name).map(places));
                match (&change, has) {
                    (TableChange::Remove(removed), None) => assert_eq!(*removed, partition.name),
                    (TableChange::Resize(resized, size), Some(has))
                        if *resized == partition.name =>
                    {
                        assert_eq!(has.len() as u64, size.next_multiple_of(4096) / 512);
                        let both = had.len().min(has.len());
                        assert_eq!(has[..both], had[..both], "{change:?}");
                    }
                    (_, has) => assert_eq!(has, Some(had), "{change:?}"),
                }
            }
            old = new;
        }
    }
    assert!(made > 500 && refused > 100, "{made} made, {refused} refused");
}
