//! Random valid requests of every API and version, made from the shape table: for tests and fuzzing.

use kafka_protocol::messages as k;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::api::{Api, ApiKey};
use super::shapes::{Element, Field, Kind, Struct};
use crate::base::rng::Rng;

/// The body of a request that `api` serves at `version`, different for each draw.
#[must_use]
pub fn request(api: &Api, version: i16, rng: &Rng) -> Vec<u8> {
    let mut sample = Sample { version, compact: api.is_flexible(version), rng, body: Vec::new() };
    sample.structure(api.shape);
    sample.body
}

/// Damages `body` in one place: a byte, a tail, or a stretch of 0xff where counts and lengths may be.
pub fn damage(body: &mut Vec<u8>, rng: &Rng) {
    if body.is_empty() {
        return body.push(0xff);
    }
    let at = index(rng.below(body.len() as u64));
    match rng.below(5) {
        0 => body[at] = rng.u64().to_le_bytes()[0],
        1 => body[at] ^= 1 << rng.below(8),
        2 => body.truncate(at),
        3 => body[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
        _ => {
            let large = i32::MAX >> rng.below(24);
            for (byte, value) in body[at..].iter_mut().zip(large.to_be_bytes()) {
                *byte = value;
            }
        }
    }
}

/// Something to do with the crate's type of an API's request.
pub trait Visitor {
    /// Called with that type.
    fn visit<T: Decodable + Encodable + Default + std::fmt::Debug + PartialEq>(&mut self);
}

/// Calls `visitor` with the crate's type of the request of `key`.
pub fn visit(key: ApiKey, visitor: &mut impl Visitor) {
    match key {
        ApiKey::Produce => visitor.visit::<k::ProduceRequest>(),
        ApiKey::Fetch => visitor.visit::<k::FetchRequest>(),
        ApiKey::ListOffsets => visitor.visit::<k::ListOffsetsRequest>(),
        ApiKey::Metadata => visitor.visit::<k::MetadataRequest>(),
        ApiKey::FindCoordinator => visitor.visit::<k::FindCoordinatorRequest>(),
        ApiKey::ApiVersions => visitor.visit::<k::ApiVersionsRequest>(),
        ApiKey::CreateTopics => visitor.visit::<k::CreateTopicsRequest>(),
        ApiKey::DeleteTopics => visitor.visit::<k::DeleteTopicsRequest>(),
        ApiKey::DeleteRecords => visitor.visit::<k::DeleteRecordsRequest>(),
        ApiKey::InitProducerId => visitor.visit::<k::InitProducerIdRequest>(),
        ApiKey::OffsetForLeaderEpoch => visitor.visit::<k::OffsetForLeaderEpochRequest>(),
        ApiKey::AddPartitionsToTxn => visitor.visit::<k::AddPartitionsToTxnRequest>(),
        ApiKey::AddOffsetsToTxn => visitor.visit::<k::AddOffsetsToTxnRequest>(),
        ApiKey::EndTxn => visitor.visit::<k::EndTxnRequest>(),
        ApiKey::TxnOffsetCommit => visitor.visit::<k::TxnOffsetCommitRequest>(),
        ApiKey::WriteTxnMarkers => visitor.visit::<k::WriteTxnMarkersRequest>(),
        ApiKey::ConsumerGroupHeartbeat => visitor.visit::<k::ConsumerGroupHeartbeatRequest>(),
        ApiKey::ConsumerGroupDescribe => visitor.visit::<k::ConsumerGroupDescribeRequest>(),
        ApiKey::ShareGroupHeartbeat => visitor.visit::<k::ShareGroupHeartbeatRequest>(),
        ApiKey::ShareGroupDescribe => visitor.visit::<k::ShareGroupDescribeRequest>(),
        ApiKey::ShareFetch => visitor.visit::<k::ShareFetchRequest>(),
        ApiKey::ShareAcknowledge => visitor.visit::<k::ShareAcknowledgeRequest>(),
        ApiKey::DescribeShareGroupOffsets => {
            visitor.visit::<k::DescribeShareGroupOffsetsRequest>();
        }
        ApiKey::AlterShareGroupOffsets => visitor.visit::<k::AlterShareGroupOffsetsRequest>(),
        ApiKey::DeleteShareGroupOffsets => visitor.visit::<k::DeleteShareGroupOffsetsRequest>(),
        ApiKey::DescribeTransactions => visitor.visit::<k::DescribeTransactionsRequest>(),
        ApiKey::ListTransactions => visitor.visit::<k::ListTransactionsRequest>(),
        ApiKey::DescribeConfigs => visitor.visit::<k::DescribeConfigsRequest>(),
        ApiKey::AlterConfigs => visitor.visit::<k::AlterConfigsRequest>(),
        ApiKey::DescribeLogDirs => visitor.visit::<k::DescribeLogDirsRequest>(),
        ApiKey::CreatePartitions => visitor.visit::<k::CreatePartitionsRequest>(),
        ApiKey::ElectLeaders => visitor.visit::<k::ElectLeadersRequest>(),
        ApiKey::IncrementalAlterConfigs => visitor.visit::<k::IncrementalAlterConfigsRequest>(),
        ApiKey::AlterPartitionReassignments => {
            visitor.visit::<k::AlterPartitionReassignmentsRequest>();
        }
        ApiKey::ListPartitionReassignments => {
            visitor.visit::<k::ListPartitionReassignmentsRequest>();
        }
        ApiKey::DescribeCluster => visitor.visit::<k::DescribeClusterRequest>(),
        ApiKey::DescribeProducers => visitor.visit::<k::DescribeProducersRequest>(),
        ApiKey::ListConfigResources => visitor.visit::<k::ListConfigResourcesRequest>(),
        ApiKey::OffsetCommit => visitor.visit::<k::OffsetCommitRequest>(),
        ApiKey::OffsetFetch => visitor.visit::<k::OffsetFetchRequest>(),
        ApiKey::JoinGroup => visitor.visit::<k::JoinGroupRequest>(),
        ApiKey::Heartbeat => visitor.visit::<k::HeartbeatRequest>(),
        ApiKey::LeaveGroup => visitor.visit::<k::LeaveGroupRequest>(),
        ApiKey::SyncGroup => visitor.visit::<k::SyncGroupRequest>(),
        ApiKey::DescribeGroups => visitor.visit::<k::DescribeGroupsRequest>(),
        ApiKey::ListGroups => visitor.visit::<k::ListGroupsRequest>(),
        ApiKey::DeleteGroups => visitor.visit::<k::DeleteGroupsRequest>(),
        ApiKey::OffsetDelete => visitor.visit::<k::OffsetDeleteRequest>(),
        ApiKey::DescribeTopicPartitions => visitor.visit::<k::DescribeTopicPartitionsRequest>(),
    }
}

fn index(drawn: u64) -> usize {
    usize::try_from(drawn).expect("drawn below a length")
}

struct Sample<'a> {
    version: i16,
    compact: bool,
    rng: &'a Rng,
    body: Vec<u8>,
}

