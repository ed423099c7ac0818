//! `/config`: settings of subjects and contexts.
//!
//! Source: `ConfigResource`.

use axum::http::Method;
use serde_json::{Map, Value as Json};

use super::super::decide::{Answer, Command};
use super::super::error::Error;
use super::super::service::Service;
use super::super::settings::Config;
use super::super::subject::Subject;
use super::path::Query;
use super::reply::Reply;
use super::request::fields;

pub(super) async fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    (query, body): (&Query, &[u8]),
) -> Result<Reply, Error> {
    let subject = match rest {
        [] => Subject::parse(""),
        [subject] => Subject::parse(subject),
        _ => return Err(Error::NoResource),
    };
    match *method {
        Method::GET => show(service, subject, query),
        Method::PUT => {
            let command = Command::SetConfig { subject, fields: fields(body)? };
            let Answer::Config(config) = service.change(command).await? else {
                return Ok(Reply::Nothing);
            };
            Ok(Reply::json(&echoed(&config)))
        }
        Method::DELETE => match service.change(Command::DeleteConfig(subject)).await? {
            Answer::Config(config) => Ok(Reply::json(&config)),
            _ => Ok(Reply::Nothing),
        },
        _ => Err(Error::NoMethod),
    }
}

fn show(service: &Service, subject: Subject, query: &Query) -> Result<Reply, Error> {
    let state = service.state();
    if query.flag("defaultToGlobal") {
        return Ok(Reply::json(&state.config_in_scope(&subject)));
    }
    let is_top = subject.is_default_context() || subject.is_global_context();
    let mut config = match state.config(&subject) {
        Some(config) => config.clone(),
        None if is_top => Config::default(),
        None => return Err(Error::NoConfig(subject)),
    };
    config.compatibility_level.get_or_insert_default();
    Ok(Reply::json(&config))
}

/// Settings as a request says them: the level has another name there.
fn echoed(config: &Config) -> Map<String, Json> {
    let Ok(Json::Object(mut fields)) = serde_json::to_value(config) else { return Map::new() };
    if let Some(level) = fields.remove("compatibilityLevel") {
        fields.insert("compatibility".to_owned(), level);
    }
    fields
}
