//! Logs of devices, on demand, and their configuration.

use updraft_api::{DeviceLog, DeviceLogState, Event, EventKind, Page, Scope, paths};
use updraft_http::Method;

use crate::device::Device;
use crate::world::{Answer, World};

/// What the answer to a manifest asks for.
const WANTED: &str = "updraft-wanted-log";

fn wanted(answer: &Answer) -> Option<u64> {
    answer.headers.get(WANTED).map(|log| log.parse().expect("a number"))
}

fn send(world: &World, device: &Device, log: u64, text: impl Into<Vec<u8>>) -> Answer {
    let path = format!("/system_info/logs/{log}");
    world.send(&device.client(world), Method::Put, &path, text)
}

#[test]
fn a_device_sends_its_log_when_somebody_asks() {
    let mut world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    let mut other = Device::new(&world, "vehicle-2");
    let operator = world.operator();
    let logs = paths::device_logs("vehicle-1");
    assert_eq!(wanted(&device.report(&world).expect(200)), None);

    let asked: DeviceLog = world.send(&operator, Method::Post, &logs, "").expect(201).read();
    assert_eq!((asked.state, asked.bytes), (DeviceLogState::Requested, None));
    let again: DeviceLog = world.send(&operator, Method::Post, &logs, "").expect(201).read();
    assert_eq!(again, asked, "one request is enough");
    let text = paths::device_log("vehicle-1", asked.id);
    world.get(&operator, &text).expect(404);

    // Whichever server the device comes to; and only that device.
    world.restart();
    let operator = world.operator();
    assert_eq!(wanted(&other.report(&world).expect(200)), None);
    assert_eq!(wanted(&device.report(&world).expect(200)), Some(asked.id));
    send(&world, &other, asked.id, "of another").expect(404);
    send(&world, &device, asked.id + 1, "never asked for").expect(404);
    send(&world, &device, asked.id, vec![b'x'; (4 << 20) + 1]).expect(413);
    send(&world, &device, asked.id, &b"booted\nall \xff is well\n"[..]).expect(204);
    assert_eq!(wanted(&device.report(&world).expect(200)), None);
    // The answer was lost: what is there stays.
    send(&world, &device, asked.id, "something else").expect(204);

    let list: Vec<DeviceLog> = world.get(&operator, &logs).read();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].state, list[0].bytes), (DeviceLogState::Received, Some(21)));
    let answer = world.get(&operator, &text).expect(200);
    assert_eq!(answer.text(), "booted\nall \u{fffd} is well\n");
    assert_eq!(answer.headers.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.headers.get("x-content-type-options"), Some("nosniff"));

    // Who may only look does not read what people did.
    let viewer = world.client(None, Some(&world.make_token("viewer", Scope::Read)));
    world.get(&viewer, &logs).expect(200);
    world.get(&viewer, &text).expect(403);
    world.send(&viewer, Method::Post, &logs, "").expect(403);
    let events: Page<Event> = world.get(&operator, &paths::device_events("vehicle-1")).read();
    let kinds: Vec<EventKind> = events.items.iter().map(|event| event.kind).collect();
    let of_logs = [EventKind::DeviceLogRequested, EventKind::DeviceLogReceived];
    assert_eq!(kinds[kinds.len() - 2..], of_logs);
    // What another device is asked for is not to be read under this one's name.
    world.get(&operator, &paths::device_log("vehicle-2", asked.id)).expect(404);
}

#[test]
fn few_logs_are_kept_and_none_for_ever() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let operator = world.operator();
    let logs = paths::device_logs("vehicle-1");
    let mut last = 0;
    for _ in 0..12 {
        let asked: DeviceLog = world.send(&operator, Method::Post, &logs, "").expect(201).read();
        assert!(asked.id > last, "numbers are never used twice");
        last = asked.id;
        send(&world, &device, last, "a log").expect(204);
    }
    let count = || world.get(&operator, &logs).read::<Vec<DeviceLog>>().len();
    assert_eq!(count(), 10);
    world.clock.pass(29 * 24 * 3600);
    world.fleet().prune_logs().expect("pruned");
    assert_eq!(count(), 10);
    world.clock.pass(2 * 24 * 3600);
    world.fleet().prune_logs().expect("pruned");
    assert_eq!(count(), 0);
}

#[test]
fn only_those_are_asked_that_would_hear_of_it() {
    let world = World::new();
    let operator = world.operator();
    let path = paths::device_logs("nobody");
    world.send(&operator, Method::Post, &path, "").expect(404);
    Device::provisioned(&world, "silent");
    let refused = world.send(&operator, Method::Post, &paths::device_logs("silent"), "");
    assert_eq!(refused.expect(409).code(), "sends_no_logs");
}

#[test]
fn the_configuration_is_shown_as_it_was_sent() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let operator = world.operator();
    let path = paths::device_configuration("vehicle-1");
    world.get(&operator, &path).expect(404);
    let toml = "[tls]\nserver = \"<b>x</b>\"\n";
    world.send(&device.client(&world), Method::Put, "/system_info/config", toml).expect(204);
    let answer = world.get(&operator, &path).expect(200);
    assert_eq!(answer.text(), toml);
    assert_eq!(answer.headers.get("content-type"), Some("text/plain; charset=utf-8"));
}
