//! The types of software modules, of distribution sets and of devices.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{delete as delete_route, get};
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{Linked, Type};

use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, nothing, number, ok,
};
use crate::error::Error;
use crate::error::hawkbit::Trouble;
use crate::fleet::hawkbit::sets::ModuleId;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::storage::hawkbit::types::{Of, TypeValues};

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new();
    for (of, path) in [(Of::Modules, MODULES), (Of::Sets, SETS), (Of::Targets, TARGETS)] {
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
        .route(
            &at(&format!("{TARGETS}/{{id}}/compatibledistributionsettypes")),
            get(compatible).post(add_compatible),
        )
        .route(
            &at(&format!("{TARGETS}/{{id}}/compatibledistributionsettypes/{{set}}")),
            delete_route(remove_compatible),
        )
}

const MODULES: &str = "softwaremoduletypes";
const SETS: &str = "distributionsettypes";
const TARGETS: &str = "targettypes";

fn shown(of: Of, script: &Script, one: Type) -> Linked<Type> {
    let this = match of {
        Of::Modules => format!("{MODULES}/{}", one.id),
        Of::Sets => format!("{SETS}/{}", one.id),
        Of::Targets => format!("{TARGETS}/{}", one.id),
    };
    let mut named = vec![("self", this.clone())];
    if of == Of::Sets {
        named.push(("mandatorymodules", format!("{this}/mandatorymoduletypes")));
        named.push(("optionalmodules", format!("{this}/optionalmoduletypes")));
    }
    if of == Of::Targets {
        let types = format!("{this}/compatibledistributionsettypes");
        named.push(("compatibledistributionsettypes", types));
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
    /// Types of devices need none: then it is the name.
    #[serde(default)]
    key: Option<String>,
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
    #[serde(default)]
    compatibledistributionsettypes: Vec<ModuleId>,
}

async fn make(of: Of, script: Script, body: Body) -> Answer {
    let new: OneOrMany<NewType> = read_json(&script.fleet, body, "the types").await?;
    let ids = |modules: &[ModuleId]| modules.iter().map(|one| one.id).collect::<Vec<_>>();
    let mut values = Vec::new();
    for one in new.into_vec() {
        let key = match one.key {
            Some(key) => key,
            None if of == Of::Targets => one.name.chars().take(64).collect(),
            None => return Err(Error::hawkbit(Trouble::Body, "a type must have a key").into()),
        };
        let new = TypeValues {
            name: one.name,
            key,
            description: one.description,
            colour: one.colour,
            max_assignments: one.max_assignments.unwrap_or(1).max(1),
        };
        let modules = (ids(&one.mandatorymodules), ids(&one.optionalmodules));
        values.push((new, modules, ids(&one.compatibledistributionsettypes)));
    }
    let made = script
        .run(Scope::Publish, move |fleet, operator| {
            let values = values.into_iter();
            if of == Of::Targets {
                let new = values.map(|(new, _, set_types)| (new, set_types)).collect();
                return fleet.make_target_types(operator, new);
            }
            let new = values.map(|(new, (mandatory, optional), _)| (new, mandatory, optional));
            fleet.make_types(operator, of, new.collect())
        })
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
    /// Only types of devices are renamed, as in hawkBit.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    colour: Option<String>,
}

async fn change(of: Of, script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Change { name, description, colour } = read_json(&script.fleet, body, "the change").await?;
    let name = name.filter(|_| of == Of::Targets);
    let changed = script
        .run(Scope::Publish, move |fleet, operator| {
            let change = (name.as_deref(), description.as_deref(), colour.as_deref());
            fleet.change_type(operator, of, id, change)
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

async fn compatible(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let types = script.run(Scope::Read, move |fleet, _| fleet.compatible_set_types(id)).await?;
    let shown = types.into_iter().map(|one| shown(Of::Sets, &script, one));
    ok(&shown.collect::<Vec<_>>())
}

async fn add_compatible(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let new: OneOrMany<ModuleId> = read_json(&script.fleet, body, "the set types").await?;
    let ids: Vec<i64> = new.into_vec().into_iter().map(|one| one.id).collect();
    script.run(Scope::Publish, move |fleet, _| fleet.add_compatible_set_types(id, &ids)).await?;
    Ok(done())
}

async fn remove_compatible(script: Script, Path((id, set)): Path<(String, String)>) -> Answer {
    let (id, set) = (number(&id)?, number(&set)?);
    script.run(Scope::Publish, move |fleet, _| fleet.remove_compatible_set_type(id, set)).await?;
    Ok(nothing())
}
