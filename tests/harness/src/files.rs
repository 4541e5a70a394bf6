//! Releases of files, for ECUs that install no commits: signed with the operator's keys, as
//! `updraft` signs releases of commits.

use anyhow::{Context, Result};
use serde_json::json;
use updraft_http::{Client, ClientOptions, Method, Request};
use updraft_publish::{ImageRepository, KeyStore};
use updraft_tuf::{Dialect, Hashes, Sign, Target, sha256_hex};

use crate::Operator;

const API: &str = "api/v1";
const MAX_FILE: u64 = 8 << 20;

impl Operator {
    /// Signs, uploads and registers a release of these files, each with the hardware it is for.
    ///
    /// # Errors
    /// With what the server or the keys say.
    pub fn release_files(&self, name: &str, files: &[(&str, &[u8])]) -> Result<()> {
        let client = Client::new(&ClientOptions {
            ca_pem: Some(std::fs::read(self.ca())?),
            bearer_token: Some(self.token().to_owned()),
            ..ClientOptions::default()
        })?;
        let mut repository = self.image_repository(&client)?;
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(240);
        let expires = jiff::Timestamp::from_second(expires.as_second())?;
        let mut draft = repository.draft_targets(expires, Vec::new(), |targets| {
            for (hardware, content) in files {
                let mut target = Target::new(content.len() as u64, Hashes::of(content));
                target.custom = Some(json!({
                    "name": name, "version": name, "hardwareIds": [hardware],
                    "targetFormat": "BINARY",
                }));
                targets.targets.insert(format!("{name}-{hardware}"), target);
            }
        });
        let keys = KeyStore::open(self.keys(), Dialect::Uptane)?.load_all()?;
        let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        draft.sign(&keys)?;
        let signed = draft.finish()?;
        repository.accept_targets(&signed, jiff::Timestamp::now())?;
        let send = |method, path: &str, body: Vec<u8>| -> Result<()> {
            let url = format!("{}/{API}/{path}", self.url());
            let request =
                Request::new(method, url).header("content-type", "application/json").body(body);
            client.send(request)?.error_for_status().with_context(|| path.to_owned())?;
            Ok(())
        };
        send(Method::Put, "image-repository/targets", signed)?;
        let mut targets = Vec::new();
        for (hardware, content) in files {
            let path = format!("{name}-{hardware}");
            send(Method::Put, &format!("image-repository/files/{path}"), content.to_vec())?;
            targets.push(json!({
                "filepath": path, "hardware_ids": [hardware], "format": "BINARY",
                "sha256": sha256_hex(content), "length": content.len(), "version": name,
            }));
        }
        let release = json!({ "name": name, "notes": "", "targets": targets });
        send(Method::Post, "releases", release.to_string().into_bytes())
    }

    /// The Image repository as the server has it.
    fn image_repository(&self, client: &Client) -> Result<ImageRepository> {
        let get = |path: &str| {
            client.get_bytes(&format!("{}/{API}/image-repository/{path}", self.url()), MAX_FILE)
        };
        let first = get("roots/1")?.context("find the first root")?;
        let always = jiff::Timestamp::MIN;
        let mut repository = ImageRepository::new(Dialect::Uptane, &first, always)?;
        for version in 2.. {
            let Some(root) = get(&format!("roots/{version}"))? else { break };
            repository.accept_root(&root, always)?;
        }
        if let Some(targets) = get("targets")? {
            repository.accept_targets(&targets, always)?;
        }
        Ok(repository)
    }
}
