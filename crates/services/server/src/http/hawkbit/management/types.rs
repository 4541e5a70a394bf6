//! The types of software modules and of distribution sets.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{Linked, Type};

use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, nothing, number, ok,
};
use crate::error::Error;
use crate::fleet::hawkbit::sets::ModuleId;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::storage::hawkbit::types::{Of, TypeValues};

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new();
    for (of, path) in [(Of::Modules, MODULES), (Of::Sets, SETS)] {
        routes = routes
            .route(
                &at(path),
                get(async move |script, asked| all(of, script, asked).await)
                    .post(async move |script, body| make(of, script, body).await),
            )
            .route(
                &at(&format!("{path}/{{id}}")),
                get(async move |script, id| one(of, script, id).await)
                    .put(async move |script, id, body| change(of, script, id, body).await)
                    .delete(async move |script, id| delete(of, script, id).await),
            );
    }
    for (mandatory, path) in [(true, "mandatorymoduletypes"), (false, "optionalmoduletypes")] {
        routes = routes
            .route(
                &at(&format!("{SETS}/{{id}}/{path}")),
                get(async move |script, id| modules(mandatory, script, id).await).post(
                    async move |script, id, body| add_module(mandatory, script, id, body).await,
                ),
            )
            .route(
                &at(&format!("{SETS}/{{id}}/{path}/{{module}}")),
                get(async move |script, ids| one_module(mandatory, script, ids).await)
                    .delete(async move |script, ids| remove_module(mandatory, script, ids).await),
            );
    }
    routes
}

const MODULES: &str = "softwaremoduletypes";
const SETS: &str = "distributionsettypes";

fn shown(of: Of, script: &Script, one: Type) -> Linked<Type> {
    let this = match of {
        Of::Modules => format!("{MODULES}/{}", one.id),
        Of::Sets => format!("{SETS}/{}", one.id),
    };
    let mut named = vec![("self", this.clone())];
    if of == Of::Sets {
        named.push(("mandatorymodules", format!("{this}/mandatorymoduletypes")));
        named.push(("optionalmodules", format!("{this}/optionalmoduletypes")));
    }
    let links = script.links(&named);
    super::linked(one, links)
}

async fn all(of: Of, script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (types, total) = script.run(Scope::Read, move |fleet, _| fleet.types(of, &wanted)).await?;
    list((types.into_iter().map(|one| shown(of, &script, one)).collect(), total))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewType {
    key: String,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    colour: Option<String>,
    #[serde(default)]
    max_assignments: Option<i64>,
    #[serde(default)]
    mandatorymodules: Vec<ModuleId>,
    #[serde(default)]
    optionalmodules: Vec<ModuleId>,
}

async fn make(of: Of, script: Script, body: Body) -> Answer {
    let new: OneOrMany<NewType> = read_json(&script.fleet, body, "the types").await?;
    let ids = |modules: Vec<ModuleId>| modules.into_iter().map(|one| one.id).collect::<Vec<_>>();
    let new = new
        .into_vec()
        .into_iter()
        .map(|one| {
            let values = TypeValues {
                name: one.name,
                key: one.key,
                description: one.description,
                colour: one.colour,
                max_assignments: one.max_assignments.unwrap_or(1).max(1),
            };
            (values, ids(one.mandatorymodules), ids(one.optionalmodules))
        })
        .collect();
    let made = script
        .run(Scope::Publish, move |fleet, operator| fleet.make_types(operator, of, new))
        .await?;
    created(&made.into_iter().map(|one| shown(of, &script, one)).collect::<Vec<_>>())
}

async fn one(of: Of, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let found = script.run(Scope::Read, move |fleet, _| fleet.type_of(of, id)).await?;
    ok(&shown(of, &script, found))
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    colour: Option<String>,
}

async fn change(of: Of, script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Change { description, colour } = read_json(&script.fleet, body, "the change").await?;
    let changed = script
        .run(Scope::Publish, move |fleet, operator| {
            fleet.change_type(operator, of, id, description.as_deref(), colour.as_deref())
        })
        .await?;
    ok(&shown(of, &script, changed))
}

async fn delete(of: Of, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Publish, move |fleet, _| fleet.delete_type(of, id)).await?;
    Ok(nothing())
}

async fn modules(mandatory: bool, script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let types = script.run(Scope::Read, move |fleet, _| fleet.type_modules(id, mandatory)).await?;
    let shown = types.into_iter().map(|one| shown(Of::Modules, &script, one));
    ok(&shown.collect::<Vec<_>>())
}

async fn add_module(mandatory: bool, script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let ModuleId { id: module } = read_json(&script.fleet, body, "the module type").await?;
    script
        .run(Scope::Publish, move |fleet, _| fleet.set_type_module(id, module, Some(mandatory)))
        .await?;
    Ok(done())
}

async fn one_module(
    mandatory: bool,
    script: Script,
    Path((id, module)): Path<(String, String)>,
) -> Answer {
    let (id, module) = (number(&id)?, number(&module)?);
    let types = script.run(Scope::Read, move |fleet, _| fleet.type_modules(id, mandatory)).await?;
    match types.into_iter().find(|one| one.id == module) {
        Some(found) => ok(&shown(Of::Modules, &script, found)),
        None => Err(Error::not_found("module type of the set type", module.to_string()).into()),
    }
}

async fn remove_module(
    mandatory: bool,
    script: Script,
    Path((id, module)): Path<(String, String)>,
) -> Answer {
    let (id, module) = (number(&id)?, number(&module)?);
    script
        .run(Scope::Publish, move |fleet, _| {
            if !fleet.type_modules(id, mandatory)?.iter().any(|one| one.id == module) {
                return Err(Error::not_found("module type of the set type", module.to_string()));
            }
            fleet.set_type_module(id, module, None)
        })
        .await?;
    Ok(nothing())
}
