//! What a primary brings from a medium, for each sort of verification.
#![allow(clippy::unwrap_used, missing_docs)]

use updraft_secondary::{Error, Installation, Verification};
use updraft_tuf::{Repository, RoleName, TrustedMetadata};

use crate::vehicle::{HARDWARE, Home, Vehicle, now};
use crate::{OWN, ctx, give, refusal, reported};

const ALL: [Verification; 3] = [Verification::Full, Verification::Tuf, Verification::Partial];

/// A vehicle that has installed `fw-1` online, and may take media.
fn installed(verification: Verification) -> (Vehicle, Home, updraft_secondary::Ecu) {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    vehicle.publish("fw-1", b"first", HARDWARE, "1");
    let mut ecu = home.ecu(verification);
    let first = vehicle.assign("fw-1", b"first", &[OWN]);
    give(&mut ecu, &first, b"first").unwrap();
    ecu.install(&ctx(), b"fw-1", now()).unwrap();
    ecu.confirm().unwrap();
    vehicle.allow_media();
    if verification != Verification::Tuf {
        ecu.put_root(Repository::Director, vehicle.director_root(2), now()).unwrap();
    }
    (vehicle, home, ecu)
}

/// The same files, of which one is another.
fn with(
    medium: &TrustedMetadata,
    (repository, role): (Repository, RoleName),
    bytes: Option<&[u8]>,
) -> TrustedMetadata {
    let mut changed = medium.clone();
    let files = changed.files_mut(repository);
    match bytes {
        Some(bytes) => files.insert(role, bytes.to_vec()),
        None => files.remove(&role),
    }
    changed
}

#[test]
fn every_sort_of_verification_installs_what_a_medium_has() {
    for verification in ALL {
        let (mut vehicle, home, mut ecu) = installed(verification);
        vehicle.publish("fw-2", b"second", HARDWARE, "2");
        give(&mut ecu, &vehicle.medium(1, "fw-2", b"second"), b"second").unwrap();
        let done = ecu.install(&ctx(), b"fw-2", now()).unwrap();
        assert_eq!(done, Installation::Done, "{verification:?}");
        ecu.confirm().unwrap();
        assert_eq!(home.firmware().unwrap(), b"second", "{verification:?}");
        // It goes on online.
        vehicle.publish("fw-3", b"third", HARDWARE, "3");
        let third = vehicle.assign("fw-3", b"third", &[OWN]);
        give(&mut ecu, &third, b"third").unwrap();
        ecu.install(&ctx(), b"fw-3", now()).unwrap();
        assert_eq!(home.firmware().unwrap(), b"third", "{verification:?}");
        assert_eq!(reported(&mut ecu)["attacks_detected"], "", "{verification:?}");
    }
}

#[test]
fn what_is_wrong_on_a_medium_is_refused_by_every_sort_of_verification() {
    let director = |role| (Repository::Director, role);
    let image = |role| (Repository::Image, role);
    for verification in ALL {
        let (mut vehicle, home, mut ecu) = installed(verification);
        let old = vehicle.medium(1, "fw-1", b"first");
        vehicle.publish("fw-2", b"second", HARDWARE, "2");
        let good = vehicle.medium(2, "fw-2", b"second");
        // Of another vehicle's repositories: everything is signed, by keys that nobody here knows.
        let mut strange = Vehicle::new();
        strange.allow_media();
        strange.publish("fw-2", b"second", HARDWARE, "2");
        let strange = strange.medium(2, "fw-2", b"second");
        let mut bad = Vec::new();
        if verification != Verification::Tuf {
            for role in [RoleName::OfflineSnapshot, RoleName::OfflineUpdates] {
                let bytes = strange.director.get(&role).unwrap();
                bad.push(with(&good, director(role.clone()), Some(bytes)));
                let bytes = good.director.get(&role).unwrap();
                bad.push(with(&good, director(role), Some(&[bytes, b"}"].concat())));
            }
            bad.push(with(&good, director(RoleName::OfflineSnapshot), None));
        }
        if verification != Verification::Partial {
            for role in [RoleName::Snapshot, RoleName::Targets] {
                let bytes = strange.image.get(&role).unwrap();
                bad.push(with(&good, image(role.clone()), Some(bytes)));
                let bytes = old.image.get(&role).unwrap();
                if role == RoleName::Targets {
                    bad.push(with(&good, image(role.clone()), Some(bytes)));
                }
                bad.push(with(&good, image(role), None));
            }
        }
        for (number, medium) in bad.iter().enumerate() {
            let taken = give(&mut ecu, medium, b"second");
            assert!(
                matches!(taken, Err(Error::Refused(_))),
                "{verification:?} {number}: {taken:?}"
            );
            assert!(ecu.install(&ctx(), b"fw-2", now()).is_err(), "{verification:?} {number}");
        }
        // Other bytes than those that are signed; what has expired.
        assert!(give(&mut ecu, &good, b"zecond").is_err(), "{verification:?}");
        let later = "2027-06-01T00:00:00Z".parse().unwrap();
        assert_eq!(refusal(ecu.put_metadata(&good, later)), "expired");
        assert_eq!(home.firmware().unwrap(), b"first", "{verification:?}");
        // And what was seen does not go back.
        give(&mut ecu, &good, b"second").unwrap();
        ecu.install(&ctx(), b"fw-2", now()).unwrap();
        ecu.confirm().unwrap();
        let back = give(&mut ecu, &old, b"first");
        let again = ecu.install(&ctx(), b"fw-1", now());
        assert!(back.is_err() || again.is_err(), "{verification:?}");
        assert_eq!(home.firmware().unwrap(), b"second", "{verification:?}");
    }
}

#[test]
fn the_first_root_never_comes_with_a_medium() {
    for verification in ALL {
        let (mut vehicle, home) = (Vehicle::new(), Home::new());
        vehicle.allow_media();
        vehicle.publish("fw-1", b"first", HARDWARE, "1");
        let mut ecu = home.ecu(verification);
        let medium = vehicle.medium(1, "fw-1", b"first");
        assert!(ecu.put_metadata(&medium, now()).is_err(), "{verification:?} trusts a stick");
        assert_eq!(ecu.root_version(Repository::Director), 0);
        assert_eq!(ecu.root_version(Repository::Image), 0);
    }
}
