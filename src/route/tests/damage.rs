//! Tables as no verb leaves them: each kind of damage is found, counted and repaired, and what is whole is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::super::live::Member;
use super::super::sweep::{Damage, Repair};
use super::super::tables::{FilterServers, Mappings};
use super::*;

/// Two groups with everything that a group can have, and one that has little.
fn scene() -> Scene {
    let scene = Scene::new();
    let a = || broker("a", 0, "a0").acting(true).filter_servers(&["f:1"]).mapping("t1", "a");
    scene.register(a()).unwrap();
    scene.register(broker("a", 1, "a1").acting(true)).unwrap();
    scene.register(broker("b", 0, "b0").topics(&["t2", "t3"]).mapping("t2", "b")).unwrap();
    scene.register(broker("d", 0, "d0").cluster("other").topics(&[])).unwrap();
    scene
}

fn edit_group(tables: &mut Tables, name: &str, edit: impl FnOnce(&mut Group)) {
    let mut group = Group::clone(tables.group(name).unwrap());
    edit(&mut group);
    tables.groups.insert(Arc::new(group));
}

fn edit_topic(tables: &mut Tables, name: &str, edit: impl FnOnce(&mut Vec<Queue>)) {
    let topic = Arc::clone(tables.topic(name).unwrap());
    let mut queues = topic.queues.to_vec();
    edit(&mut queues);
    let (name, version) = (Name::clone(&topic.name), tables.generation);
    tables.topics.insert(Arc::new(Topic { name, queues: queues.into(), version }));
}

fn edit_clusters<T>(tables: &mut Tables, edit: impl FnOnce(&mut BTreeMap<Name, BTreeSet<Name>>) -> T) {
    edit(Arc::make_mut(&mut tables.clusters));
}

fn remove_live(tables: &mut Tables, cluster: &str, address: &str) {
    tables.live.remove(&Member { cluster: cluster.into(), address: address.into() });
}

fn copy_live(tables: &mut Tables, address: &str, cluster: &str, to: &str, name: &str) {
    let live = tables.live(C, address).unwrap();
    let copy = Live {
        member: Member { cluster: cluster.into(), address: to.into() },
        broker_name: name.into(),
        timeout_ms: live.timeout_ms,
        data_version: live.data_version,
        connection: live.connection,
        generation: live.generation,
        ha_address: None,
        applied: None,
        last_update: live.last_update().into(),
    };
    tables.live.insert(Arc::new(copy));
}

/// A topic that nobody serves, for whoever has tables to damage.
pub(crate) fn ghost_topic(tables: &mut Tables) {
    tables.topics.insert(Arc::new(Topic {
        name: "ghost".into(),
        queues: Vec::new().into(),
        version: tables.generation,
    }));
}

type Break = fn(&mut Tables);

