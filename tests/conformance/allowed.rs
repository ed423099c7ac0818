//! The differences from Apache Kafka that are meant, each with its reason.

use regex::Regex;

use crate::fixture::Difference;

/// One allowed difference. All three patterns are regular expressions that must match from start to end.
struct Line {
    group: &'static str,
    step: &'static str,
    path: &'static str,
    reason: &'static str,
}

const fn line(
    group: &'static str,
    step: &'static str,
    path: &'static str,
    reason: &'static str,
) -> Line {
    Line { group, step, path, reason }
}

/// The table. The first line that fits counts; a line that fits nothing any more fails the test.
#[rustfmt::skip]
const TABLE: &[Line] = &[
    // -- what comes with later work --
    line("api_versions", ".*", "/api_keys/(88|89)", "streams groups are not there yet"),
    line("api_versions", ".*", "/api_keys/(SaslHandshake|SaslAuthenticate|DescribeAcls|CreateAcls|DeleteAcls|DescribeUserScramCredentials|AlterUserScramCredentials|DescribeClientQuotas|AlterClientQuotas)[(][0-9]+[)]", "security and quotas are not there yet"),
    line("api_versions", ".*", "/api_keys/(CreateDelegationToken|RenewDelegationToken|ExpireDelegationToken|DescribeDelegationToken)[(][0-9]+[)]", "delegation tokens are not there"),
    line("api_versions", ".*", "/api_keys/(AlterReplicaLogDirs|DescribeQuorum|UpdateFeatures|UnregisterBroker|AddRaftVoter|RemoveRaftVoter|InitializeShareGroupState|ReadShareGroupState|WriteShareGroupState|DeleteShareGroupState|ReadShareGroupStateSummary)[(][0-9]+[)]", "Kafka's inner APIs, its quorum and its disks are not ours"),
    line("api_versions", ".*", "/api_keys/(ListOffsets|OffsetCommit|OffsetFetch|WriteTxnMarkers|DescribeLogDirs|ShareFetch|ShareAcknowledge|DescribeShareGroupOffsets)[(][0-9]+[)]/max_version", "the newest version is not served yet"),
    line("api_versions", ".*", "/(supported|finalized)_features/.*", "a feature is named once it is there"),
    // -- what differs by design --
    line("metadata", "three replicas: (create|describe)", "/topics/0/.*", "the bucket replicates: any factor is accepted and reported in sync"),
    line("metadata", "(created on sight: (first sight|a name that collides)|internal on sight: .*, first sight)", "/topics/.*", "a topic is there when the answer that created it is"),
    line("log_dirs", ".*", "/results/0/(total|usable)_bytes", "a bucket has no size"),
    line("produce_errors", "opaque: .*", "/responses/0/.*", "records are not decoded: a batch is taken on its header, sizes and CRC"),
    line("produce", "timestamps: no timestamp, fetched", ".*/max_timestamp", "records are not decoded: the header's latest time is believed"),
    line("configs|create_topics", ".*", ".*/configs/thalweg[.].*", "settings of our own"),
    line("configs|create_topics", ".*", ".*/configs/confluent[.].*", "settings of Confluent's that are served here"),
    line("configs|create_topics", ".*", ".*/configs/min.insync.replicas/(config_source|synonyms/.*)", "a default here; Kafka's feature of eligible leaders writes it as a cluster's setting"),
    line("configs", "describe: the brokers' default", ".*/min.insync.replicas", "a default here; Kafka's feature of eligible leaders writes it as a cluster's setting"),
    line("configs", "describe: a broker's keys", ".*/(broker.id|broker.rack|log.retention.ms|log.retention.hours|default.replication.factor)(/.*)?", "one key for one setting, of our own type and default"),
    line("configs", "change brokers: .*, described", "/0(/.*)?", "one key for one setting, of our own type and default"),
    line("configs", "describe: .*", ".*/configs/local.retention.(ms|bytes)/synonyms/0", "Kafka's tiers are not ours: no broker key stands behind them"),
    line("fetch_sessions", "comes and goes: (deleted|made anew)", ".*", "a deleted topic's id is unknown inside a session as outside"),
    // -- where Kafka's answer is an accident --
    line("consumer_groups", "offsets: fetch of an epoch of nobody", ".*/error_code", "Kafka fails inside; ours says that nobody is no member"),
    line("produce_errors", "bytes: null", "", "Kafka fails inside and leaves the client waiting"),
    line("produce_errors", "fields: codec [567]", ".*/(error_code|log_start_offset)", "Kafka fails inside, with its log at hand; ours names the codec"),
    line("produce_errors", "bytes: (a negative length|magic (3|-1)|zeroes)", ".*/error_message", "Kafka puts words to some corrupt batches and not to others; codes agree"),
    line("produce", "many: (a partition twice|a topic twice|no partitions|all, fetched)", "/responses/.*", "Kafka merges what is named twice and leaves out what is empty; ours answers as asked"),
    line("producers", "(sequences|wrap): .* (again.*|once more)", ".*/log_append_time_ms", "Kafka tells the client's own time as the time of append for a duplicate"),
    line("transactions", "(abort|commit): send 2-3 again|strays: (the next|one of no transaction in between)", ".*/log_append_time_ms", "Kafka tells the client's own time as the time of append for a duplicate"),
    line("share_fetches", ".*", ".*error_message", "the words are our own; codes agree"),
    line("share_fetches", "bounds: batches of none", ".*/acquired_records/.*", "Kafka tells of a range that ends before it begins"),
    line("share_fetches", "isolation: what .* committed", ".*/(acquired_records|records)/.*", "Kafka gives out markers, of which clients make gaps; ours gives them to nobody"),
    line("share_fetches", "(partitions: (opened with )?a topic that is not there|deleted: the topic is gone)", ".*", "Kafka fails inside; ours names the topic that is unknown"),
    line("share_groups", "offsets: of a partition that is not there", "", "Kafka leaves the client waiting; ours says that nothing is kept"),
    line("epochs", "comes back: for the last again", "/(error_code|producer_epoch|producer_id)", "Kafka fails inside; ours repeats the answer that was lost, as at every other epoch"),
    line("transactions", "markers: an older epoch", ".*/error_code", "Kafka fails inside; ours names the epoch"),
    line("fetch", "offsets: isolation level (2|-1)", ".*", "Kafka fails inside; ours reads an unknown level as read_uncommitted"),
    line("list_offsets", "wrong: isolation level 7", ".*", "Kafka fails inside; ours reads an unknown level as read_uncommitted"),
    line("fetch", "sizes: (partition )?max bytes -1", ".*", "Kafka fails inside; ours reads a negative size as zero"),
    line("fetch", "wrong: a partition twice", ".*", "Kafka keeps the last; ours answers as asked"),
    line("offsets", "delete records: a partition twice", ".*", "Kafka keeps the last; ours answers as asked"),
    line("offsets", "leader epochs: epoch -2.*", ".*", "an epoch that cannot be has no end"),
    line("lineage", "shortened: all: max timestamp", "/topics/0/partitions/0/(leader_epoch|offset|timestamp)", "Kafka finds a record that was deleted; ours finds none"),
    line("topic_partitions", "partitions: an empty name", ".*", "Kafka fails inside; ours says that the name is invalid"),
    line("create_topics", "create: validate only|create badly: config (cleanup.policy=(delete,delete)?|retention.ms= 1000 )", "/topics/0/topic_id", "what is only validated is not there and has no id"),
    line("create_topics", "grow: to 20,000, validate only", "/results/0/error_(code|message)", "Kafka fails inside, and would add a part of them; ours says that it is too many"),
    line("create_topics", "internal .*: grow", "/results/0/error_(code|message)", "Kafka adds them, and looks for what it kept in others after its next start; ours keeps them as they are"),
    line("reassignments", "reassign: nothing", "/error_message", "Kafka says the empty sentence; ours says nothing"),
    line("frames", "counts: Metadata of -.* topics", "", "only -1 stands for null; another negative count is malformed"),
    line("frames", "headers: a client id of bad UTF-8", "", "a client id that is not UTF-8 is malformed"),
    line("frames", "headers: a negative client id length", "", "only -1 stands for null; another negative length is malformed"),
    line("frames", "flipped: .*", "", "a name that is not UTF-8 is malformed"),
];

/// Why this difference is allowed, if it is.
pub fn reason(group: &str, difference: &Difference) -> Option<&'static str> {
    TABLE.iter().find(|line| line.covers(group, difference)).map(|line| line.reason)
}

/// The lines of this group that allow nothing that is there.
pub fn idle(group: &str, differences: &[Difference]) -> Vec<String> {
    let lines = TABLE.iter().filter(|line| is_hit(line.group, group));
    let idle = lines.filter(|line| !differences.iter().any(|one| line.covers(group, one)));
    idle.map(|line| format!("{} {}: {}", line.step, line.path, line.reason)).collect()
}

impl Line {
    fn covers(&self, group: &str, difference: &Difference) -> bool {
        is_hit(self.group, group)
            && is_hit(self.step, &difference.step)
            && is_hit(self.path, &difference.path)
    }
}

fn is_hit(pattern: &str, text: &str) -> bool {
    let whole = Regex::new(&format!("^(?:{pattern})$"));
    whole.expect("the table holds regular expressions").is_match(text)
}
