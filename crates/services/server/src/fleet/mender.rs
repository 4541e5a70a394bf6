//! Devices that speak Mender's device API. They are told the same actions as those of the hawkBit
//! world: to install a distribution set, one of whose modules has a file that is a Mender Artifact.
//!
//! Source: Mender's API documentation (device authentication, inventory, deployments), and the
//! behaviour of its client.

pub mod admission;
pub mod artifact;
pub mod deployments;
mod headers;
