//! What somebody meant: the nearest known name, and Kafka's settings that have no counterpart.

/// Kafka's settings that people bring along, and what stands in their place.
const ELSEWHERE: &[(&str, &str)] = &[
    ("process.roles", "every process serves every role; leave it out"),
    ("controller.quorum.voters", "there is no quorum: the bucket decides; leave it out"),
    ("controller.quorum.bootstrap.servers", "there is no quorum: the bucket decides; leave it out"),
    ("controller.listener.names", "there is no controller listener; leave it out"),
    ("inter.broker.listener.name", "brokers do not replicate to each other; leave it out"),
    ("zookeeper.connect", "there is no ZooKeeper; leave it out"),
    ("log.dir", "records lie in one place: say `data.dir` or `store.url`"),
    ("log.dirs", "records lie in one place: say `data.dir` or `store.url`"),
    ("num.network.threads", "say `worker.threads`"),
    ("num.io.threads", "say `worker.threads`"),
    ("num.replica.fetchers", "nothing is replicated between brokers; leave it out"),
    ("num.recovery.threads.per.data.dir", "recovery reads indexes only; leave it out"),
    ("socket.send.buffer.bytes", "the operating system sizes socket buffers; leave it out"),
    (
        "socket.listen.backlog.size",
        "as many wait to be accepted as the system allows, 4096 at most; leave it out",
    ),
    ("socket.receive.buffer.bytes", "the operating system sizes socket buffers; leave it out"),
    ("host.name", "say `listeners`"),
    ("port", "say `listeners`"),
    ("advertised.host.name", "say `advertised.listeners`"),
    ("advertised.port", "say `advertised.listeners`"),
];

/// A hint for the unknown name `given`, if there is a good one among `known` or in the table above.
pub(super) fn hint(given: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == given) {
        return Some((*instead).to_owned());
    }
    let given = plain(given);
    known
        .map(|name| (distance(&given, &plain(name)), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 6)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Underscores, hyphens and capitals do not make a name another one.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-'], ".")
}

/// Edits between two names: inserted, removed, replaced and swapped letters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<u8>, Vec<u8>) = (a.bytes().collect(), b.bytes().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = || ["num.partitions", "broker.id", "message.max.bytes"].into_iter();
        let check = |given, expected: Option<&str>| {
            assert_eq!(hint(given, known()).as_deref(), expected, "{given}");
        };
        check("num.partition", Some("did you mean `num.partitions`?"));
        check("max_message_bytes", None);
        check("message_max_byets", Some("did you mean `message.max.bytes`?"));
        check("brokerid", Some("did you mean `broker.id`?"));
        check("colour", None);
        check("log.dirs", Some("records lie in one place: say `data.dir` or `store.url`"));
    }
}
