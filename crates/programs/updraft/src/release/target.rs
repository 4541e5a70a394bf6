//! The signed form of a release's targets, and back.
//!
//! A target's `custom` carries what aktualizr reads (`name`, `version`, `hardwareIds`,
//! `targetFormat`, `createdAt`, `updatedAt`) and the release that it belongs to, so that a signed
//! targets file says by itself which releases to register:
//! `"release": {"name": …, "notes": …}`, with `"requires"` where another one has to run first. A payload is described in `"payload"`
//! ([`DescribedPayload`]).

use serde_json::{Value, json};
use updraft_api::{NewRelease, ReleaseTarget, TargetFormat};
use updraft_payload::DescribedPayload;
use updraft_tuf::{Hashes, Target, Targets, format_time};

/// The signed form of one target, with what is to be said of a payload in it.
pub(super) fn to_signed(
    release: &NewRelease,
    target: &ReleaseTarget,
    payload: Option<&DescribedPayload>,
    now: jiff::Timestamp,
) -> Target {
    let mut signed = file_beside(target, &target.sha256, target.length, now);
    if let Some(Value::Object(custom)) = &mut signed.custom {
        custom.insert("name".to_owned(), release.name.clone().into());
        let mut of = json!({ "name": release.name, "notes": release.notes });
        if let (Some(required), Value::Object(of)) = (&release.requires, &mut of) {
            of.insert("requires".to_owned(), required.clone().into());
        }
        custom.insert("release".to_owned(), of);
        if let Some(payload) = payload {
            custom.insert("payload".to_owned(), payload.to_value());
        }
    }
    signed
}

/// The signed form of a file that belongs to a target, and that no device is told to run.
pub(super) fn file_beside(
    target: &ReleaseTarget,
    sha256: &str,
    length: u64,
    now: jiff::Timestamp,
) -> Target {
    let time = format_time(now);
    let mut signed = Target::new(length, Hashes::from_sha256(sha256));
    signed.custom = Some(json!({
        "name": target.filepath,
        "version": target.version,
        "hardwareIds": target.hardware_ids,
        "targetFormat": target.format,
        "createdAt": time,
        "updatedAt": time,
    }));
    signed
}

/// The releases that a targets file names, in order of their names, but none before one that it requires.
pub(super) fn releases(targets: &Targets) -> Vec<NewRelease> {
    let mut releases: Vec<NewRelease> = Vec::new();
    for (path, target) in &targets.targets {
        let Some(NewRelease { name, notes, requires, .. }) = release_of(target) else { continue };
        let Some(target) = from_signed(path, target) else { continue };
        match releases.iter_mut().find(|release| release.name == name) {
            Some(release) => release.targets.push(target),
            None => releases.push(NewRelease {
                name,
                notes,
                targets: vec![target],
                requires,
                ..NewRelease::default()
            }),
        }
    }
    releases.sort_by(|a, b| a.name.cmp(&b.name));
    in_order(releases)
}

/// Each after what it requires. Of those that require each other, which nobody can register, the first
/// one comes first.
fn in_order(mut waiting: Vec<NewRelease>) -> Vec<NewRelease> {
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let is_free = |one: &NewRelease| {
            !waiting
                .iter()
                .any(|other| one.requires.as_ref() == Some(&other.name) && other.name != one.name)
        };
        let next = waiting.iter().position(is_free).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}

fn release_of(target: &Target) -> Option<NewRelease> {
    let release = target.custom_field("release")?;
    let text = |name: &str| release.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(NewRelease {
        name: text("name")?,
        notes: text("notes").unwrap_or_default(),
        requires: text("requires"),
        ..NewRelease::default()
    })
}

fn from_signed(path: &str, target: &Target) -> Option<ReleaseTarget> {
    let ids = target.custom_field("hardwareIds")?.as_array()?;
    let format: TargetFormat =
        serde_json::from_value(target.custom_field("targetFormat")?.clone()).ok()?;
    Some(ReleaseTarget {
        filepath: path.to_owned(),
        hardware_ids: ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        format,
        sha256: target.hashes.sha256()?.to_owned(),
        length: target.length,
        version: target.custom_field("version")?.as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_tuf::Header;

    #[test]
    fn a_signed_target_says_which_release_it_belongs_to() {
        let target = ReleaseTarget {
            filepath: "v1-board".into(),
            hardware_ids: vec!["board".into()],
            format: TargetFormat::Ostree,
            sha256: "ab".repeat(32),
            length: 0,
            version: "1".into(),
        };
        let release = NewRelease {
            name: "v1".into(),
            notes: "first".into(),
            targets: vec![target],
            requires: Some("v0".into()),
            ..NewRelease::default()
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut targets = Targets::empty(Header::new(crate::signing::DIALECT, 1, now));
        let signed = to_signed(&release, &release.targets[0], None, now);
        targets.targets.insert("v1-board".into(), signed);
        assert_eq!(releases(&targets), [release]);
    }

    #[test]
    fn what_is_required_comes_first() {
        let new = |name: &str, requires: Option<&str>| NewRelease {
            name: name.to_owned(),
            requires: requires.map(str::to_owned),
            ..NewRelease::default()
        };
        let names = |releases: Vec<NewRelease>| {
            in_order(releases).into_iter().map(|release| release.name).collect::<String>()
        };
        let chain = vec![new("a", Some("c")), new("b", Some("old")), new("c", Some("b"))];
        assert_eq!(names(chain), "bca");
        assert_eq!(names(vec![new("a", Some("a")), new("b", None)]), "ab");
        assert_eq!(names(vec![new("a", Some("b")), new("b", Some("a"))]), "ab");
    }
}
