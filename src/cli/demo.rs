//! `thalweg demo`: the story of an online shop, in one go, on a throw-away directory.
//!
//! Tells what it does and what each part proves, and fails if a part does not hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::base::clock::{self, Clock as _, SystemClock};
use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::base::task;
use crate::client::wire::{Acks, At, Client, Limits, NewTopic, Options, partition_of};
use crate::client::{Received, Record};
use crate::config::{Address, Config};
use crate::node::Node;
use crate::record::Compression;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Orders that customers place.
    #[arg(long, default_value_t = 60)]
    orders: u32,
    /// Do not pause between orders.
    #[arg(long)]
    fast: bool,
}

const TOPIC: &str = "orders";

const PARTITIONS: i32 = 3;

const GOODS: [(&str, u64); 4] =
    [("a map of the river", 1900), ("a lamp", 3450), ("a paddle", 5900), ("dry socks", 850)];

const CUSTOMERS: [&str; 5] = ["ada", "bo", "chen", "dara", "eli"];

/// The event that checkout writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    number: u32,
    customer: String,
    item: String,
    cents: u64,
}

/// A directory that goes when the story ends, however it ends.
struct ThrowAway(PathBuf);

impl Drop for ThrowAway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
                told = Box::pin(self.tell()) => told,
            }
        })
    }

    async fn tell(self) -> anyhow::Result<()> {
        let place = format!("thalweg-demo-{}", Rng::from_os().uuid());
        let place = ThrowAway(std::env::temp_dir().join(place));
        say("An online shop, told by one broker on a throw-away directory.");

        part(1, "A broker starts");
        let (node, client) = open(&place).await?;
        let new = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: None,
            configs: Vec::new(),
        };
        client.create_topic(&new).await?;
        say(&format!(
            "Topic `{TOPIC}` has {PARTITIONS} partitions; a customer's orders share one."
        ));

        part(2, "Checkout writes; stock and payment read, each for itself");
        let stock = task::spawn("demo-stock", follow(client.clone(), self.orders));
        let payment = task::spawn("demo-payment", follow(client.clone(), self.orders));
        let placed = self.checkout(&client).await?;
        let in_stock = stock.await?.context("stock failed")??;
        let in_payment = payment.await?.context("payment failed")??;
        check_readers(&placed, &in_stock, &in_payment)?;

        part(3, "The broker stops and starts again");
        drop(client);
        Box::pin(node.shutdown()).await?;
        let (node, client) = open(&place).await?;
        proves("stopping and starting loses nothing, as the next part shows");

        part(4, "A late reader replays everything from the start");
        let replayed = follow(client.clone(), self.orders).await?;
        check_replay(&placed, &in_stock, &replayed)?;
        drop(client);
        Box::pin(node.shutdown()).await?;
        say(&format!("\nThe end. {} is gone again.", place.0.display()));
        say("Run `thalweg serve` for a broker of your own.");
        Ok(())
    }

    /// Customers order, and each order is confirmed once it is durable.
    async fn checkout(&self, client: &Client) -> anyhow::Result<Vec<Order>> {
        let (mut placed, mut slowest) = (Vec::new(), Duration::ZERO);
        for number in 1..=self.orders {
            let pick = number as usize;
            let (item, cents) = GOODS[pick * 7 % GOODS.len()];
            let customer = CUSTOMERS[pick * 3 % CUSTOMERS.len()].to_owned();
            let order = Order { number, customer, item: item.to_owned(), cents };
            let sent = Instant::now();
            let record = record(&order)?;
            let partition = partition_of(order.customer.as_bytes(), PARTITIONS);
            let how = (Compression::None, Acks::All);
            let offset = client.produce(TOPIC, partition, &[record], how).await?;
            slowest = slowest.max(sent.elapsed());
            if number <= 3 || number == self.orders {
                let Order { customer, item, .. } = &order;
                say(&format!(
                    "checkout  order {number}: {customer} buys {item} -> partition {partition}, offset {offset}"
                ));
            } else if number == 4 {
                say("checkout  ...");
            }
            placed.push(order);
            if !self.fast {
                clock::sleep(Duration::from_millis(20)).await;
            }
        }
        proves(&format!(
            "every order was on disk, synced, before the shop confirmed it (the slowest took {slowest:.1?})"
        ));
        Ok(placed)
    }
}

fn record(order: &Order) -> anyhow::Result<Record> {
    Ok(Record {
        timestamp: SystemClock.now(),
        key: Some(Bytes::from(order.customer.clone())),
        value: Some(Bytes::from(serde_json::to_vec(order)?)),
        headers: vec![(Bytes::from("by"), Some(Bytes::from("checkout")))],
    })
}

