//! What signing a file means, in words, read from the payload that the signature covers and from
//! nothing else. A signer who sees these lines has seen everything that the file says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, Header, Key, KeyId, OfflineSnapshot,
    OfflineUpdates, Payload, RoleKeys, RoleName, Root, Snapshot, Target, Targets, Timestamp,
    canonical, format_time,
};

use crate::Error;

/// The lines for `signed`, a file of `role`. With `before`, the file that it replaces, only what
/// differs is told; without it, all of it.
pub(crate) fn meaning(
    dialect: Dialect,
    role: &RoleName,
    signed: &Value,
    before: Option<&Value>,
) -> Result<Vec<String>, Error> {
    let lines = match role {
        RoleName::Root => {
            let next = read::<Root>(dialect, role, signed)?;
            check_key_ids(dialect, &next.keys)?;
            let before = before.map(|value| read::<Root>(dialect, role, value)).transpose()?;
            root_lines(&next, before.as_ref())
        }
        RoleName::OfflineUpdates => {
            let next = read::<OfflineUpdates>(dialect, role, signed)?.0;
            let before =
                before.map(|value| read::<OfflineUpdates>(dialect, role, value)).transpose()?;
            targets_lines(&next, before.map(|updates| updates.0).as_ref())
        }
        RoleName::OfflineSnapshot => {
            snapshot_lines(&read::<OfflineSnapshot>(dialect, role, signed)?.0)
        }
        RoleName::Targets | RoleName::Delegated(_) => {
            let next = read::<Targets>(dialect, role, signed)?;
            if let Some(delegations) = &next.delegations {
                check_key_ids(dialect, &delegations.keys)?;
            }
            let before = before.map(|value| read::<Targets>(dialect, role, value)).transpose()?;
            targets_lines(&next, before.as_ref())
        }
        RoleName::Snapshot => snapshot_lines(&read::<Snapshot>(dialect, role, signed)?),
        RoleName::Timestamp => {
            let next = read::<Timestamp>(dialect, role, signed)?;
            let file = format!("snapshot.json: version {}", next.snapshot.version);
            vec![header_line(&next.header, None), file]
        }
    };
    Ok(lines.iter().map(|line| printable(line)).collect())
}

fn snapshot_lines(next: &Snapshot) -> Vec<String> {
    let files = next.meta.iter().map(|(name, file)| format!("{name}: version {}", file.version));
    std::iter::once(header_line(&next.header, None)).chain(files).collect()
}

fn read<P: Payload>(dialect: Dialect, role: &RoleName, signed: &Value) -> Result<P, Error> {
    P::from_value(dialect, signed.clone()).map_err(Error::refused(role.to_string()))
}

/// A key under the id of another one would make a new key look like an old one.
fn check_key_ids(dialect: Dialect, keys: &BTreeMap<KeyId, Key>) -> Result<(), Error> {
    for (id, key) in keys {
        if let Some(own) = key.public().map(|public| public.key_id(dialect))
            && own != *id
        {
            return Err(Error::MisnamedKey { listed: id.clone(), own });
        }
    }
    Ok(())
}

fn header_line(next: &Header, before: Option<&Header>) -> String {
    let version = match before {
        Some(before) => format!("version {} becomes {}", before.version, next.version),
        None => format!("version {}", next.version),
    };
    format!("{version}, valid until {}", format_time(next.expires))
}

fn root_lines(next: &Root, before: Option<&Root>) -> Vec<String> {
    let mut lines = vec![header_line(&next.header, before.map(|root| &root.header))];
    let mut names: BTreeSet<&String> = next.roles.keys().collect();
    names.extend(before.iter().flat_map(|root| root.roles.keys()));
    for name in names {
        let had = before.and_then(|root| root.roles.get(name));
        lines.extend(role_lines(name, next.roles.get(name), had, &next.keys));
    }
    let flag = next.uses_consistent_snapshots();
    if before.is_none_or(|root| root.uses_consistent_snapshots() != flag) {
        lines.push(format!("consistent snapshots: {}", if flag { "yes" } else { "no" }));
    }
    lines.extend(extra_lines(&next.extra, before.map(|root| &root.extra)));
    lines
}

