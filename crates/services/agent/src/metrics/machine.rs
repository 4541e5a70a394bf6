//! What Linux tells of a machine: proc(5), statvfs(3), and the kernel's
//! `Documentation/ABI/testing/sysfs-class-thermal`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use updraft_fs::{Dir, space};

use super::group;

const MILLI: f64 = 1000.0;
const KIB: f64 = 1024.0;

/// How long processors have worked since the start, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcessorTime {
    all: u64,
    idle: u64,
}

/// Everything that can be measured; `before` is the last reading of the processors.
pub(super) fn measure(storage: &Path, before: &mut Option<ProcessorTime>) -> Map<String, Value> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = processor_time(&read("/proc/stat"));
    let used = processors.and_then(|now| used_percent(before.as_ref(), now));
    *before = processors.or(*before);
    let groups = [
        ("cpu", group([("used_percent", used), ("load_1m", first_number(&read("/proc/loadavg")))])),
        ("memory", memory(&read("/proc/meminfo"))),
        ("disk", disk(storage)),
        ("system", group([("uptime_sec", first_number(&read("/proc/uptime")))])),
        ("network", network(&read("/proc/net/dev"))),
        ("temperature", temperatures(Path::new("/sys/class/thermal"))),
    ];
    let known = groups.into_iter().filter_map(|(name, group)| Some((name.to_owned(), group?)));
    known.collect()
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and guests,
/// who are counted among users already.
fn processor_time(stat: &str) -> Option<ProcessorTime> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> =
        line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = ticks.get(3)?.saturating_add(ticks.get(4).copied().unwrap_or(0));
    Some(ProcessorTime { all: ticks.iter().fold(0, |sum, one| sum.saturating_add(*one)), idle })
}

/// Since the reading before, or since the start.
fn used_percent(before: Option<&ProcessorTime>, now: ProcessorTime) -> Option<f64> {
    let all = now.all.checked_sub(before.map_or(0, |it| it.all)).filter(|all| *all > 0)?;
    let idle = now.idle.saturating_sub(before.map_or(0, |it| it.idle)).min(all);
    #[allow(clippy::cast_precision_loss, reason = "a share of ticks")]
    Some(100.0 * (all - idle) as f64 / all as f64)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn memory(meminfo: &str) -> Option<Value> {
    let bytes = |name: &str| {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(first_number(value)? * KIB)
    };
    group([
        ("total_bytes", bytes("MemTotal")),
        ("available_bytes", bytes("MemAvailable")),
        ("swap_total_bytes", bytes("SwapTotal")),
        ("swap_free_bytes", bytes("SwapFree")),
    ])
}

fn disk(storage: &Path) -> Option<Value> {
    let space = space::of(&Dir::open(storage).ok()?).ok()?;
    #[allow(clippy::cast_precision_loss, reason = "nobody draws single bytes of a disk")]
    let bytes = |count: u64| Some(count as f64);
    group([("total_bytes", bytes(space.total)), ("available_bytes", bytes(space.available))])
}

/// All interfaces but the loopback, together.
fn network(dev: &str) -> Option<Value> {
    let (mut received, mut sent, mut found) = (0.0, 0.0, false);
    for line in dev.lines() {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let numbers: Vec<f64> =
            numbers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if let (Some(in_bytes), Some(out_bytes)) = (numbers.first(), numbers.get(8)) {
            (received, sent, found) = (received + in_bytes, sent + out_bytes, true);
        }
    }
    let counted = |bytes| found.then_some(bytes);
    group([("received_bytes", counted(received)), ("sent_bytes", counted(sent))])
}

/// In degrees Celsius, by what the zone says it is; a second zone of the same kind has its number.
fn temperatures(class: &Path) -> Option<Value> {
    let mut zones: Vec<_> = fs::read_dir(class).ok()?.flatten().map(|entry| entry.path()).collect();
    zones.sort();
    let mut found = Map::new();
    for zone in zones {
        let read = |name: &str| fs::read_to_string(zone.join(name)).ok();
        let (Some(kind), Some(text)) = (read("type"), read("temp")) else { continue };
        let Ok(milli) = text.trim().parse::<f64>() else { continue };
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let kind: String = kind.trim().chars().map(|c| if is_good(c) { c } else { '_' }).collect();
        let mut name = format!("{kind}_celsius");
        if found.contains_key(&name) {
            let number = zone.file_name()?.to_string_lossy().replace("thermal_zone", "");
            name = format!("{kind}_{number}_celsius");
        }
        found.insert(name, (milli / MILLI).into());
    }
    (!found.is_empty()).then_some(Value::Object(found))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn processors_are_measured_between_two_readings() {
        let first =
            processor_time("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n").expect("a line");
        assert_eq!(first, ProcessorTime { all: 1000, idle: 800 });
        assert_eq!(used_percent(None, first), Some(20.0));
        let next = ProcessorTime { all: 1100, idle: 825 };
        assert_eq!(used_percent(Some(&first), next), Some(75.0));
        // Nothing passed, or the machine was started anew.
        assert_eq!(used_percent(Some(&next), next), None);
        assert_eq!(used_percent(Some(&next), first), None);
        assert_eq!(processor_time("intr 5"), None);
        assert_eq!(processor_time("cpu a b c d"), None);
    }

    #[test]
    fn numbers_of_proc_are_read() {
        let memory = memory("MemTotal:       16 kB\nMemFree: 1 kB\nMemAvailable:    8 kB\n");
        assert_eq!(memory, Some(json!({ "total_bytes": 16384.0, "available_bytes": 8192.0 })));
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    \
                   lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n  \
                   eth0: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n \
                   wlan0: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n";
        let expected = json!({ "received_bytes": 11.0, "sent_bytes": 22.0 });
        assert_eq!(network(dev), Some(expected));
        assert_eq!(network(""), None);
    }

    #[test]
    fn zones_of_the_same_kind_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        for (zone, kind, value) in
            [(0, "cpu thermal", "41500"), (1, "cpu thermal", "42000"), (2, "gpu", "x")]
        {
            let zone = folder.path().join(format!("thermal_zone{zone}"));
            fs::create_dir(&zone).expect("made");
            fs::write(zone.join("type"), format!("{kind}\n")).expect("written");
            fs::write(zone.join("temp"), format!("{value}\n")).expect("written");
        }
        let expected = json!({ "cpu_thermal_celsius": 41.5, "cpu_thermal_1_celsius": 42.0 });
        assert_eq!(temperatures(folder.path()), Some(expected));
    }

    #[test]
    fn this_machine_can_be_measured() {
        let mut before = None;
        let record = measure(Path::new("/"), &mut before);
        for name in ["cpu", "memory", "disk", "system"] {
            assert!(record.contains_key(name), "{name} of {record:?}");
        }
        assert!(before.is_some());
    }
}
