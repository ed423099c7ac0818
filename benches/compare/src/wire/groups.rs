//! Classic groups and committed offsets, on one connection a member.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use super::{Connection, Reader, Writer, frame};

/// The API's key; a broker that serves it has groups.
pub const OFFSET_COMMIT: i16 = 8;
const OFFSET_COMMIT_VERSION: i16 = 7;
const HEARTBEAT: i16 = 12;
const HEARTBEAT_VERSION: i16 = 3;
/// Long enough for members that are silent while others form their groups.
const SESSION_TIMEOUT_MS: i32 = 300_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR; UNKNOWN_TOPIC_OR_PARTITION of a broker
/// that has not yet heard of a topic.
const NOT_YET: [i16; 4] = [14, 15, 16, 3];

/// A connection for group requests.
#[derive(Debug)]
pub struct Groups(Connection);

/// A member's view of a generation.
#[derive(Debug, Clone, Default)]
pub struct Joined {
    /// This member.
    pub member: String,
    /// The generation.
    pub generation: i32,
    /// All members, if this one leads.
    pub members: Vec<String>,
}

/// The whole frame of a commit of one offset by a consumer that is in no group.
pub fn commit_request(group: &str, topic: &str, partition: i32, offset: i64) -> Vec<u8> {
    let body = commit_body(group, topic, partition..partition + 1, offset);
    frame(OFFSET_COMMIT, OFFSET_COMMIT_VERSION, 1, &body)
}

fn commit_body(group: &str, topic: &str, partitions: Range<i32>, offset: i64) -> Vec<u8> {
    let mut body = Writer::default();
    body.string(Some(group)).i32(-1).string(Some("")).string(None);
    body.length(1).string(Some(topic)).length(partitions.len());
    for partition in partitions {
        body.i32(partition).i64(offset).i32(-1).string(Some(""));
    }
    body.0
}

/// The whole frame of a member's heartbeat.
pub fn heartbeat_request(group: &str, joined: &Joined) -> Vec<u8> {
    frame(HEARTBEAT, HEARTBEAT_VERSION, 1, &membership(group, joined).0)
}

/// Fails on the error of a Heartbeat answer.
pub fn check_heartbeat(answer: &[u8]) -> anyhow::Result<()> {
    let mut reader = Reader(answer);
    reader.i32()?;
    let code = reader.i16()?;
    ensure!(code == 0, "a heartbeat was refused: code {code}");
    Ok(())
}

/// How requests of a generation's members begin.
fn membership(group: &str, joined: &Joined) -> Writer {
    let mut body = Writer::default();
    body.string(Some(group)).i32(joined.generation).string(Some(&joined.member)).string(None);
    body
}

/// Fails on the first error of an OffsetCommit answer.
pub fn check_committed(answer: &[u8]) -> anyhow::Result<()> {
    let code = committed_code(answer)?;
    ensure!(code == 0, "an offset was not committed: code {code}");
    Ok(())
}

fn committed_code(answer: &[u8]) -> anyhow::Result<i16> {
    let mut reader = Reader(answer);
    reader.i32()?;
    for _ in 0..reader.count()? {
        reader.string()?;
        for _ in 0..reader.count()? {
            reader.i32()?;
            let code = reader.i16()?;
            if code != 0 {
                return Ok(code);
            }
        }
    }
    Ok(0)
}

