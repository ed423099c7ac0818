//! `/contexts`: their list, and the end of one.
//!
//! Source: `ContextsResource`.

use axum::http::Method;

use super::super::decide::Command;
use super::super::error::Error;
use super::super::service::Service;
use super::super::subject::Subject;
use super::path::Query;
use super::reply::Reply;

pub(super) async fn answer(
    service: &Service,
    method: &Method,
    rest: &[&str],
    query: &Query,
) -> Result<Reply, Error> {
    match rest {
        [] if method == Method::GET => {
            let prefix = query.get("contextPrefix").unwrap_or_default();
            let state = service.state();
            let contexts = state.contexts().filter(|context| context.starts_with(prefix));
            Ok(Reply::json(&query.page(contexts, usize::MAX)?))
        }
        [context] if method == Method::DELETE => {
            service.change(Command::DeleteContext(Subject::parse(context))).await?;
            Ok(Reply::Nothing)
        }
        [] | [_] => Err(Error::NoMethod),
        _ => Err(Error::NoResource),
    }
}
