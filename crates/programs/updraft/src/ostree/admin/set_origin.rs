//! `ostree admin set-origin`: what a deployment follows.

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{Refspec, RemoteName};
use updraft_sysroot::{Origin, Sysroot};
use updraft_terminal::{Failure, Result, Terminal};

use super::select;
use crate::ostree::remote::group;

/// Set Origin and create a new origin file
#[derive(Debug, Args)]
pub(crate) struct SetOrigin {
    /// Set an option of the remote.
    #[arg(long, short = 's', value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The deployment, as `status` lists them; by default the booted one.
    #[arg(long, value_name = "INDEX")]
    index: Option<String>,
    /// The remote's name; it is added unless it is there.
    #[arg(value_name = "REMOTENAME")]
    remote: String,
    /// Where the remote is.
    #[arg(value_name = "URL")]
    url: String,
    /// The ref; by default that of the old origin.
    #[arg(value_name = "BRANCH")]
    branch: Option<String>,
}

impl SetOrigin {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        let deployments = sysroot.all_deployments()?;
        let deployment = if let Some(index) = &self.index {
            select::at(&deployments, index)?.clone()
        } else {
            sysroot.deployment(&select::require_booted(sysroot)?)?
        };
        self.add_remote(sysroot)?;
        let origin = deployment.origin.clone();
        let name = match (&self.branch, origin.as_ref().and_then(Origin::refspec)) {
            (Some(branch), _) => branch.parse()?,
            (None, Some(old)) => old.parse::<Refspec>()?.name,
            (None, None) => {
                let message = "No host refspec found, branch is required";
                return Err(Failure::new(Kind::Invalid, message));
            }
        };
        let mut origin = origin.unwrap_or_else(Origin::empty);
        origin.set("refspec", &Refspec::remote(self.remote.parse()?, name).to_string());
        locked.write_origin(&deployment.id, &origin)?;
        Ok(())
    }

    fn add_remote(&self, sysroot: &Sysroot) -> Result {
        let repo = sysroot.repo();
        let name = RemoteName::new(self.remote.clone())?;
        let known = repo.remotes_config()?.has_group(&group(&self.remote));
        if known {
            return Ok(());
        }
        let mut options = vec![("url", self.url.as_str())];
        for option in &self.set {
            let pair = option
                .split_once('=')
                .ok_or_else(|| Failure::new(Kind::Invalid, "Missing '=' in KEY=VALUE for --set"))?;
            options.push(pair);
        }
        Ok(repo.add_remote(&name, &options)?)
    }
}