impl Sample<'_> {
    fn structure(&mut self, shape: &'static Struct) {
        let version = self.version;
        for field in shape.fields.iter().filter(|field| field.exists(version)) {
            self.field(field);
        }
        if !self.compact {
            return;
        }
        let known = shape.tagged.iter().filter(|known| known.since <= version);
        let known: Vec<_> = known.filter(|_| self.rng.below(2) == 0).collect();
        let unknown = if self.rng.below(4) == 0 { self.rng.below(20) } else { 0 };
        self.varint(known.len() as u64 + unknown);
        for tagged in known {
            let outer = std::mem::take(&mut self.body);
            self.field(&tagged.field);
            let value = std::mem::replace(&mut self.body, outer);
            self.tagged(u64::from(tagged.tag), &value);
        }
        for tag in 0..unknown {
            let value = vec![0xab; index(self.rng.below(3))];
            self.tagged(100 + tag, &value);
        }
    }

    fn tagged(&mut self, tag: u64, value: &[u8]) {
        self.varint(tag);
        self.varint(value.len() as u64);
        self.body.extend_from_slice(value);
    }

    fn field(&mut self, field: &Field) {
        let null = field.is_nullable(self.version) && self.rng.below(4) == 0;
        match field.kind {
            Kind::Fixed(1) => self.body.push(u8::from(self.rng.below(2) == 0)),
            Kind::Fixed(bytes) => self.noise(bytes),
            Kind::Text if null => self.null(2),
            Kind::Text => self.text(),
            Kind::Bytes | Kind::Array(_) if null => self.null(4),
            Kind::Bytes => {
                let bytes = index(self.rng.below(200));
                self.length(bytes, 4);
                self.noise(bytes);
            }
            Kind::Nested(shape) => self.structure(shape),
            Kind::Optional(_) if self.rng.below(2) == 0 => self.body.push(0xff),
            Kind::Optional(shape) => {
                self.body.push(1);
                self.structure(shape);
            }
            Kind::Array(element) => self.array(element),
        }
    }

    fn array(&mut self, element: Element) {
        let count = index(self.rng.below(4));
        self.length(count, 4);
        for _ in 0..count {
            match element {
                Element::Fixed(bytes, _) => self.noise(bytes),
                Element::Text(_) => self.text(),
                Element::Struct(shape, _) => self.structure(shape),
            }
        }
    }

    fn text(&mut self) {
        let bytes = index(self.rng.below(if self.rng.below(8) == 0 { 300 } else { 12 }));
        self.length(bytes, 2);
        self.body.extend((0..bytes).map(|at| b'a' + at.to_le_bytes()[0] % 26));
    }

    fn noise(&mut self, bytes: usize) {
        let drawn = (0..bytes).map(|_| self.rng.u64().to_le_bytes()[0]);
        self.body.extend(drawn);
    }

    fn null(&mut self, bytes: usize) {
        if self.compact {
            return self.body.push(0);
        }
        self.body.extend(std::iter::repeat_n(0xff, bytes));
    }

    fn length(&mut self, length: usize, bytes: usize) {
        if self.compact {
            return self.varint(length as u64 + 1);
        }
        self.body.extend_from_slice(&(length as u64).to_be_bytes()[8 - bytes..]);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.body.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.body.push(value.to_le_bytes()[0]);
    }
}
