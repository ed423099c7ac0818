//! DescribeLogDirs.

use kafka_protocol::messages::{
    DescribeLogDirsRequest, describe_log_dirs_request::DescribableLogDirTopic,
};

use super::{append, create_topic, topic, versions};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    talk.begin("set-up");
    let base = talk.base_ms();
    create_topic(talk, "sized", 2, &[]);
    append(talk, "sized", 0, &numbered(base, 0, 5));
    append(talk, "sized", 0, &numbered(base, 5, 5));
    for version in versions::<DescribeLogDirsRequest>() {
        talk.begin("log dirs");
        let of = |name: &str, partitions: &[i32]| {
            let one = DescribableLogDirTopic::default()
                .with_topic(topic(name))
                .with_partitions(partitions.to_vec());
            DescribeLogDirsRequest::default().with_topics(Some(vec![one]))
        };
        talk.ask("all", version, &DescribeLogDirsRequest::default().with_topics(None));
        talk.ask("nothing", version, &DescribeLogDirsRequest::default().with_topics(Some(vec![])));
        talk.ask("one partition", version, &of("sized", &[0]));
        talk.ask("no partitions", version, &of("sized", &[]));
        talk.ask("an unknown partition", version, &of("sized", &[7]));
        talk.ask("an unknown topic", version, &of("unknown", &[0]));
        talk.ask("an invalid topic", version, &of("in valid", &[0]));
    }
}
