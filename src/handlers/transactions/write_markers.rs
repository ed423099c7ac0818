//! WriteTxnMarkers: ends transactions in partitions, for a coordinator elsewhere or an operator who found one hanging.
//!
//! Source: KIP-98, KIP-664; `KafkaApis.handleWriteTxnMarkersRequest`.

use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::base::ids::ProducerId;
use crate::handlers::{Session, error_code};
use crate::log::EndMarker;
use crate::protocol::ErrorCode;
use crate::transactions::NotWritten;
use crate::wal::Stable;

pub(in crate::handlers) async fn handle(
    session: &Session,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in &request.markers {
        markers.push(end_all(session, marker).await);
    }
    WriteTxnMarkersResponse::default().with_markers(markers)
}

/// All of a marker's partitions are written before the first is waited for.
async fn end_all(session: &Session, marker: &WritableTxnMarker) -> WritableTxnMarkerResult {
    let end = EndMarker {
        producer_id: ProducerId(marker.producer_id.0),
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.transaction_result,
        bumps_epoch: false,
    };
    let writer = session.context.transactions.markers();
    let mut written = Vec::with_capacity(marker.topics.len());
    for topic in &marker.topics {
        let each = topic
            .partition_indexes
            .iter()
            .map(|index| (*index, writer.write(topic.name.as_str(), *index, &end)));
        written.push((topic.name.clone(), each.collect::<Vec<_>>()));
    }
    let mut topics = Vec::with_capacity(written.len());
    for (name, each) in written {
        let mut partitions = Vec::with_capacity(each.len());
        for (index, written) in each {
            let result = WritableTxnMarkerPartitionResult::default()
                .with_partition_index(index)
                .with_error_code(told(written).await.code());
            partitions.push(result);
        }
        let topic = WritableTxnMarkerTopicResult::default();
        topics.push(topic.with_name(name).with_partitions(partitions));
    }
    WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics)
}

async fn told(written: Result<Option<Stable>, NotWritten>) -> ErrorCode {
    match written {
        Ok(None) => ErrorCode::None,
        Ok(Some(stable)) => match stable.wait().await {
            Ok(()) => ErrorCode::None,
            Err(error) => error_code::of_log(&error.into()),
        },
        Err(NotWritten::UnknownPartition) => ErrorCode::UnknownTopicOrPartition,
        Err(NotWritten::Log(error)) => error_code::of_log(&error),
    }
}
