//! `[oidc]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use updraft_api::Role;

/// A provider of identities that operators log in with (OpenID Connect Core 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Its issuer identifier, such as `https://id.example.com/realms/main`.
    pub issuer: String,
    /// As what it knows this server.
    pub client_id: String,
    /// The file with the secret for that; without it this server is a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// What the button on the login page says, such as `Example Inc.`
    #[serde(default = "default_name")]
    pub name: String,
    /// What is asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that has the name of an account.
    #[serde(default = "default_name_claim")]
    pub name_claim: String,
    /// The claim with the groups that say which roles somebody has.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// Which roles the members of which group have.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<Role>>,
    /// Which roles everybody has whom the provider knows; none: who is in no group stays out.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// A file with the certificates that the provider is trusted by (PEM); the system's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

fn default_name() -> String {
    "single sign-on".to_owned()
}

fn default_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).to_vec()
}

fn default_name_claim() -> String {
    "preferred_username".to_owned()
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

impl OidcConfig {
    /// What is wrong with it by itself.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_own = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
            .iter()
            .filter_map(|own| self.issuer.strip_prefix(own))
            .any(|rest| rest.is_empty() || rest.starts_with([':', '/']));
        if !is_own && !self.issuer.starts_with("https://") {
            return Err(format!("oidc.issuer: `{}` does not begin with https://", self.issuer));
        }
        if self.issuer.contains(['?', '#']) {
            return Err(format!("oidc.issuer: `{}` has a query or fragment", self.issuer));
        }
        if self.client_id.is_empty() {
            return Err("oidc.client_id is empty".to_owned());
        }
        if self.roles.is_empty() && self.groups.is_empty() {
            return Err("oidc: nobody could log in without `groups` or `roles`".to_owned());
        }
        Ok(())
    }
}
