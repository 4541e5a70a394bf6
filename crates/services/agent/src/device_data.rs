//! What the device tells about itself: hardware, packages, network, configuration.
//!
//! Each of them is sent when it is another than the server was sent last. None of it is worth
//! failing an update for: what a server does not take is tried again in the next cycle.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use serde_json::{Value, json};
use updraft_http::Method;
use updraft_task::Context;
use updraft_tuf::InstallOrder;

use crate::config::{Settings, to_toml};
use crate::cycle::ORDERS;
use crate::library::LibraryEvent;
use crate::session::Session;
use crate::{Error, Result, boot, slots, time_zone};

/// The largest package list that is read, in bytes.
const PACKAGES_LIMIT: usize = 4 << 20;
/// No packet is sent there: it only makes the kernel choose a source address (RFC 5737).
const ANYWHERE: &str = "192.0.2.1:9";

struct Item {
    name: &'static str,
    method: Method,
    content_type: &'static str,
    body: Vec<u8>,
}

/// Sends what changed, and which orders of the Director this agent follows. Fails only when the work is
/// cancelled or the state cannot be written.
pub(crate) fn send(ctx: &Context, session: &Session) -> Result<()> {
    send_all(ctx, session, items(session, &ORDERS, Method::Post, &[]))
}

/// As [`send`]; the configuration is sent by `method`, in which servers differ, with the keys
/// (`section.key`, value) of another program's that it has besides.
pub(crate) fn send_with(
    ctx: &Context,
    session: &Session,
    method: Method,
    own: &[(String, String)],
) -> Result<()> {
    send_all(ctx, session, items(session, &[], method, own))
}

