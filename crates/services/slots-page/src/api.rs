//! The local API: `api/v1/…`, JSON in and out.
//!
//! | request | what |
//! | --- | --- |
//! | `GET status` | what `updraft slots status --json` prints, and how the last piece of work failed |
//! | `GET updates`, `GET updates/FILE` | the configurations in the folder of updates; one as it is written |
//! | `GET log` | what was done with the slots |
//! | `POST apply {"update": FILE}` | apply the update of a configuration |
//! | `POST suspend`, `resume`, `cancel` | have an update wait, go on, stop, whichever process applies it |
//! | `POST switch`, `switch-back`, `reset` | start the new slot; not yet; forget the update |

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use updraft_http::{ClientOptions, RequestHead};
use updraft_slots::{Ask, Engine, Overview, UpdateConfig, UpdaterState, without_password};
use updraft_task::Context;

use crate::answer::Answer;
use crate::problem::Problem;
use crate::work::Work;

/// Where all of it is.
pub(crate) const PREFIX: &str = "api/v1/";
/// The longest body of a request, in bytes.
pub(crate) const MAX_BODY: u64 = 4096;

/// What requests are about.
pub(crate) struct Api {
    pub(crate) engine: Arc<Engine>,
    pub(crate) work: Work,
}

#[derive(Serialize)]
struct Status {
    slots: Overview,
    /// How the last piece of work of this server failed.
    problem: Option<Problem>,
}

#[derive(Serialize)]
struct ListedUpdate {
    file: String,
    name: Option<String>,
    install_type: Option<&'static str>,
    url: Option<String>,
    force_switch_slot: Option<bool>,
    problem: Option<Problem>,
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a str,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    update: String,
}

impl Api {
    /// Does what a request asks for. `path` is what follows the prefix.
    pub(crate) fn answer(
        &self,
        head: &RequestHead,
        path: &str,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        match (head.method.as_str(), path) {
            ("GET", "status") => self.status(),
            ("GET", "updates") => self.updates(),
            ("GET", "log") => self.engine.log().map(|log| Answer::json(&log)).map_err(problem),
            ("GET", _) => match path.strip_prefix("updates/") {
                Some(file) => self.update(file),
                None => Err(Problem::not_found(&head.path)),
            },
            ("POST", _) => {
                let done = self.post(head, path, body);
                tracing::info!(request = path, done = done.is_ok(), "asked by the slots' page");
                done
            }
            _ => Err(Problem::new(405, "Method", "only GET and POST are understood")),
        }
    }

    fn post(&self, head: &RequestHead, path: &str, body: &[u8]) -> Result<Answer, Problem> {
        match path {
            "apply" => return self.apply(head, body),
            "suspend" => self.engine.ask(Ask::Suspend),
            "resume" => self.engine.ask(Ask::Resume),
            "cancel" => self.engine.ask(Ask::Cancel),
            "switch" => {
                // All of the slot is read: that takes its time.
                self.work.begin(&self.engine, |context, engine| engine.switch(context))?;
                return Ok(Answer::accepted());
            }
            "switch-back" => self.engine.switch_back(),
            "reset" => {
                self.engine.reset().map_err(problem)?;
                self.work.forget();
                Ok(())
            }
            _ => return Err(Problem::not_found(&head.path)),
        }
        .map_err(problem)?;
        Ok(Answer::accepted())
    }

    fn status(&self) -> Result<Answer, Problem> {
        let mut slots = self.engine.overview().map_err(problem)?;
        let is_at_rest = matches!(slots.updater, UpdaterState::Idle | UpdaterState::Error);
        if is_at_rest && self.work.is_running() {
            // It was begun, and has not come so far that others see it.
            slots.updater = UpdaterState::Running;
        }
        Ok(Answer::json(&Status { slots, problem: self.work.failed() }))
    }

    fn updates(&self) -> Result<Answer, Problem> {
        let listed = UpdateConfig::list(&self.engine.config().updates);
        let listed = listed.map_err(|error| Problem::from(&error))?;
        let each = listed.into_iter().map(|one| {
            let (config, problem) = match one.config {
                Ok(config) => (Some(config), None),
                Err(error) => (None, Some(Problem::from(&error))),
            };
            ListedUpdate {
                file: one.file,
                install_type: config.as_ref().map(|config| config.install.name()),
                url: config.as_ref().map(|config| without_password(&config.url)),
                force_switch_slot: config.as_ref().map(|config| config.force_switch_slot),
                name: config.map(|config| config.name),
                problem,
            }
        });
        Ok(Answer::json(&each.collect::<Vec<_>>()))
    }

    fn update(&self, file: &str) -> Result<Answer, Problem> {
        let text = UpdateConfig::shown(&self.engine.config().updates, file);
        let text = text.ok_or_else(|| Problem::not_found(&format!("{PREFIX}updates/{file}")))?;
        let text = text.map_err(|error| Problem::from(&error))?;
        Ok(Answer::json(&Shown { file, text }))
    }

    fn apply(&self, head: &RequestHead, body: &[u8]) -> Result<Answer, Problem> {
        if head.header("content-type") != Some("application/json") {
            let detail = "the body has to be application/json";
            return Err(Problem::new(415, "Content type", detail));
        }
        // By way of a map: a list of the values would be taken for the members, too.
        let read = serde_json::from_slice::<serde_json::Map<_, _>>(body);
        let read = read.and_then(|object| serde_json::from_value(object.into()));
        let Apply { update } = read.map_err(|error| {
            Problem::new(400, "Body", format!("the body is not {{\"update\": FILE}}: {error}"))
        })?;
        let config = UpdateConfig::in_folder(&self.engine.config().updates, &update);
        let config =
            config.ok_or_else(|| Problem::not_found(&format!("{PREFIX}updates/{update}")))?;
        let config = config.map_err(|error| Problem::from(&error))?;
        self.work.begin(&self.engine, move |context: &Context, engine: &Engine| {
            let options = ClientOptions::default();
            let (mut source, request) = engine.configured(context, &options, &config)?;
            engine.apply(context, &mut *source, &request).map(drop)
        })?;
        Ok(Answer::accepted())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn problem(error: updraft_slots::Error) -> Problem {
    Problem::from(&error)
}
