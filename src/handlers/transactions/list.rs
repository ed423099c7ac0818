//! ListTransactions: the transactional ids that this broker coordinates.
//!
//! Source: KIP-664, KIP-994 (durations), KIP-1152 (patterns); `TransactionStateManager.listTransactionStates`.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::base::ids::ProducerId as Id;
use crate::base::re2::{Invalid, WholePattern};
use crate::handlers::{Session, error_code};
use crate::protocol::ErrorCode;
use crate::transactions::{Filter, Status, Transaction};

/// States of Kafka's that no transaction of ours is ever in.
const NEVER_HERE: [&str; 2] = ["Dead", "PrepareEpochFence"];

pub(in crate::handlers) async fn handle(
    session: &Session,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let response = ListTransactionsResponse::default();
    let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
        return response.with_error_code(ErrorCode::InvalidRegularExpression.code());
    };
    let known = |name: &StrBytes| Status::ALL.into_iter().find(|status| status.name() == &**name);
    let names = &request.state_filters;
    let unknown = names.iter().filter(|name| known(name).is_none());
    let unknown = unknown.filter(|name| !NEVER_HERE.contains(&name.as_str()));
    // Each once.
    let unknown: BTreeSet<&StrBytes> = unknown.collect();
    let response = response.with_unknown_state_filters(unknown.into_iter().cloned().collect());
    let filter = Filter {
        statuses: (!names.is_empty()).then(|| names.iter().filter_map(known).collect()),
        producers: request.producer_id_filters.iter().map(|id| Id(id.0)).collect(),
        longer_than: u64::try_from(request.duration_filter).ok().map(Duration::from_millis),
        pattern,
    };
    match session.context.transactions.list(&filter).await {
        Ok(listed) => response.with_transaction_states(listed.iter().map(state).collect()),
        Err(error) => ListTransactionsResponse::default()
            .with_error_code(error_code::of_transaction(&error).code()),
    }
}

/// A pattern that must match a whole id. None: every id.
fn pattern(text: Option<&str>) -> Result<Option<WholePattern>, Invalid> {
    text.filter(|text| !text.is_empty()).map(WholePattern::new).transpose()
}

fn state((id, known): &(String, Transaction)) -> TransactionState {
    TransactionState::default()
        .with_transactional_id(TransactionalId(StrBytes::from_string(id.clone())))
        .with_producer_id(ProducerId(known.producer.id.0))
        .with_transaction_state(StrBytes::from_static_str(known.status.name()))
}