fn send_all(ctx: &Context, session: &Session, items: Vec<Item>) -> Result<()> {
    for item in items {
        ctx.check()?;
        let hash = updraft_crypto::sha256_hex(&item.body);
        if session.store.sent_hash(item.name)?.as_ref() == Some(&hash) {
            continue;
        }
        let sent = session.gateway.send_device_data(
            ctx,
            item.method,
            item.name,
            item.content_type,
            item.body,
        );
        match sent {
            Ok(()) => session.store.set_sent_hash(item.name, &hash)?,
            Err(Error::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => tracing::warn!(%error, what = item.name, "device data was not sent"),
        }
    }
    session.watch.tell(&LibraryEvent::SendDeviceDataComplete);
    Ok(())
}

fn items(
    session: &Session,
    orders: &[InstallOrder],
    method: Method,
    own: &[(String, String)],
) -> Vec<Item> {
    let settings = &session.settings;
    let json_item = |name, value: &Value| Item {
        name,
        method: Method::Put,
        content_type: "application/json",
        body: value.to_string().into_bytes(),
    };
    let slots = slots_of(settings);
    let hardware = session.hardware.clone().or_else(|| custom_hardware(settings));
    let info = with_own_facts(hardware.unwrap_or_else(system_info), settings, orders);
    let mut items = vec![json_item("system_info", &info)];
    if let Some(slots) = &slots {
        items.push(json_item("system_info/slots", slots));
    }
    if let Some(packages) = packages(settings) {
        items.push(json_item("core/installed", &packages));
    }
    if settings.telemetry.report_network {
        items.push(json_item("system_info/network", &network()));
    }
    if settings.telemetry.report_config
        && let Ok(text) = to_toml(settings)
    {
        items.push(Item {
            name: "system_info/config",
            method,
            content_type: "application/toml",
            body: with_own(&text, own).unwrap_or(text).into_bytes(),
        });
    }
    items
}

/// `None`: there is nothing to add.
fn with_own(text: &str, own: &[(String, String)]) -> Option<String> {
    if own.is_empty() {
        return None;
    }
    let mut table: toml::Table = text.parse().ok()?;
    for (key, value) in own {
        let (section, name) = key.split_once('.')?;
        let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
        section.as_table_mut()?.insert(name.to_owned(), value.as_str().into());
    }
    toml::to_string(&table).ok()
}

/// The slots, where those are updated. What is wrong with them the installer tells.
fn slots_of(settings: &Settings) -> Option<Value> {
    if !settings.pacman.is_slots() {
        return None;
    }
    let session = boot::session(&settings.boot.kernel_cmdline).ok()?;
    let engine = slots::open(settings, &session).ok()?;
    slots::overview(&engine).ok().map(|overview| slots::report(&overview))
}

/// What the device's maker says of the hardware. A file that is no JSON is told once a cycle.
fn custom_hardware(settings: &Settings) -> Option<Value> {
    let path = &settings.telemetry.hardware_info_path;
    if path.as_os_str().is_empty() {
        return None;
    }
    let text = fs::read_to_string(path).ok().filter(|text| text.len() <= PACKAGES_LIMIT);
    let value = text.and_then(|text| serde_json::from_str(&text).ok());
    if value.is_none() {
        tracing::warn!(path = %path.display(), "the description of the hardware is no JSON");
    }
    value
}

/// The shape of `lshw -json`: an object with `id` and `class` and what is inside as `children`.
fn system_info() -> Value {
    json!({
        "id": host_name(),
        "class": "system",
        "product": line("/sys/devices/virtual/dmi/id/product_name")
            .or_else(|| line("/proc/device-tree/model")),
        "vendor": line("/sys/devices/virtual/dmi/id/sys_vendor"),
        "children": [
            { "id": "cpu", "class": "processor", "product": cpu(), "width": usize::BITS,
              "architecture": std::env::consts::ARCH },
            { "id": "memory", "class": "memory", "units": "bytes", "size": memory() },
            { "id": "kernel", "class": "software", "version": line("/proc/sys/kernel/osrelease") },
        ],
    })
}

/// Adds where the device is, unless its maker says so, and what this agent is. What is no object stays
/// what it is.
fn with_own_facts(mut info: Value, settings: &Settings, orders: &[InstallOrder]) -> Value {
    let zone = match settings.telemetry.time_zone.as_str() {
        "" => time_zone::of_system(Path::new("/")),
        zone => Some(zone.to_owned()),
    };
    let Value::Object(members) = &mut info else { return info };
    if let Some(zone) = zone {
        members.entry("time_zone").or_insert_with(|| zone.into());
    }
    let orders: Vec<&str> = orders.iter().filter_map(|order| order.name()).collect();
    let agent =
        json!({ "name": "updraft", "version": env!("CARGO_PKG_VERSION"), "orders": orders });
    members.insert("agent".to_owned(), agent);
    info
}

fn cpu() -> Option<String> {
    field("/proc/cpuinfo", "model name").or_else(|| field("/proc/cpuinfo", "Model"))
}

fn memory() -> Option<u64> {
    let text = field("/proc/meminfo", "MemTotal")?;
    let kib: u64 = text.trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Lines of `NAME VERSION …`.
fn packages(settings: &Settings) -> Option<Value> {
    let path = &settings.pacman.packages_file;
    let text = fs::read_to_string(path).ok().filter(|text| text.len() <= PACKAGES_LIMIT)?;
    let packages = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(json!({ "name": words.next()?, "version": words.next()? }))
    });
    Some(Value::Array(packages.collect()))
}

fn network() -> Value {
    let address = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect(ANYWHERE).map(|()| socket))
        .and_then(|socket| socket.local_addr())
        .map_or_else(|_| String::new(), |address| address.ip().to_string());
    json!({ "hostname": host_name(), "local_ipv4": address, "mac": hardware_address() })
}

/// The hardware address of the interface with the default route.
fn hardware_address() -> String {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let interface = routes.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (name, destination) = (words.next()?, words.next()?);
        (destination == "00000000").then_some(name)
    });
    interface.and_then(|name| line(&format!("/sys/class/net/{name}/address"))).unwrap_or_default()
}

fn host_name() -> String {
    line("/proc/sys/kernel/hostname").unwrap_or_default()
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