fn role_lines(
    name: &str,
    next: Option<&RoleKeys>,
    before: Option<&RoleKeys>,
    keys: &BTreeMap<KeyId, Key>,
) -> Vec<String> {
    let ids = |role: Option<&RoleKeys>| role.map(|role| role.key_ids.clone()).unwrap_or_default();
    let (now, had) = (ids(next), ids(before));
    let mut lines = Vec::new();
    for id in now.iter().filter(|id| !had.contains(id)) {
        let known = keys.get(id).and_then(Key::public);
        let sort = known.map_or("of an unknown sort", |key| key.key_type().scheme());
        lines.push(format!("{name}: adds key {id} ({sort})"));
    }
    let removed = had.iter().filter(|id| !now.contains(id));
    lines.extend(removed.map(|id| format!("{name}: removes key {id}")));
    let thresholds = (before.map(|role| role.threshold), next.map(|role| role.threshold));
    match thresholds {
        (Some(old), Some(new)) if old != new => {
            lines.push(format!("{name}: threshold {old} becomes {new}"));
        }
        (None, Some(new)) => lines.push(format!("{name}: threshold {new}")),
        (Some(_), None) => lines.push(format!("{name}: the role goes away")),
        _ => {}
    }
    lines
}

fn targets_lines(next: &Targets, before: Option<&Targets>) -> Vec<String> {
    let mut lines = vec![header_line(&next.header, before.map(|targets| &targets.header))];
    let none = BTreeMap::new();
    let had = before.map_or(&none, |targets| &targets.targets);
    for (path, target) in &next.targets {
        match had.get(path) {
            None => lines.push(format!("adds {path}: {}", target_text(target))),
            Some(old) if old != target => {
                lines.push(format!("changes {path}: {}", target_text(target)));
                lines.push(format!("  was {}", target_text(old)));
            }
            Some(_) => {}
        }
    }
    let removed = had.keys().filter(|path| !next.targets.contains_key(*path));
    lines.extend(removed.map(|path| format!("removes {path}")));
    let delegations = before.and_then(|targets| targets.delegations.as_ref());
    if delegations != next.delegations.as_ref() {
        lines.extend(delegation_lines(next.delegations.as_ref(), delegations));
    }
    lines.extend(extra_lines(&next.extra, before.map(|targets| &targets.extra)));
    if lines.len() == 1 {
        lines.push(match before {
            Some(_) => "the same targets".to_owned(),
            None => "no targets".to_owned(),
        });
    }
    lines
}

/// Digests first; then `custom`, whole, because everything in it is signed.
fn target_text(target: &Target) -> String {
    let hashes: Vec<String> =
        target.hashes.iter().map(|(name, digest)| format!("{name} {digest}")).collect();
    let mut text = format!("{}, {} bytes", hashes.join(", "), target.length);
    if let Some(custom) = &target.custom {
        text.push_str(", ");
        text.push_str(&compact(custom));
    }
    if !target.extra.is_empty() {
        text.push_str(", ");
        text.push_str(&compact(&Value::Object(target.extra.clone())));
    }
    text
}

fn delegation_lines(next: Option<&Delegations>, before: Option<&Delegations>) -> Vec<String> {
    let none = Delegations::empty();
    let had = before.unwrap_or(&none);
    let Some(next) = next else { return vec!["delegates nothing any more".into()] };
    let mut lines = Vec::new();
    for role in &next.roles {
        let old = had.roles.iter().find(|old| old.name == role.name);
        lines.extend(delegated_role_lines(role, old, &next.keys));
    }
    let is_gone = |old: &&DelegatedRole| !next.roles.iter().any(|role| role.name == old.name);
    let gone = had.roles.iter().filter(is_gone);
    lines.extend(gone.map(|role| format!("delegates nothing to role {} any more", role.name)));
    let order = |all: &Delegations| all.roles.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    if order(next).len() > 1 && order(next) != order(had) {
        lines.push(format!("asks delegated roles in the order {}", order(next).join(", ")));
    }
    if next.succinct != had.succinct {
        lines.extend(bins_lines(next, had));
    }
    lines.extend(extra_lines(&next.extra, Some(&had.extra)));
    if lines.is_empty() {
        lines.push("changes keys of delegations that no role uses".to_owned());
    }
    lines
}

