//! `/mode`: what may be done under subjects and contexts.
//!
//! Source: `ModeResource`.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::super::decide::{Answer, Command};
use super::super::error::Error;
use super::super::service::Service;
use super::super::settings::Mode;
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
            let fields = fields(body)?;
            let said = fields.get("mode").ok_or(Error::InvalidMode)?;
            let (mode, force) = (wanted(said)?, query.flag("force"));
            service.change(Command::SetMode { subject, mode, force }).await?;
            Ok(Reply::json(&json!({ "mode": said })))
        }
        Method::DELETE => {
            let recursive = query.flag("recursive");
            match service.change(Command::DeleteMode { subject, recursive }).await? {
                Answer::Mode(mode) => Ok(Reply::json(&json!({ "mode": mode }))),
                _ => Ok(Reply::Nothing),
            }
        }
        _ => Err(Error::NoMethod),
    }
}

fn show(service: &Service, subject: Subject, query: &Query) -> Result<Reply, Error> {
    let state = service.state();
    let is_top = subject.is_default_context() || subject.is_global_context();
    let mode = if query.flag("defaultToGlobal") {
        Some(state.mode_in_scope(&subject))
    } else {
        state.mode(&subject).or_else(|| is_top.then(Mode::default))
    };
    match mode {
        Some(mode) => Ok(Reply::json(&json!({ "mode": mode }))),
        None => Err(Error::NoMode(subject)),
    }
}

/// The mode that is asked for; null takes it away.
fn wanted(said: &Json) -> Result<Option<Mode>, Error> {
    match said {
        Json::String(text) => Mode::from_name(text).map(Some).ok_or(Error::InvalidMode),
        Json::Null => Ok(None),
        _ => Err(Error::InvalidMode),
    }
}