impl Groups {
    /// Connects.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        Ok(Self(Connection::open(address)?))
    }

    /// Commits one offset; waits for the group's coordinator to have loaded. FindCoordinator makes its topic.
    pub fn commit(&mut self, group: &str, topic: &str, offset: i64) -> anyhow::Result<()> {
        self.commit_all(group, topic, 0..1, offset)
    }

    /// Commits the same offset of many partitions; as [`Groups::commit`].
    pub fn commit_all(
        &mut self,
        group: &str,
        topic: &str,
        partitions: Range<i32>,
        offset: i64,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let mut find = Writer::default();
            find.string(Some(group)).i8(0);
            self.0.ask(10, 2, &find.0)?;
            let body = commit_body(group, topic, partitions.clone(), offset);
            let code = committed_code(&self.0.ask(OFFSET_COMMIT, OFFSET_COMMIT_VERSION, &body)?)?;
            if code == 0 {
                return Ok(());
            }
            ensure!(NOT_YET.contains(&code), "could not commit for {group}: code {code}");
            if began.elapsed() > Duration::from_secs(60) {
                bail!("no coordinator for {group} in 60 s: code {code}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The offset that a group committed for partition 0; none while its coordinator is not ready.
    pub fn committed(&mut self, group: &str, topic: &str) -> anyhow::Result<Option<i64>> {
        let mut body = Writer::default();
        body.string(Some(group)).length(1).string(Some(topic)).length(1).i32(0);
        let answer = self.0.ask(9, 5, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        let mut found = (-1, 0);
        for _ in 0..reader.count()? {
            reader.string()?;
            for _ in 0..reader.count()? {
                reader.i32()?;
                let offset = reader.i64()?;
                reader.i32()?;
                reader.string()?;
                found = (offset, reader.i16()?);
            }
        }
        let code = if found.1 == 0 { reader.i16()? } else { found.1 };
        ensure!(code == 0 || NOT_YET.contains(&code), "no offset of {group}: code {code}");
        Ok((code == 0).then_some(found.0))
    }

    /// Joins with a subscription that is new in each `round`, so that every member's request takes part in a rebalance;
    /// answered when all members have joined.
    pub fn join(&mut self, group: &str, member: &str, round: u32) -> anyhow::Result<Joined> {
        let mut member = member.to_owned();
        loop {
            let mut body = Writer::default();
            body.string(Some(group)).i32(SESSION_TIMEOUT_MS).i32(REBALANCE_TIMEOUT_MS);
            body.string(Some(&member)).string(None).string(Some("consumer"));
            let metadata = round.to_be_bytes();
            body.length(1).string(Some("range")).length(metadata.len());
            body.0.extend(metadata);
            let answer = self.0.ask(11, 5, &body.0)?;
            let mut reader = Reader(&answer);
            reader.i32()?;
            let code = reader.i16()?;
            let generation = reader.i32()?;
            reader.string()?;
            let leader = reader.string()?;
            member = reader.string()?;
            if code == MEMBER_ID_REQUIRED || code == REBALANCE_IN_PROGRESS {
                continue;
            }
            ensure!(code == 0, "could not join {group}: code {code}");
            let mut members = Vec::new();
            for _ in 0..reader.count()? {
                members.push(reader.string()?);
                reader.string()?;
                let bytes = reader.count()?;
                reader.take(bytes)?;
            }
            debug_assert!(members.is_empty() || leader == member, "only the leader is told");
            return Ok(Joined { member, generation, members });
        }
    }

    /// Takes its assignment, and gives all if it leads; false if the group rebalances again.
    pub fn sync(&mut self, group: &str, joined: &Joined) -> anyhow::Result<bool> {
        // As long as one of ten partitions of a topic.
        const ASSIGNMENT: [u8; 64] = [7; 64];
        let mut body = membership(group, joined);
        body.length(joined.members.len());
        for member in &joined.members {
            body.string(Some(member)).length(ASSIGNMENT.len());
            body.0.extend(ASSIGNMENT);
        }
        self.took_part(14, &body)
    }

    /// Whether the generation still stands.
    pub fn heartbeat(&mut self, group: &str, joined: &Joined) -> anyhow::Result<bool> {
        self.took_part(HEARTBEAT, &membership(group, joined))
    }

    fn took_part(&mut self, api: i16, body: &Writer) -> anyhow::Result<bool> {
        let answer = self.0.ask(api, 3, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        let code = reader.i16()?;
        // ILLEGAL_GENERATION: the next one came between two requests.
        let again = code == REBALANCE_IN_PROGRESS || code == 22;
        ensure!(code == 0 || again, "API {api} failed: code {code}");
        Ok(!again)
    }
}