fn delegated_role_lines(
    role: &DelegatedRole,
    old: Option<&DelegatedRole>,
    keys: &BTreeMap<KeyId, Key>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let reach = |role: &DelegatedRole| {
        let agreement = role.agreement.as_ref();
        let order = agreement.map(|all| all.roles.iter().map(|(name, _)| name.clone()).collect());
        let order: Option<Vec<String>> = order;
        let minimum = agreement.map(|all| all.minimum);
        (role.paths.clone(), role.terminating, role.hardware_ids.clone(), minimum, order)
    };
    if old.map(reach) != Some(reach(role)) {
        lines.push(format!("delegates {} to role {}", reach_text(role), role.name));
        lines.extend(old.map(|old| format!("  was {}", reach_text(old))));
    }
    for (signer, now) in role.signers() {
        let was = old.and_then(|old| old.signers().find(|(name, _)| *name == signer));
        lines.extend(role_lines(signer, Some(now), was.map(|(_, keys)| keys), keys));
        if role.agreement.is_some() {
            let extra = extra_lines(&now.extra, was.map(|(_, keys)| &keys.extra));
            lines.extend(extra.into_iter().map(|line| format!("{signer}: {line}")));
        }
    }
    let extra = extra_lines(&role.keys.extra, old.map(|old| &old.keys.extra));
    lines.extend(extra.into_iter().map(|line| format!("{}: {line}", role.name)));
    lines
}

fn reach_text(role: &DelegatedRole) -> String {
    let paths = match &role.paths {
        DelegatedPaths::Patterns(patterns) => patterns.join(" "),
        DelegatedPaths::HashPrefixes(prefixes) => format!("hashes {}", prefixes.join(" ")),
    };
    let end = if role.terminating { ", terminating" } else { "" };
    let hardware = role.hardware_ids.as_ref().map(|ids| {
        format!(", for hardware {}", if ids.is_empty() { "none".into() } else { ids.join(" ") })
    });
    let agreement = role.agreement.as_ref().map(|agreement| {
        let names: Vec<&str> = agreement.roles.iter().map(|(name, _)| name.as_str()).collect();
        format!(", where {} of {} must agree", agreement.minimum, names.join(", "))
    });
    let (hardware, agreement) = (hardware.unwrap_or_default(), agreement.unwrap_or_default());
    format!("{paths}{end}{hardware}{agreement}")
}

fn bins_lines(next: &Delegations, had: &Delegations) -> Vec<String> {
    let Some(bins) = &next.succinct else { return vec!["delegates to no bins any more".into()] };
    let mut lines = vec![format!("delegates to 2^{} bins {}-*", bins.bit_length, bins.name_prefix)];
    let old = had.succinct.as_ref().map(|old| &old.keys);
    lines.extend(role_lines(&bins.name_prefix, Some(&bins.keys), old, &next.keys));
    lines
}

fn extra_lines(next: &Map<String, Value>, before: Option<&Map<String, Value>>) -> Vec<String> {
    let had = |name: &str| before.and_then(|extra| extra.get(name));
    let set = next.iter().filter(|(name, value)| had(name) != Some(*value));
    let mut lines: Vec<String> =
        set.map(|(name, value)| format!("sets {name} = {}", compact(value))).collect();
    let gone = before.into_iter().flatten().filter(|(name, _)| !next.contains_key(*name));
    lines.extend(gone.map(|(name, _)| format!("removes {name}")));
    lines
}

/// The Uptane dialect's form is plain ASCII, so that nothing hides in it.
fn compact(value: &Value) -> String {
    let bytes = canonical::encode(Dialect::Uptane, value).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Text that cannot steer a terminal or look like other text: everything beyond printable ASCII
/// stands as escapes.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if character == ' ' || character.is_ascii_graphic() {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}
