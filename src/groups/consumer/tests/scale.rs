//! A group of 1,000 members over 10,000 partitions comes to rest, and no step of it is quadratic.

use super::*;

#[test]
fn a_thousand_members_share_ten_thousand_partitions() {
    let mut world = World::new(&[2_500; 4]);
    let topics = ["t1", "t2", "t3", "t4"];
    let mut clients: Vec<Client> =
        (0..1_000).map(|number| Client::new(&format!("m{number:04}"), &topics)).collect();
    // They all join within one assignment interval, as when an application starts.
    world.settings.assignment_interval = Duration::from_secs(1);
    for client in &mut clients {
        client.beat(&mut world).expect("join");
    }
    world.pass(1_000);
    let rounds = settle(&mut world, &mut clients);
    assert!(rounds <= 5, "{rounds} rounds of heartbeats");
    assert!(clients.iter().all(|client| client.partitions() == 10));
    // One leaves: the others take its ten partitions, and nothing else moves.
    let before: Vec<Assignment> = clients.iter().map(|client| client.owned.clone()).collect();
    let gone = clients.pop().expect("a thousand");
    world.send(&Heartbeat { epoch: -1, ..gone.request() }).expect("leave");
    world.pass(1_000);
    settle(&mut world, &mut clients);
    for (client, before) in clients.iter().zip(before) {
        for (topic, parts) in before {
            assert!(client.owned[&topic].is_superset(&parts), "{} lost some", client.id);
        }
    }
}
