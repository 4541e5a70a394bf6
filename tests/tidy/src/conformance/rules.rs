//! The rules: numbers as in our facts about TUF 1.0.34 and Uptane 2.1.0, and what they demand.

/// A rule that tests show.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Heading on the page.
    pub section: &'static str,
    /// Its number.
    pub id: &'static str,
    /// What it demands, in short.
    pub text: &'static str,
}

/// Rules that nothing shows yet, with the reason.
pub const OPEN: &[(&str, &str)] =
    &[("U-P6", "Secondaries on the network come with a protocol of their own")];

const METADATA: &str = "Uptane 2.1.0: metadata";
const SERVERS: &str = "Uptane 2.1.0: servers";
const VEHICLE: &str = "Uptane 2.1.0: vehicle and Primary";
const FULL: &str = "Uptane 2.1.0: verification";
const TUF: &str = "TUF 1.0.34: client workflow";

const fn rule(section: &'static str, id: &'static str, text: &'static str) -> Rule {
    Rule { section, id, text }
}

/// All rules, in the page's order.
pub const RULES: &[Rule] = &[
    rule(METADATA, "U-M1", "strings are Unicode; ours are written in ASCII and compared exactly"),
    rule(METADATA, "U-M2", "a key id is a hash of the key"),
    rule(METADATA, "U-M3", "a file is a payload and signatures with key ids"),
    rule(METADATA, "U-M4", "a payload has type, expiry, version"),
    rule(METADATA, "U-M5", "root: keys, and each role's key ids and threshold"),
    rule(METADATA, "U-M6", "targets: name, size, at least one hash"),
    rule(METADATA, "U-M7", "Director targets name ECUs; empty ones name the vehicle"),
    rule(METADATA, "U-M8", "custom fields that shall match are compared across repositories"),
    rule(
        METADATA,
        "U-M9",
        "encrypted images: ciphertext, method and key in the Director's targets",
    ),
    rule(
        METADATA,
        "U-M10",
        "delegations: prioritised, by path and hardware, terminating, multi-role; none by a Director",
    ),
    rule(METADATA, "U-M11", "snapshot: name and version of every targets file"),
    rule(METADATA, "U-M12", "timestamp: name, version, hash of the snapshot"),
    rule(METADATA, "U-M13", "repository mapping: which repositories must agree on which paths"),
    rule(METADATA, "U-M14", "names on servers: VERSION.name, HASH.image"),
    rule(SERVERS, "U-S1", "Image repository: authorised writes, the delegation chain checked"),
    rule(SERVERS, "U-S2", "Director: inventory of vehicles, ECUs and keys"),
    rule(SERVERS, "U-S3", "Director: manifests are checked against the inventory"),
    rule(SERVERS, "U-S4", "a secure source of time"),
    rule(
        VEHICLE,
        "U-E1",
        "metadata and images are verified before installation; slow servers are given up",
    ),
    rule(VEHICLE, "U-E2", "ECUs are provisioned with metadata and keys"),
    rule(VEHICLE, "U-P1", "a Primary's steps, from manifest to installation"),
    rule(VEHICLE, "U-P2", "vehicle manifest: signed by the Primary, with all reports"),
    rule(VEHICLE, "U-P3", "ECU report: signed, with a counter that rises"),
    rule(VEHICLE, "U-P4", "a Primary verifies all targets, and every hash of an image"),
    rule(VEHICLE, "U-P5", "a Secondary verifies what it is sent for itself"),
    rule(VEHICLE, "U-P6", "images reach Secondaries, which keep the latest metadata"),
    rule(VEHICLE, "U-I1", "before installation: hardware, name, release counter, hashes, length"),
    rule(FULL, "U-F1", "time is loaded first"),
    rule(FULL, "U-F2", "then the Director's root"),
    rule(FULL, "U-F3", "then its timestamp"),
    rule(FULL, "U-F4", "its snapshot; unchanged, the run is over"),
    rule(FULL, "U-F5", "its targets"),
    rule(FULL, "U-F6", "nothing new, and the run is over"),
    rule(FULL, "U-F7", "then the Image repository's root"),
    rule(FULL, "U-F8", "its timestamp"),
    rule(FULL, "U-F9", "its snapshot; unchanged, what is stored is enough"),
    rule(FULL, "U-F10", "its targets"),
    rule(FULL, "U-F11", "each of the Director's images is found there and is the same"),
    rule(FULL, "U-F12", "a failure names the attack"),
    rule(FULL, "U-R", "root: N+1, both thresholds, bounded, expiry, fast-forward recovery"),
    rule(FULL, "U-T", "timestamp: bounded, threshold, never lower, expiry"),
    rule(FULL, "U-N", "snapshot: as listed, threshold, nothing lower, nothing dropped, expiry"),
    rule(
        FULL,
        "U-G",
        "targets: as listed, threshold, never lower, expiry; the Director's own rules",
    ),
    rule(FULL, "U-D", "delegations: pre-order, hardware and path, terminating, agreement of roles"),
    rule(FULL, "U-PV", "partial verification: the Director's root and targets"),
    rule(TUF, "5.1", "the start time is fixed once"),
    rule(TUF, "5.2", "the trusted root is loaded; its expiry is ignored"),
    rule(TUF, "5.3.3", "the next root, bounded in bytes and number"),
    rule(TUF, "5.3.4", "thresholds of the old and the new root, distinct keys"),
    rule(TUF, "5.3.5", "version exactly N+1"),
    rule(TUF, "5.3.8", "each root is persisted"),
    rule(TUF, "5.3.9", "until there is no next one"),
    rule(TUF, "5.3.10", "only the last must not have expired"),
    rule(TUF, "5.3.11", "rotated timestamp or snapshot keys delete both files"),
    rule(TUF, "5.3.12", "consistent snapshots as the root says"),
    rule(TUF, "5.4.1", "timestamp: bounded"),
    rule(TUF, "5.4.2", "timestamp: threshold"),
    rule(TUF, "5.4.3", "timestamp: never lower, nor its snapshot; an equal one changes nothing"),
    rule(TUF, "5.4.4", "timestamp: expiry"),
    rule(TUF, "5.4.5", "timestamp: persisted"),
    rule(TUF, "5.5.1", "snapshot: length"),
    rule(TUF, "5.5.2", "snapshot: hashes"),
    rule(TUF, "5.5.3", "snapshot: threshold"),
    rule(TUF, "5.5.4", "snapshot: version"),
    rule(TUF, "5.5.5", "snapshot: no targets file lower or dropped"),
    rule(TUF, "5.5.6", "snapshot: expiry"),
    rule(TUF, "5.5.7", "snapshot: persisted"),
    rule(TUF, "5.6.1", "targets: length"),
    rule(TUF, "5.6.2", "targets: hashes"),
    rule(TUF, "5.6.3", "targets: threshold"),
    rule(TUF, "5.6.4", "targets: version"),
    rule(TUF, "5.6.5", "targets: expiry"),
    rule(TUF, "5.6.6", "targets: persisted"),
    rule(TUF, "5.6.7", "delegations: pre-order, each role once, bounded"),
    rule(TUF, "5.7", "the target: length, hashes, name"),
];
