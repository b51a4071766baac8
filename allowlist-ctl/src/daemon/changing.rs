//! The routes that change something.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
};

use super::{
    answer::{Answer, NoQuery, query, read_json, read_optional_json},
    config::check_interface_name,
    document::{check_path, plan},
    entries,
    office::{Answered, Ask, Needs, Office, Subject, caller},
};
use crate::{
    api::{
        AttachSettings, Changed, EntrySpecs, ErrorCode, GroupSettings, MAX_BODY, MAX_LIST_BODY,
        ModeSetting, Problem, Rollback, ServiceSettings, Shutdown,
    },
    policy::{
        change::{Change, Settings},
        entry::NewEntry,
    },
};

fn interface_name(text: String) -> Result<String, Problem> {
    check_interface_name(&text).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
    Ok(text)
}

pub(super) async fn protect(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("protect", &service, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
        let settings: ServiceSettings = read_json(body)?;
        let interfaces = settings.interfaces.map(|names| names.into_iter().map(interface_name));
        let settings = Settings {
            ports: settings.ports.into_iter().collect(),
            interfaces: interfaces.map(Iterator::collect).transpose()?,
            addresses: settings.addresses.map(|prefixes| prefixes.into_iter().collect()),
            includes: settings.include.map(|names| names.into_iter().collect()),
            mode: settings.mode,
            action: settings.action,
            when_empty: settings.when_empty,
        };
        Ok(Change::Protect { name, settings })
    };
    office.make(Ask::admin("protect", &service), request, read).await
}

pub(super) async fn set_mode(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("mode", &service, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
        let ModeSetting { mode } = read_json(body)?;
        Ok(Change::SetMode { name, mode })
    };
    office.make(Ask::admin("mode", &service), request, read).await
}

pub(super) async fn unprotect(
    State(office): State<Office>,
    Subject(service): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("unprotect", &service, &caller(&request)?, request.uri()).await?;
    let read = move |_: &[u8]| Ok(Change::Unprotect { name });
    office.make(Ask::admin("unprotect", &service), request, read).await
}

pub(super) async fn set_group(
    State(office): State<Office>,
    Subject(group): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("group", &group, &caller(&request)?, request.uri()).await?;
    let read = move |body: &[u8]| {
        let settings: GroupSettings = read_optional_json(body)?;
        let follow = settings.follow.map(|path| (!path.as_os_str().is_empty()).then_some(path));
        if let Some(Some(path)) = &follow {
            check_path(path).map_err(|error| Problem::new(ErrorCode::Invalid, error))?;
        }
        Ok(Change::SetGroup { name, follow })
    };
    office.make(Ask::admin("group", &group), request, read).await
}

pub(super) async fn remove_group(
    State(office): State<Office>,
    Subject(group): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("ungroup", &group, &caller(&request)?, request.uri()).await?;
    let read = move |_: &[u8]| Ok(Change::RemoveGroup { name });
    office.make(Ask::admin("ungroup", &group), request, read).await
}

pub(super) async fn add(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("add", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let read =
        move |body: &[u8]| Ok(Change::Add { name, entries: entries::lasting(specified(body)?)? });
    office.make(Ask::editor("add", &editors, &list), request, read).await
}

pub(super) async fn remove(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("remove", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let read = move |body: &[u8]| {
        let specs: EntrySpecs = read_json(body)?;
        Ok(Change::Remove { name, keys: entries::keys(&specs.entries)? })
    };
    office.make(Ask::editor("remove", &editors, &list), request, read).await
}

pub(super) async fn replace(
    State(office): State<Office>,
    Subject(list): Subject,
    request: Request,
) -> Answered<Changed> {
    let name = office.name("replace", &list, &caller(&request)?, request.uri()).await?;
    let editors = name.clone();
    let is_text = is_text(&request);
    let read = move |body: &[u8]| Ok(Change::Replace { name, entries: entries_of(body, is_text)? });
    let ask = Ask { limit: MAX_LIST_BODY, ..Ask::editor("replace", &editors, &list) };
    let _turn = office.turn(&caller(&request)?).await?;
    office.make(ask, request, read).await
}

pub(super) async fn apply(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "apply", subject: None, needs: Needs::Admin, limit: MAX_LIST_BODY };
    let _turn = office.turn(&caller(&request)?).await?;
    office.make(ask, request, |body| Ok(Change::Apply(plan(read_json(body)?)?))).await
}

/// Whether the body of a request is a list as text.
pub(super) fn is_text(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("text/plain"))
}

/// The entries of a list, as text or as JSON.
pub(super) fn entries_of(body: &[u8], is_text: bool) -> Result<Vec<NewEntry>, Problem> {
    if is_text { entries::from_text(body) } else { specified(body) }
}

fn specified(body: &[u8]) -> Result<Vec<NewEntry>, Problem> {
    entries::new_entries(&read_json::<EntrySpecs>(body)?.entries)
}

pub(super) async fn confirm(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "confirm", subject: None, needs: Needs::Any, limit: MAX_BODY };
    let ((), options, caller) = office.read(&ask, request, |_| Ok(())).await?;
    office.desk.confirm(options, caller, Arc::clone(&office.access)).await.map(Answer)
}

pub(super) async fn roll_back(State(office): State<Office>, request: Request) -> Answered<Changed> {
    let ask = Ask { action: "rollback", subject: None, needs: Needs::Any, limit: MAX_BODY };
    let (Rollback { to }, options, caller) = office.read(&ask, request, read_optional_json).await?;
    office.desk.roll_back(to, options, caller, Arc::clone(&office.access)).await.map(Answer)
}

pub(super) async fn attach(
    State(office): State<Office>,
    Subject(interface): Subject,
    request: Request,
) -> Answered<Changed> {
    let named = interface.clone();
    let read =
        |body: &[u8]| Ok((interface_name(named)?, read_optional_json::<AttachSettings>(body)?));
    let ((name, settings), options, caller) =
        office.read(&Ask::admin("attach", &interface), request, read).await?;
    office.desk.attach(name, settings.mode, options, caller).await.map(Answer)
}

pub(super) async fn detach(
    State(office): State<Office>,
    Subject(interface): Subject,
    request: Request,
) -> Answered<Changed> {
    let named = interface.clone();
    let read = |_: &[u8]| interface_name(named);
    let (name, options, caller) =
        office.read(&Ask::admin("detach", &interface), request, read).await?;
    office.desk.detach(name, options, caller).await.map(Answer)
}

pub(super) async fn shutdown(State(office): State<Office>, request: Request) -> Answered<Shutdown> {
    let NoQuery {} = query(request.uri())?;
    let ask = Ask { action: "shutdown", subject: None, needs: Needs::Admin, limit: MAX_BODY };
    let (shutdown, _, caller) = office.read(&ask, request, read_optional_json::<Shutdown>).await?;
    office.desk.stop(shutdown.detach.then_some(caller)).await?;
    Ok(Answer(shutdown))
}