/// One way to cause each damage, what it is found with, and what is left of the members and topics.
const CASES: [(Damage, Break, &str, &str, &str); 18] = [
    (
        Damage::LiveNotListed,
        |tables| {
            copy_live(tables, "b0", "new", "b0", "b");
            remove_live(tables, C, "b0");
        },
        "b0 of new",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::LiveWithoutMember,
        |tables| copy_live(tables, "b0", C, "b9", "b"),
        "b9 of cluster",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (Damage::LiveWithoutMember, |tables| drop(tables.groups.remove("d")), "d0 of other", "0=a0 1=a1|0=b0|", "t1 t2 t3"),
    (
        Damage::LiveTwice,
        |tables| {
            copy_live(tables, "b0", "other", "b0", "b");
            edit_clusters(tables, |clusters| clusters.get_mut("other").unwrap().insert("b".into()));
        },
        "b0 of other",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::GroupWithoutAddress,
        |tables| {
            edit_group(tables, "b", |group| group.addresses.clear());
            remove_live(tables, C, "b0");
        },
        "b",
        "0=a0 1=a1||0=d0",
        "t1 t2",
    ),
    (
        Damage::GroupNotListed,
        |tables| edit_group(tables, "d", |group| group.cluster = "home".into()),
        "d",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (Damage::MemberWithoutLive, |tables| remove_live(tables, C, "b0"), "b", "0=a0 1=a1||0=d0", "t1 t2"),
    (
        Damage::MemberWithoutLive,
        |tables| edit_group(tables, "a", |group| group.addresses.push((2, "a2".into()))),
        "a",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::MembersOutOfOrder,
        |tables| edit_group(tables, "a", |group| group.addresses.reverse()),
        "a",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::MembersOutOfOrder,
        |tables| edit_group(tables, "a", |group| group.addresses[1].0 = 0),
        "a",
        "0=a0|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::ClusterEmpty,
        |tables| edit_clusters(tables, |clusters| drop(clusters.insert("empty".into(), BTreeSet::new()))),
        "empty",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::ClusterNamesNoGroup,
        |tables| edit_clusters(tables, |clusters| clusters.get_mut("other").unwrap().insert("ghost".into())),
        "other",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (Damage::TopicWithoutEntry, ghost_topic, "ghost", "0=a0 1=a1|0=b0|0=d0", "t1 t2 t3"),
    (
        Damage::EntryWithoutGroup,
        |tables| edit_topic(tables, "t3", |queues| queues.push(queue("ghost", 6))),
        "t3",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::EntriesOutOfOrder,
        |tables| edit_topic(tables, "t2", |queues| queues.reverse()),
        "t2",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::MappingsEmpty,
        |tables| tables.mappings.insert(Arc::new(Mappings { topic: "t9".into(), by_broker: Arc::default() })),
        "t9",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::MappingWithoutGroup,
        |tables| {
            let by_broker = [("b", 1), ("ghost", 2)]
                .map(|(name, epoch)| (Name::from(name), TopicMapping { epoch, ..TopicMapping::default() }));
            let by_broker = Arc::new(by_broker.into_iter().collect());
            tables.mappings.insert(Arc::new(Mappings { topic: "t2".into(), by_broker }));
        },
        "t2",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
    (
        Damage::FilterServersWithoutBroker,
        |tables| put_filter_servers(tables, "ghost0", &["f:2"]),
        "ghost0 of cluster",
        "0=a0 1=a1|0=b0|0=d0",
        "t1 t2 t3",
    ),
];

fn put_filter_servers(tables: &mut Tables, address: &str, servers: &[&str]) {
    let member = Member { cluster: C.into(), address: address.into() };
    let addresses = servers.iter().map(|&server| Name::from(server)).collect();
    tables.filter_servers.insert(Arc::new(FilterServers { member, broker_name: "b".into(), addresses }));
}

fn subjects(repairs: &[Repair], damage: Damage) -> Vec<&str> {
    repairs.iter().filter(|repair| repair.damage == damage).map(|repair| &*repair.subject).collect()
}

/// Sweeps until there is nothing more to repair.
fn sweep(scene: &Scene) -> Vec<Repair> {
    let repairs = scene.routes.sweep();
    let tables = scene.tables();
    check(&tables);
    assert_eq!(scene.routes.sweep(), [], "one sweep is enough");
    repairs
}

#[test]
fn each_kind_of_damage_is_found_named_counted_and_repaired() {
    for (damage, cause, subject, members, topics) in CASES {
        let scene = scene();
        scene.routes.damage(cause);

        let repairs = sweep(&scene);

        assert_eq!(subjects(&repairs, damage), [subject], "{damage}: {repairs:?}");
        assert_eq!(scene.routes.repairs().values().sum::<u64>(), repairs.len() as u64);
        assert!(scene.routes.repairs()[&damage] > 0);
        let left = ["a", "b", "d"].map(|name| scene.members(name)).join("|");
        assert_eq!((left.as_str(), scene.topics().as_str()), (members, topics), "{damage}");
    }
}

#[test]
fn an_empty_list_of_filter_servers_goes_and_the_route_has_another_version() {
    let scene = scene();
    scene.routes.damage(|tables| put_filter_servers(tables, "b0", &[]));
    let before = scene.tables().route("t3").unwrap().version();

    let repairs = sweep(&scene);

    assert_eq!(subjects(&repairs, Damage::FilterServersEmpty), ["b0 of cluster"]);
    assert!(scene.tables().route("t3").unwrap().version() > before);
}

#[test]
fn every_kind_of_damage_has_a_test_and_a_place_among_the_counters() {
    let tested: BTreeSet<_> = CASES.iter().map(|case| case.0).chain([Damage::FilterServersEmpty]).collect();

    assert_eq!(tested, Damage::ALL.into());
    assert!(Damage::ALL.iter().enumerate().all(|(at, damage)| *damage as usize == at));
}

#[test]
fn a_member_that_loses_its_id_to_another_loses_its_live_entry_too() {
    let scene = scene();
    scene.routes.damage(|tables| edit_group(tables, "a", |group| group.addresses[1].0 = 0));

    sweep(&scene);

    assert!(scene.tables().live(C, "a1").is_none());
    assert!(!scene.routes.heartbeat(C, "a1", scene.now), "it is told to register again");
}

#[test]
fn a_group_that_loses_its_master_in_a_repair_is_read_only_like_any_other() {
    let scene = scene();
    scene.routes.damage(|tables| remove_live(tables, C, "a0"));

    sweep(&scene);

    assert_eq!(scene.members("a"), "1=a1");
    assert_eq!((scene.perm("t1", "a"), scene.perm("t2", "b")), (Some(4), Some(6)));
}

#[test]
fn damage_all_over_is_repaired_at_once_and_what_is_whole_keeps_its_place() {
    let scene = scene();
    let before = scene.tables();
    scene.routes.damage(|tables| {
        ghost_topic(tables);
        edit_clusters(tables, |clusters| drop(clusters.insert("empty".into(), BTreeSet::new())));
        edit_topic(tables, "t3", |queues| queues.push(queue("ghost", 6)));
        tables.groups.remove("d");
    });

    let repairs = sweep(&scene);

    assert_eq!(repairs.len(), 5, "the name of the lost group stood in a cluster as well: {repairs:?}");
    let after = scene.tables();
    for name in ["t1", "t2"] {
        assert!(Arc::ptr_eq(before.topic(name).unwrap(), after.topic(name).unwrap()));
    }
    assert!(Arc::ptr_eq(before.group("a").unwrap(), after.group("a").unwrap()));
}

#[test]
fn what_a_writer_repaired_in_between_is_no_repair() {
    let scene = scene();
    scene.routes.damage(|tables| edit_topic(tables, "t3", |queues| queues.push(queue("ghost", 6))));
    let findings = super::super::sweep::find(&scene.tables());
    assert_eq!(findings.len(), 1);

    scene.register(broker("ghost", 0, "g0").topics(&[])).unwrap();

    let mut draft = super::super::draft::Draft::of(&scene.tables());
    assert_eq!(super::super::sweep::repair(&mut draft, &findings), []);
    assert!(draft.finish().is_none(), "nothing to publish");
}

#[test]
fn a_version_that_was_found_whole_is_not_looked_at_again() {
    let scene = scene();
    assert_eq!(scene.routes.sweep(), []);
    // Damage that does not show as a new version shows that nobody looks.
    scene.routes.damage(|tables| {
        ghost_topic(tables);
        tables.generation -= 1;
    });

    assert_eq!(scene.routes.sweep(), []);

    scene.register(broker("e", 0, "e0")).unwrap();
    assert_eq!(subjects(&scene.routes.sweep(), Damage::TopicWithoutEntry), ["ghost"]);
}
