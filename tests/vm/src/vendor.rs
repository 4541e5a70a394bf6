//! Who makes a machine: a server with its operator, and the repository of releases.

use std::fs;
use std::path::Path;

use anyhow::Result;
use harness::{HARDWARE, Operator, Programs, Server};

use crate::{Release, Repository};

/// The machine's name on the server.
pub(crate) const DEVICE: &str = "vm-1";

/// The agent's configuration, as far as it is about this vendor.
const CONFIGURATION: &str = "\
[provision]
provision_path = \"/etc/updraft/credentials.zip\"
mode = \"SharedCredReuse\"
device_id = \"@DEVICE@\"
primary_ecu_serial = \"@DEVICE@-ecu\"
primary_ecu_hardware_id = \"@HARDWARE@\"
";

/// A server, its operator, and a repository.
#[derive(Debug)]
pub struct Vendor {
    /// The operator of the server.
    pub operator: Operator,
    /// The releases.
    pub repository: Repository,
    server: Server,
    rollouts: u32,
}

impl Vendor {
    /// Starts a server, and makes keys and an empty repository.
    ///
    /// # Errors
    /// With what a program said.
    pub fn create(folder: &Path) -> Result<Self> {
        let programs = Programs::beside_tests()?;
        let server = Server::start(&programs, &folder.join("server"))?;
        let operator = Operator::new(&programs, &server, &folder.join("keys"))?;
        operator.init_keys()?;
        let repository = Repository::create(&programs, &folder.join("site"))?;
        Ok(Self { operator, repository, server, rollouts: 0 })
    }

    /// Writes the agent's credentials and this configuration, `more` after it, to a machine's
    /// `/etc`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn configure(&self, etc: &Path, file: &str, more: &str) -> Result<()> {
        let folder = etc.join("updraft");
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        let text = CONFIGURATION.replace("@HARDWARE@", HARDWARE).replace("@DEVICE@", DEVICE);
        fs::write(file, text + more)?;
        self.server.credentials_for_guests(&folder.join("credentials.zip"))
    }

    /// What the server knows of the machine.
    ///
    /// # Errors
    /// When it does not answer, or knows no such machine yet.
    pub fn device(&self) -> Result<serde_json::Value> {
        self.operator.device(DEVICE)
    }

    /// Publishes a release that is in the repository, and orders the machine to go to it.
    ///
    /// # Errors
    /// With what a program said.
    pub fn order(&mut self, name: &str) -> Result<()> {
        let branch = format!("os/{name}");
        self.operator.release(name, &self.repository.path(), HARDWARE, &branch)?;
        self.rollouts += 1;
        let rollout = format!("rollout-{}", self.rollouts);
        let create = ["rollout", "create", &rollout, "--release", name, "--device", DEVICE];
        self.operator.run(&create)?;
        Ok(())
    }

    /// Adds a release, and orders the machine to go to it.
    ///
    /// # Errors
    /// With what a program said.
    pub fn order_release(&mut self, release: &Release) -> Result<()> {
        self.repository.add(release)?;
        self.order(release.name())
    }
}
