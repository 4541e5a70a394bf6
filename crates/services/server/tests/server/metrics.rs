//! What devices measure.

use serde_json::{Value, json};
use updraft_api::{Metric, MetricResolution, MetricSeries, paths};
use updraft_http::Method;

use crate::device::Device;
use crate::world::{Answer, World};

/// Torizon's devices send here.
const FLUENT_BIT: &str = "/monitoring/fluentbit-metrics";
const HOUR: i64 = 3600;

fn now(world: &World) -> i64 {
    world.environment().now().as_second()
}

fn send(world: &World, device: &Device, records: &Value) -> Answer {
    world.send_json(&device.client(world), Method::Post, FLUENT_BIT, records)
}

fn series(world: &World, device: &str, name: &str, query: &str) -> MetricSeries {
    let path = format!("{}{query}", paths::device_metric(device, name));
    world.get(&world.operator(), &path).read()
}

fn newest(world: &World, device: &str) -> Vec<(String, f64)> {
    let found: Vec<Metric> = world.get(&world.operator(), &paths::device_metrics(device)).read();
    found.into_iter().map(|metric| (metric.name, metric.value)).collect()
}

#[test]
fn what_fluent_bit_sends_is_kept_by_value_and_by_hour() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    Device::new(&world, "vehicle-2");
    // A whole hour, so that all values are of one.
    let begin = now(&world) / HOUR * HOUR - 2 * HOUR;
    let later: Value = format!("{}.5", begin + 300).parse().expect("a number");
    let records = json!([
        { "date": begin, "cpu": { "p_cpu": 10.0 }, "memory": { "free": 5 } },
        { "date": later, "cpu": { "p_cpu": 30.0 } },
        { "date": begin + 600, "cpu": { "p_cpu": 20 }, "docker": { "alive": true } },
    ]);
    send(&world, &device, &records).expect(200);
    // The answer was lost: the same again changes nothing.
    send(&world, &device, &records).expect(200);
    // Older than what is known: it is not the newest.
    send(&world, &device, &json!({ "date": begin - HOUR, "memory": { "free": 1 } })).expect(200);
    let expected = [("cpu.p_cpu", 20.0), ("docker.alive", 1.0), ("memory.free", 5.0)]
        .map(|(name, value)| (name.to_owned(), value));
    assert_eq!(newest(&world, "vehicle-1"), expected);
    assert_eq!(newest(&world, "vehicle-2"), []);

    let raw = series(&world, "vehicle-1", "cpu.p_cpu", "");
    assert_eq!((raw.resolution, raw.truncated), (MetricResolution::Raw, false));
    let values: Vec<f64> = raw.points.iter().map(|point| point.value).collect();
    assert_eq!(values, [10.0, 30.0, 20.0]);
    assert_eq!(raw.points[1].at.as_millisecond(), begin * 1000 + 300_500);
    let hours = series(&world, "vehicle-1", "cpu.p_cpu", "?resolution=hourly");
    assert_eq!(hours.points.len(), 1);
    let hour = hours.points[0];
    assert_eq!((hour.at.as_second(), hour.value), (begin, 20.0));
    assert_eq!((hour.minimum, hour.maximum), (Some(10.0), Some(30.0)));
    // By the length of time, if nobody says.
    let month = series(&world, "vehicle-1", "cpu.p_cpu", "?from=2026-01-01T00:00:00Z");
    assert_eq!(month.resolution, MetricResolution::Hourly);
    // Another device's are not shown.
    assert_eq!(series(&world, "vehicle-2", "cpu.p_cpu", "").points, []);
}

#[test]
fn values_go_after_two_days_and_hours_after_three_months() {
    let mut world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let begin = now(&world);
    send(&world, &device, &json!({ "date": begin, "a": 1 })).expect(200);
    let all = "?from=2020-01-01T00:00:00Z&resolution=";
    let count = |world: &World, resolution: &str| {
        series(world, "vehicle-1", "a", &format!("{all}{resolution}")).points.len()
    };
    for (hours, raw, hourly) in [(0, 1, 1), (47, 1, 1), (2, 0, 1), (87 * 24, 0, 1), (3 * 24, 0, 0)]
    {
        world.clock.pass(hours * HOUR);
        world.fleet().prune_metrics().expect("pruned");
        assert_eq!((count(&world, "raw"), count(&world, "hourly")), (raw, hourly), "{hours}");
    }
    assert_eq!(newest(&world, "vehicle-1"), [("a".to_owned(), 1.0)]);
    // What comes too late cannot be told from what was sent before, and is passed over.
    send(&world, &device, &json!({ "date": begin, "a": 1 })).expect(200);
    assert_eq!((count(&world, "raw"), count(&world, "hourly")), (0, 0));
    // They are gone with the device.
    world.send(&world.operator(), Method::Delete, &paths::device("vehicle-1"), "").expect(204);
    world.get(&world.operator(), &paths::device_metrics("vehicle-1")).expect(404);
    world.restart();
}

#[test]
fn what_is_too_much_or_no_metric_is_refused_and_nothing_is_kept() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let refuse = |records: &Value, status: u16| send(&world, &device, records).expect(status);
    refuse(&json!([{ "good": 1 }, { "not good": 1 }]), 400);
    refuse(&json!([{ "good": 1 }, 7]), 400);
    refuse(&json!("text"), 400);
    refuse(&json!({ "date": "now", "good": 1 }), 400);
    let many = |count: usize| -> Value {
        (0..count).map(|at| (format!("m{at}"), json!(at))).collect::<serde_json::Map<_, _>>().into()
    };
    refuse(&many(257), 400);
    refuse(&Value::Array(vec![many(256); 79]), 413);
    let client = device.client(&world);
    world.send(&client, Method::Post, FLUENT_BIT, "{").expect(400);
    world.send(&client, Method::Post, FLUENT_BIT, vec![b' '; 2 << 20]).expect(413);
    assert_eq!(newest(&world, "vehicle-1"), []);
    send(&world, &device, &many(256)).expect(200);
    refuse(&json!({ "one_more": 1 }), 400);
    assert_eq!(newest(&world, "vehicle-1").len(), 256);

    // Only devices send, and only operators read.
    let nobody = world.client(None, None);
    world.send_json(&nobody, Method::Post, FLUENT_BIT, &json!({ "a": 1 })).expect(401);
    world.get(&nobody, &paths::device_metrics("vehicle-1")).expect(401);
    world.get(&client, &paths::device_metrics("vehicle-1")).expect(401);
    let operator = world.operator();
    world.get(&operator, &paths::device_metric("vehicle-1", "unknown")).expect(404);
    world.get(&operator, &paths::device_metric("vehicle-9", "m1")).expect(404);
    let wrong = [
        "?from=yesterday",
        "?resolution=daily",
        "?to=2020-01-01T00:00:00Z&from=2021-01-01T00:00:00Z",
    ];
    for query in wrong {
        let path = format!("{}{query}", paths::device_metric("vehicle-1", "m1"));
        world.get(&operator, &path).expect(400);
    }
}
