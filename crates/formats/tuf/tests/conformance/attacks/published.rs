//! What other clients fell for, as their advisories and test suites tell: forms that two readers
//! understand differently, and keys that count more than once.
#![allow(clippy::unnecessary_wraps, reason = "an attack says `None` where there is none on a role")]

use super::{Attack, Attacker, Delegated, Role, Root, Snapshot, Targets, Timestamp};
use crate::common::Server;
use serde_json::{Value, json};
use updraft_tuf::{Dialect, Payload as _};

/// Puts `token`, as it stands, in place of a field of the signed part.
fn raw(a: &mut Attacker<'_>, field: &str, token: &str) -> Option<&'static str> {
    const MARK: &str = "put it here";
    let mut file = a.file();
    file["signed"][field] = json!(MARK);
    let text = serde_json::to_string(&file).unwrap();
    a.serve(text.replacen(&format!("\"{MARK}\""), token, 1).into_bytes());
    Some("malformed")
}

/// Takes a field out of the signed part.
fn without(a: &mut Attacker<'_>, field: &str) -> Option<&'static str> {
    a.change(|signed| {
        signed.as_object_mut().unwrap().remove(field);
    });
    Some("malformed")
}

/// Changes the bytes of the file that is honest otherwise.
fn bytes(a: &mut Attacker<'_>, change: impl FnOnce(&mut Vec<u8>)) -> Option<&'static str> {
    let mut bytes = serde_json::to_vec(&a.file()).unwrap();
    change(&mut bytes);
    a.serve(bytes);
    Some("malformed")
}

/// Changes what is said about a target file; `None` where the role lists none.
fn target(a: &mut Attacker<'_>, change: impl FnOnce(&mut Value)) -> Option<&'static str> {
    if !matches!(a.role, Targets | Delegated) {
        return None;
    }
    let mut listed = json!({ "length": 1, "hashes": { "sha256": "00".repeat(32) } });
    change(&mut listed);
    a.change(|signed| signed["targets"]["evil.bin"] = listed);
    Some("malformed")
}

/// Changes the first delegation; `None` where nothing is delegated.
fn delegation(a: &mut Attacker<'_>, change: impl FnOnce(&mut Value)) -> Option<&'static str> {
    if a.role != Targets || a.server.targets.delegations.is_none() {
        return None;
    }
    a.change(|signed| change(&mut signed["delegations"]));
    Some("malformed")
}

/// Changes what the snapshot or the timestamp says about the file of this role.
fn listed(a: &mut Attacker<'_>, change: impl FnOnce(&mut Value)) -> Option<&'static str> {
    let name = match a.role {
        Root | Timestamp => return None,
        role => format!("{}.json", role.name()),
    };
    a.role = if a.role == Snapshot { Timestamp } else { Snapshot };
    a.change(|signed| change(&mut signed["meta"][&name]));
    Some("malformed")
}

/// Gives a role's key a second id, under which its text looks different; both ids are needed.
fn give_an_alias(server: &mut Server, role: &str) {
    let mut root = server.root.to_value(server.dialect);
    let id = root["roles"][role]["keyids"][0].as_str().unwrap().to_owned();
    let mut key = root["keys"][&id].clone();
    key["keyval"]["public"] = json!(key["keyval"]["public"].as_str().unwrap().to_uppercase());
    key["x-owner"] = json!("somebody else");
    root["keys"]["alias"] = key;
    root["roles"][role]["keyids"].as_array_mut().unwrap().push(json!("alias"));
    root["roles"][role]["threshold"] = json!(2);
    server.root = updraft_tuf::Root::from_value(server.dialect, root).unwrap();
}

fn sign_again_as_alias(file: &mut Value) {
    let mut again = file["signatures"][0].clone();
    again["keyid"] = json!("alias");
    file["signatures"].as_array_mut().unwrap().push(again);
}

pub(super) const ATTACKS: &[(&str, Attack)] = &[
    ("one key in two texts, under two ids", |a| {
        let role = a.role;
        if role == Delegated {
            return None;
        }
        a.server.rotate(|server| give_an_alias(server, role.name()));
        if role == Root {
            let name = format!("{}.root.json", a.server.root.header.version);
            let mut file: Value = serde_json::from_slice(&a.server.files[&name]).unwrap();
            sign_again_as_alias(&mut file);
            a.server.files.insert(name, serde_json::to_vec(&file).unwrap());
        } else {
            a.change_file(sign_again_as_alias);
        }
        Some("threshold")
    }),
    ("a key id in other letters", |a| {
        a.change_file(|file| {
            let id = file["signatures"][0]["keyid"].as_str().unwrap().to_uppercase();
            file["signatures"][0]["keyid"] = json!(id);
        });
        Some("threshold")
    }),
    ("one signature under several key ids", |a| {
        a.change_file(|file| {
            let first = file["signatures"][0].clone();
            let copies = (0..3).map(|number| {
                let mut copy = first.clone();
                copy["keyid"] = json!(format!("{number}"));
                copy
            });
            file["signatures"] = copies.collect();
        });
        Some("threshold")
    }),
    ("an empty signature", |a| {
        a.change_file(|file| file["signatures"][0]["sig"] = json!(""));
        Some("threshold")
    }),
    ("a signature that is a number", |a| {
        a.change_file(|file| file["signatures"][0]["sig"] = json!(1));
        Some("malformed")
    }),
    ("signatures by name", |a| {
        a.change_file(|file| {
            file["signatures"] = json!({ "0": file["signatures"][0].clone() });
        });
        Some("malformed")
    }),
    ("no list of signatures", |a| {
        a.change_file(|file| {
            file.as_object_mut().unwrap().remove("signatures");
        });
        Some("malformed")
    }),
    ("hundreds of signatures", |a| {
        a.change_file(|file| {
            let first = file["signatures"][0].clone();
            let many = (0..300).map(|number| {
                let mut copy = first.clone();
                copy["keyid"] = json!(format!("{number}"));
                copy
            });
            file["signatures"] = many.collect();
        });
        // A timestamp that lists such a snapshot is honest.
        Some("malformed")
    }),
    ("a threshold below zero", |a| match a.role {
        Root => {
            a.change(|signed| signed["roles"]["targets"]["threshold"] = json!(-1));
            Some("malformed")
        }
        _ => delegation(a, |delegations| delegations["roles"][0]["threshold"] = json!(-1)),
    }),
    ("a threshold that is text", |a| match a.role {
        Root => {
            a.change(|signed| signed["roles"]["targets"]["threshold"] = json!("1"));
            Some("malformed")
        }
        _ => delegation(a, |delegations| delegations["roles"][0]["threshold"] = json!("1")),
    }),
    ("one key id twice in a role", |a| match a.role {
        Root => {
            a.change(|signed| {
                let ids = signed["roles"]["targets"]["keyids"].as_array_mut().unwrap();
                ids.push(ids[0].clone());
            });
            Some("malformed")
        }
        _ => delegation(a, |delegations| {
            let ids = delegations["roles"][0]["keyids"].as_array_mut().unwrap();
            ids.push(ids[0].clone());
        }),
    }),
    ("a root without targets", |a| {
        if a.role != Root {
            return None;
        }
        a.change(|signed| {
            signed["roles"].as_object_mut().unwrap().remove("targets");
        });
        Some("malformed")
    }),
    ("no version", |a| without(a, "version")),
    ("a version of null", |a| raw(a, "version", "null")),
    ("a version that is text", |a| raw(a, "version", "\"3\"")),
    ("a version below zero", |a| raw(a, "version", "-3")),
    ("a version with a fraction", |a| raw(a, "version", "3.0")),
    ("a version with an exponent", |a| raw(a, "version", "3e0")),
    ("a version with a leading zero", |a| raw(a, "version", "03")),
    ("a version beyond 64 bits", |a| raw(a, "version", "18446744073709551619")),
    ("no expiry", |a| without(a, "expires")),
    ("an expiry that is a number", |a| raw(a, "expires", "1900000000")),
    ("an expiry without a zone", |a| raw(a, "expires", "\"2031-01-01T00:00:00\"")),
    ("an expiry in another zone", |a| raw(a, "expires", "\"2030-06-01T12:00:00-23:59\"")),
    ("an expiry on a day that is none", |a| raw(a, "expires", "\"2031-02-29T00:00:00Z\"")),
    ("an expiry beyond four digits", |a| raw(a, "expires", "\"+12031-01-01T00:00:00Z\"")),
    ("no type", |a| without(a, "_type")),
    ("a type that is no text", |a| raw(a, "_type", "[\"targets\"]")),
    ("a specification of other rules", |a| {
        if a.server.dialect != Dialect::Tuf {
            return None;
        }
        raw(a, "spec_version", "\"2.0.0\"")
    }),
    ("no specification", |a| {
        if a.server.dialect != Dialect::Tuf {
            return None;
        }
        without(a, "spec_version")
    }),
    ("a member twice by an escape", |a| {
        bytes(a, |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let text = text.replacen("\"version\":", "\"v\\u0065rsion\":1,\"version\":", 1);
            *bytes = text.into_bytes();
        })
    }),
    ("two files in one", |a| bytes(a, |bytes| bytes.extend(bytes.clone()))),
    ("a zero byte behind the file", |a| bytes(a, |bytes| bytes.push(0))),
    ("a byte order mark before the file", |a| {
        bytes(a, |bytes| {
            bytes.splice(0..0, *b"\xef\xbb\xbf");
        })
    }),
    ("text that is not UTF-8", |a| raw_bytes(a, b"\"\xc0\xaf\"")),
    ("half a character", |a| raw_bytes(a, b"\"\\ud800\"")),
    ("a number that is none", |a| raw_bytes(a, b"NaN")),
    ("a comment", |a| raw_bytes(a, b"1 /* 2 */")),
    ("a number without canonical form", |a| {
        // In files of the Uptane world such numbers occur, and have a form.
        if a.server.dialect == Dialect::Uptane {
            return None;
        }
        raw_bytes(a, b"0.1")
    }),
    ("a target without length", |a| {
        target(a, |target| {
            target.as_object_mut().unwrap().remove("length");
        })
    }),
    ("a target of negative length", |a| target(a, |target| target["length"] = json!(-1))),
    ("a target without hashes", |a| {
        target(a, |target| {
            target.as_object_mut().unwrap().remove("hashes");
        })
    }),
    ("a target with an empty list of hashes", |a| target(a, |target| target["hashes"] = json!({}))),
    ("a target with half a hash", |a| {
        target(a, |target| target["hashes"] = json!({ "sha256": "00" }))
    }),
    ("a target with a hash that is no hexadecimal number", |a| {
        target(a, |target| target["hashes"] = json!({ "sha256": "zz".repeat(32) }))
    }),
    ("a delegated role with the name of a top-level role", |a| {
        delegation(a, |delegations| delegations["roles"][0]["name"] = json!("snapshot"))
    }),
    ("a delegation by paths and by hashes at once", |a| {
        delegation(a, |delegations| {
            delegations["roles"][0]["path_hash_prefixes"] = json!(["00"]);
        })
    }),
    ("delegations to roles and to bins at once", |a| {
        delegation(a, |delegations| {
            let ids = delegations["roles"][0]["keyids"].clone();
            delegations["succinct_roles"] = json!({
                "keyids": ids, "threshold": 1, "bit_length": 1, "name_prefix": "bin",
            });
        })
    }),
    ("a listed file without a version", |a| {
        listed(a, |meta| {
            meta.as_object_mut().unwrap().remove("version");
        })
    }),
    ("a listed file of negative length", |a| listed(a, |meta| meta["length"] = json!(-1))),
    ("a listed file with an empty list of hashes", |a| {
        listed(a, |meta| meta["hashes"] = json!({}))
    }),
    ("a listed file with a hash of an unknown kind", |a| {
        // A timestamp of the Uptane world has to give a hash that can be checked.
        let is_malformed = a.role == Snapshot && a.server.dialect == Dialect::Uptane;
        listed(a, |meta| meta["hashes"] = json!({ "md5": "00".repeat(16) }))?;
        Some(if is_malformed { "malformed" } else { "wrong-hash" })
    }),
    ("a listed file under a path to it", |a| {
        if !matches!(a.role, Targets | Delegated) {
            return None;
        }
        let name = format!("{}.json", a.role.name());
        a.role = Snapshot;
        a.change(|signed| {
            let meta = signed["meta"].as_object_mut().unwrap();
            let listed = meta.remove(&name).unwrap();
            meta.insert(format!("./{name}"), listed);
        });
        Some("rollback")
    }),
    ("a timestamp that lists two files", |a| {
        if a.role != Timestamp {
            return None;
        }
        a.change(|signed| signed["meta"]["targets.json"] = json!({ "version": 3 }));
        Some("malformed")
    }),
];

/// Adds a member with this value, as it stands, to the signed part.
fn raw_bytes(a: &mut Attacker<'_>, token: &[u8]) -> Option<&'static str> {
    bytes(a, |bytes| {
        let mark = b"\"signed\":{";
        let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
        let member = [&b"\"x-odd\":"[..], token, b","].concat();
        let at = at + mark.len();
        bytes.splice(at..at, member);
    })
}

/// Names tell these attacks apart, here and in the list beside them.
#[test]
fn no_attack_is_listed_twice() {
    let names = super::ATTACKS.iter().chain(ATTACKS).map(|(name, _)| *name);
    let distinct: std::collections::BTreeSet<&str> = names.clone().collect();
    assert_eq!(distinct.len(), names.count());
    assert_eq!(super::ROLES.map(Role::name).len(), 5);
}
