//! An action of a DDI device, from its beginning to its end.

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use updraft_hawkbit::ddi::{Artifact, Deployment, DeploymentBase, Execution, Finished, Handling};

use super::{Device, SOON, feedback, is_past, path, read, without_query};
use crate::device::{Drawn, Life, Next, World};
use crate::link::{Ask, Link, Trouble};
use crate::model::Fate;
use crate::pool::Pool;
use crate::tally::Kind;

/// How long a device waits when too many download at once.
const QUEUE: Duration = Duration::from_secs(1);

/// An action that was begun.
#[derive(Debug)]
pub(super) struct Work {
    /// Its number.
    pub(super) action: String,
    /// Where its feedback goes.
    to: String,
    drawn: Drawn,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It is to be downloaded.
    Download(Deployment),
    /// It was downloaded, and is not to be installed yet.
    Downloaded,
    /// It is installed at this moment.
    Install(Instant),
}

impl Device {
    /// Takes an action up; none when it is not to be begun yet, or has ended.
    pub(super) async fn begin(
        &mut self,
        link: &mut Link,
        life: &mut Life,
        world: &World,
        at: String,
    ) -> Result<Option<Next>, Trouble> {
        let ask = self.authorized(Ask::get(&at));
        let answer = link.ask(Kind::Deployment, ask).await?;
        let base: DeploymentBase = read(&answer)?;
        if self.last.as_ref() == Some(&base.id) {
            return Ok(None);
        }
        if let Some(work) = self.work.as_mut().filter(|work| work.action == base.id) {
            // It was downloaded; only the window was closed.
            let installs = base.deployment.update != Handling::Skip;
            if installs && matches!(work.stage, Stage::Downloaded) {
                work.stage = Stage::Install(Instant::now() + work.drawn.takes);
                return Ok(Some(Next::After(work.drawn.takes)));
            }
            return Ok(None);
        }
        if base.deployment.download == Handling::Skip {
            return Ok(None);
        }
        let drawn = life.draw(&world.model);
        world.tally.actions(|actions| actions.begun += 1);
        let to = format!("{}/feedback", without_query(at));
        let begun = feedback(Execution::Proceeding, Finished::None, "begun");
        self.tell(link, Kind::Feedback, Method::POST, to.clone(), &begun).await?;
        if drawn.fate == Fate::GoesSilent {
            world.tally.actions(|actions| actions.silent += 1);
            return Ok(Some(Next::Silent));
        }
        let stage = Stage::Download(base.deployment);
        self.work = Some(Work { action: base.id, to, drawn, stage });
        Ok(Some(Next::After(Duration::ZERO)))
    }

    /// Goes on with what was begun; none when it is time to poll.
    pub(super) async fn go_on(
        &mut self,
        world: &World,
        pool: &Pool,
    ) -> Result<Option<Next>, Trouble> {
        let Some(work) = self.work.take() else { return Ok(None) };
        match work.stage {
            Stage::Downloaded => {
                self.work = Some(work);
                Ok(None)
            }
            Stage::Download(ref deployment) => {
                let deployment = deployment.clone();
                self.download(work, &deployment, world, pool).await.map(Some)
            }
            Stage::Install(until) if is_past(until) => {
                self.end(work, world, pool, None).await.map(Some)
            }
            Stage::Install(until) => {
                self.work = Some(work);
                Ok(Some(Next::After(until.saturating_duration_since(Instant::now()))))
            }
        }
    }

    async fn download(
        &mut self,
        mut work: Work,
        deployment: &Deployment,
        world: &World,
        pool: &Pool,
    ) -> Result<Next, Trouble> {
        let Some(mut own) = pool.for_download() else {
            self.work = Some(work);
            return Ok(Next::After(QUEUE));
        };
        for artifact in deployment.chunks.iter().flat_map(|chunk| &chunk.artifacts) {
            match self.fetch(&mut own.link, world, artifact).await {
                Ok(true) => {}
                Ok(false) => {
                    let reason = format!("{} is not what was promised", artifact.filename);
                    return self.end(work, world, pool, Some(reason)).await;
                }
                Err(error) => {
                    // It goes on at the next visit, as a device that lost its network does.
                    self.work = Some(work);
                    return Err(error);
                }
            }
        }
        let told = feedback(Execution::Downloaded, Finished::None, "downloaded");
        self.tell(&mut own.link, Kind::Feedback, Method::POST, work.to.clone(), &told).await?;
        let waits = deployment.update == Handling::Skip;
        let takes = work.drawn.takes;
        work.stage = if waits { Stage::Downloaded } else { Stage::Install(Instant::now() + takes) };
        self.work = Some(work);
        Ok(Next::After(if waits { SOON } else { takes }))
    }

    /// Whether the artifact is what the server said.
    async fn fetch(
        &self,
        link: &mut Link,
        world: &World,
        artifact: &Artifact,
    ) -> Result<bool, Trouble> {
        let to = artifact.links.get("download").or_else(|| artifact.links.get("download-http"));
        let to = to.ok_or_else(|| Trouble::Answer(format!("{}: no link", artifact.filename)))?;
        let ask = self.authorized(Ask::get(path(&to.href)?));
        let got = link.download(ask, world.model.download_rate).await?;
        world.tally.devices(|devices| devices.downloaded_bytes += got.bytes);
        // Elsewhere: the storage's load, not this server's.
        let is_good = got.status.is_redirection()
            || (got.status == StatusCode::OK
                && got.bytes == artifact.size
                && artifact.hashes.sha256.eq_ignore_ascii_case(&hex::encode(got.sha256)));
        if !is_good {
            world.tally.devices(|devices| devices.wrong_content += 1);
        }
        Ok(is_good)
    }

    /// Reports how it ended. `wrong`: what came up that was not drawn.
    async fn end(
        &mut self,
        work: Work,
        world: &World,
        pool: &Pool,
        wrong: Option<String>,
    ) -> Result<Next, Trouble> {
        let failed = wrong.is_some() || work.drawn.fate == Fate::Fails;
        let told = if failed {
            let reason = wrong.as_deref().unwrap_or("the simulated installation failed");
            feedback(Execution::Closed, Finished::Failure, reason)
        } else {
            feedback(Execution::Closed, Finished::Success, "installed")
        };
        let Some(mut borrowed) = pool.take().await else { return Ok(Next::Silent) };
        let link = &mut borrowed.link;
        let sent = self.tell(link, Kind::Feedback, Method::POST, work.to.clone(), &told).await;
        pool.give(borrowed);
        let status = match sent {
            Ok(status) => status,
            Err(error) => {
                self.work = Some(work);
                return Err(error);
            }
        };
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            self.work = Some(work);
            return Err(Trouble::Answer(format!("HTTP {}", status.as_u16())));
        }
        world.tally.actions(|actions| match (status.is_success(), failed) {
            (true, true) => actions.failed += 1,
            (true, false) => actions.finished += 1,
            // The server has ended it meanwhile.
            (false, _) => actions.cancelled += 1,
        });
        self.last = Some(work.action);
        Ok(Next::Ended(SOON))
    }
}