async fn open(place: &ThrowAway) -> anyhow::Result<(Node, Client)> {
    let dir = place.0.display().to_string();
    let settings = [
        ("data.dir", dir.as_str()),
        ("listeners", "127.0.0.1:0"),
        ("http.listen", "127.0.0.1:0"),
        ("schema.registry.listen", "none"),
    ];
    let started = Instant::now();
    let node = Box::pin(Node::start(Config::with(settings)?)).await?;
    let bound = node.addresses().kafka.values().next().context("no listener")?.to_owned();
    let options = Options {
        bootstrap: vec![Address { host: bound.ip().to_string(), port: bound.port() }],
        client_id: "thalweg-demo".to_owned(),
        timeout: Duration::from_secs(30),
        rng: Rng::from_os(),
    };
    let client = Client::connect(options).await?;
    say(&format!("broker    {bound}, on {dir}, after {:.0?}", started.elapsed()));
    Ok((node, client))
}

/// Reads every partition from the start until it has `orders` orders, at its own pace and with its own positions.
async fn follow(client: Client, orders: u32) -> anyhow::Result<Vec<Received>> {
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let mut positions = client.offsets(TOPIC, &partitions, At::Start).await?;
    let limits = Limits {
        wait: Duration::from_millis(200),
        partition_bytes: 1 << 20,
        read_committed: false,
    };
    let (mut read, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(120));
    while read.len() < orders as usize {
        ensure!(Instant::now() < deadline, "only {} of {orders} orders came", read.len());
        for fetched in client.fetch(TOPIC, &positions, limits).await? {
            read.extend(fetched.records);
            positions.insert(fetched.partition, fetched.next);
        }
    }
    Ok(read)
}

fn orders(read: &[Received]) -> anyhow::Result<Vec<Order>> {
    let order =
        |one: &Received| serde_json::from_slice(one.record.value.as_deref().unwrap_or_default());
    Ok(read.iter().map(order).collect::<Result<_, _>>()?)
}

fn check_readers(
    placed: &[Order],
    in_stock: &[Received],
    in_payment: &[Received],
) -> anyhow::Result<()> {
    let (stock, payment) = (orders(in_stock)?, orders(in_payment)?);
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    stock.iter().for_each(|order| *left.entry(&order.item).or_default() += 1);
    let left: Vec<String> = left.iter().map(|(item, sold)| format!("{sold} x {item}")).collect();
    say(&format!("stock     to be packed: {}", left.join(", ")));
    say(&format!("payment   charged {} for {} orders", euros(&payment), payment.len()));
    ensure!(same(placed, &stock) && same(placed, &payment), "a reader missed an order");
    proves("both read every order; neither took one away from the other");
    for customer in CUSTOMERS {
        let of = |orders: &[Order]| -> Vec<u32> {
            let of = orders.iter().filter(|order| order.customer == customer);
            of.map(|order| order.number).collect()
        };
        ensure!(of(placed) == of(&stock), "{customer}'s orders came out of order");
    }
    proves("each customer's orders came in the order in which they were placed");
    Ok(())
}

fn check_replay(
    placed: &[Order],
    before: &[Received],
    replayed: &[Received],
) -> anyhow::Result<()> {
    let all = orders(replayed)?;
    let mut spent: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
    all.iter().for_each(|order| spent.entry(&order.customer).or_default().push(order));
    for (customer, of) in &spent {
        let total = euros(&of.iter().map(|order| (*order).clone()).collect::<Vec<_>>());
        say(&format!("analytics {customer}: {} orders, {total}", of.len()));
    }
    ensure!(same(placed, &all), "the late reader missed an order");
    proves("a reader that comes later sees everything, also what others read long ago");
    let places = |read: &[Received]| -> BTreeMap<(i32, Offset), Record> {
        read.iter().map(|one| ((one.partition, one.offset), one.record.clone())).collect()
    };
    ensure!(places(before) == places(replayed), "an order changed over the restart");
    proves("over the restart every order kept its partition, offset, time and bytes");
    Ok(())
}

fn same(placed: &[Order], read: &[Order]) -> bool {
    let by_number = |orders: &[Order]| -> BTreeMap<u32, Order> {
        orders.iter().map(|order| (order.number, order.clone())).collect()
    };
    placed.len() == read.len() && by_number(placed) == by_number(read)
}

fn euros(orders: &[Order]) -> String {
    let cents: u64 = orders.iter().map(|order| order.cents).sum();
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}

fn say(line: &str) {
    println!("{line}");
}

fn part(number: u32, what: &str) {
    println!("\n{number}. {what}");
}

fn proves(what: &str) {
    println!("   -> proves: {what}");
}
