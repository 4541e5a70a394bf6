//! The command line of `aktualizr-info`.

use std::path::PathBuf;

use clap::Parser;

/// Show who this device is and which metadata it trusts.
#[derive(Debug, Parser)]
#[command(name = "aktualizr-info", disable_version_flag = true, infer_long_args = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of aktualizr-info")]
pub(super) struct Options {
    /// Print the version.
    #[arg(long, short)]
    pub(super) version: bool,
    /// Configuration file, or folder of *.toml files; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    pub(super) config: Vec<PathBuf>,
    /// How much to log, 0 (all) to 5 (errors); nothing is logged without it.
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub(super) loglevel: Option<i64>,
    /// Print nothing but the device's id.
    #[arg(long)]
    pub(super) name_only: bool,
    /// Print the TLS credentials, with the private key.
    #[arg(long)]
    pub(super) tls_creds: bool,
    /// Print the server's authority.
    #[arg(long)]
    pub(super) tls_root_ca: bool,
    /// Print the device's certificate.
    #[arg(long)]
    pub(super) tls_cert: bool,
    /// Print the device's private key.
    #[arg(long)]
    pub(super) tls_prv_key: bool,
    /// Print the primary's Uptane keys.
    #[arg(long)]
    pub(super) ecu_keys: bool,
    /// Print the id of the primary's Uptane key.
    #[arg(long)]
    pub(super) ecu_keyid: bool,
    /// Print the primary's public Uptane key.
    #[arg(long)]
    pub(super) ecu_pub_key: bool,
    /// Print the primary's private Uptane key.
    #[arg(long)]
    pub(super) ecu_prv_key: bool,
    /// Also print the secondaries' public Uptane keys.
    #[arg(long)]
    pub(super) secondary_keys: bool,
    /// Print the Image repository's root.
    #[arg(long, alias = "images-root")]
    pub(super) image_root: bool,
    /// Print the Image repository's timestamp.
    #[arg(long, alias = "images-timestamp")]
    pub(super) image_timestamp: bool,
    /// Print the Image repository's snapshot.
    #[arg(long, alias = "images-snapshot")]
    pub(super) image_snapshot: bool,
    /// Print the Image repository's targets.
    #[arg(long, aliases = ["images-target", "images-targets", "image-target"])]
    pub(super) image_targets: bool,
    /// Print the Image repository's delegated targets.
    #[arg(long)]
    pub(super) delegation: bool,
    /// Print the Director's root.
    #[arg(long)]
    pub(super) director_root: bool,
    /// Print the Director's targets.
    #[arg(long, alias = "director-target")]
    pub(super) director_targets: bool,
    /// With --image-root or --director-root: the root of this version.
    #[arg(long, value_name = "N")]
    pub(super) root_version: Option<u64>,
    /// Take over the state of an aktualizr, if there is one.
    #[arg(long)]
    pub(super) allow_migrate: bool,
    /// Wait until the device is provisioned.
    #[arg(long)]
    pub(super) wait_until_provisioned: bool,
    /// Print everything general as JSON.
    #[arg(long)]
    pub(super) json: bool,
}
