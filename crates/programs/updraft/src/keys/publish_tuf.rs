//! `updraft keys publish-tuf`: begin to publish in the form of TUF 1.0, too.

use std::path::{Path, PathBuf};

use clap::Args;
use updraft_api::{ImageChange, ImageChanged, TufForm, paths};
use updraft_error::Kind;
use updraft_http::Method;
use updraft_publish::Draft;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};
use updraft_tuf::RoleName;

use crate::server::Server;
use crate::signing::{self, KeyFolder, TufRepository};

/// Publish the Image repository in the form of TUF 1.0 too, below /tuf of the server.
///
/// What is published now is signed once more, in that form, with the keys of the folder; what the
/// server has the keys of is signed there. From then on every change is signed and published in
/// both forms, and both become current at one moment.
#[derive(Debug, Args)]
pub(crate) struct PublishTuf {
    /// Publish nothing: write sign requests for root, targets and delegated targets to this folder.
    #[arg(long, value_name = "FOLDER")]
    sign_requests: Option<PathBuf>,
    /// Take signatures from this sign request, too; repeat for more.
    #[arg(long, value_name = "FILE", conflicts_with = "sign_requests")]
    signed: Vec<PathBuf>,
}

impl PublishTuf {
    pub(super) fn run(&self, folder: &KeyFolder, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        if TufRepository::of(&server)? == TufRepository::Beside {
            terminal.say("the repository is published in both forms already");
            return Ok(());
        }
        let repository = folder.repository_with_delegations(&server)?;
        let mut drafts = repository.drafts_in_both_forms()?;
        for draft in &mut drafts {
            folder.sign(draft)?;
        }
        if let Some(path) = &self.sign_requests {
            return request(&drafts, path, terminal);
        }
        for path in &self.signed {
            let signed = signing::read_request(path)?;
            let same = drafts.iter_mut().find(|draft| draft.role() == signed.role());
            let same = same.ok_or_else(|| {
                let message =
                    format!("`{}` is of {}, which is not there", path.display(), signed.role());
                Failure::new(Kind::Conflict, message)
            })?;
            same.merge(&signed).with_context(|| format!("failed to use `{}`", path.display()))?;
        }
        let mut form = TufForm::default();
        for draft in &drafts {
            // What lacks signatures here may be signed by the server, which says what is missing.
            let Ok(Some(bytes)) = draft.finish_tuf() else { continue };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match draft.role() {
                RoleName::Root => form.root = Some(text),
                RoleName::Delegated(name) => {
                    form.delegations.insert(name.clone(), text);
                }
                _ => form.targets = Some(text),
            }
        }
        let change = ImageChange { tuf: Some(form), ..ImageChange::default() };
        let _: ImageChanged = server
            .send(Method::Post, paths::IMAGE_CHANGE, &change)
            .context("failed to publish in TUF's form")
            .hint(
                "sign what is missing where its keys are: run this with `--sign-requests FOLDER`",
            )?;
        let url = server.url("/tuf/");
        terminal.show(&serde_json::json!({ "url": url }), |_| {
            terminal.line(format!("published in TUF's form at {url}"))
        })
    }
}

fn request(drafts: &[Draft], folder: &Path, terminal: &Terminal) -> Result {
    updraft_fs::Dir::create_all(folder, 0o755)?;
    for draft in drafts {
        let path = folder.join(format!("{}.json", draft.role()));
        signing::write_request(draft, &path)?;
        terminal.say(format!("wrote the sign request {}", path.display()));
    }
    terminal.say("sign each where its keys are: `updraft keys sign FILE`");
    terminal.say("then bring them back: `updraft keys publish-tuf --signed FILE …`");
    Ok(())
}
