//! Where a broker listens, and what it tells those who come in there.

use std::net::TcpListener;

use anyhow::{Context as _, anyhow, ensure};
use kafka_protocol::messages::{
    DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest, MetadataResponse,
};
use kafka_protocol::protocol::{Request, StrBytes};

use crate::broker::Settings;
use crate::load::Wire;
use crate::parts;
use crate::ports::free_port;

const METADATA: i16 = 12;
const DESCRIBE_CLUSTER: i16 = 0;
const FIND_COORDINATOR: i16 = 4;

/// Asks the broker at `address`, over a connection of its own.
pub(crate) fn ask<R: Request>(
    address: &str,
    request: &R,
    version: i16,
) -> anyhow::Result<R::Response> {
    let mut wire = Wire::connect(address).with_context(|| format!("nobody is at {address}"))?;
    let answer = wire.send(request, version).and_then(|()| wire.receive::<R>(version));
    answer.map_err(|broken| anyhow!("{address}: {broken:?}"))
}

fn metadata(address: &str) -> anyhow::Result<MetadataResponse> {
    ask(address, &MetadataRequest::default(), METADATA)
}

/// The addresses that the broker at `address` tells, by the request that asks for them.
fn told(address: &str) -> anyhow::Result<Vec<(&'static str, String, i32)>> {
    let mut told = Vec::new();
    for one in metadata(address)?.brokers {
        told.push(("Metadata", one.host.to_string(), one.port));
    }
    for one in ask(address, &DescribeClusterRequest::default(), DESCRIBE_CLUSTER)?.brokers {
        told.push(("DescribeCluster", one.host.to_string(), one.port));
    }
    // A group's, and a transactional id's.
    for key_type in [0, 1] {
        let request = FindCoordinatorRequest::default()
            .with_key_type(key_type)
            .with_coordinator_keys(vec![StrBytes::from_static_str("any")]);
        for one in ask(address, &request, FIND_COORDINATOR)?.coordinators {
            ensure!(one.error_code == 0, "FindCoordinator: {}", one.error_code);
            told.push(("FindCoordinator", one.host.to_string(), one.port));
        }
    }
    Ok(told)
}

#[test]
fn each_listener_tells_the_address_that_is_advertised_for_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // One with the port that is bound, one with another.
    let advertised = "OUTSIDE://outside.example:443,INSIDE://inside.example:0";
    let mut settings = Settings::directory(folder.path()).set("advertised.listeners", advertised);
    settings.listen = "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0".to_owned();
    let _broker = settings.start()?;
    let ready = settings.ready()?;
    let bound = |name: &str| ready["kafka"][name].as_str().with_context(|| format!("no {name}"));
    let (inside, outside) = (bound("INSIDE")?, bound("OUTSIDE")?);
    let (_, inside_port) = inside.rsplit_once(':').context("an address has a port")?;
    for (address, host, port) in
        [(inside, "inside.example", inside_port.parse()?), (outside, "outside.example", 443)]
    {
        let expected: Vec<_> =
            ["Metadata", "DescribeCluster", "FindCoordinator", "FindCoordinator"]
                .map(|request| (request, host.to_owned(), port))
                .to_vec();
        let told = told(address)?;
        ensure!(told == expected, "on {address} clients are told {told:?}");
    }
    Ok(())
}

#[test]
fn localhost_is_reached_over_both_families_at_one_port() -> anyhow::Result<()> {
    // A port that the system chooses, and one that is said.
    for port in [0, free_port()?] {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings::directory(folder.path());
        settings.listen = format!("localhost:{port}");
        let broker = settings.start()?;
        let (_, bound) = broker.address.rsplit_once(':').context("an address has a port")?;
        ensure!(port == 0 || bound.parse() == Ok(port), "asked for {port}, bound {bound}");
        let mut hosts = vec!["127.0.0.1"];
        if TcpListener::bind("[::1]:0").is_ok() {
            hosts.push("[::1]");
        } else {
            ensure!(!parts::are_demanded(), "this machine has no ::1");
            println!("skipped: localhost over IPv6: this machine has no ::1");
        }
        for host in hosts {
            let brokers = metadata(&format!("{host}:{bound}"))?.brokers;
            let told: Vec<_> =
                brokers.iter().map(|one| format!("{}:{}", one.host.as_str(), one.port)).collect();
            ensure!(told == [format!("localhost:{bound}")], "over {host} it tells {told:?}");
        }
    }
    Ok(())
}
