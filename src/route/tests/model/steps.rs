//! What can happen to the tables, in any order, and the comparison with the model after each step.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::{option, prop_oneof, proptest, sample};

use super::super::super::table::{Asked, Expiry, Guess};
use super::*;

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Register {
        broker: Box<RandomBroker>,
        connection: usize,
        late_by: u64,
        /// As a difference, if the same connection has told a table before.
        as_difference: bool,
    },
    /// What a broker that is alive said last, or something like it, once more: as a difference, if that may be.
    Repeat {
        of: usize,
        change: Change,
    },
    /// The part of a registration that runs before the lock; the rest follows some steps later.
    Prepare {
        broker: Box<RandomBroker>,
        connection: usize,
        as_difference: bool,
    },
    Commit,
    Unregister {
        departures: Vec<(usize, usize, i64, usize)>,
    },
    Disconnect {
        connection: usize,
    },
    Wait {
        milliseconds: u64,
    },
    Expire,
    /// The part of an expiry that runs before the lock; the rest follows some steps later.
    BeginExpiry,
    FinishExpiry,
    Heartbeat {
        cluster: usize,
        address: usize,
        late_by: u64,
    },
    ChangePermissions {
        name: usize,
        keep: i32,
        set: i32,
    },
    DeleteTopic {
        topic: usize,
        cluster: Option<usize>,
    },
    PutTopic {
        topic: usize,
        names: Vec<(usize, i32)>,
    },
}

/// How a table differs from the one before.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Version,
    /// The permission of one topic, with a new version or without.
    Perm {
        at: usize,
        perm: i32,
        version: bool,
    },
    /// One topic is not there any more.
    Fewer {
        at: usize,
        version: bool,
    },
    /// One more topic is there.
    More {
        topic: usize,
        version: bool,
    },
    /// Missing topics are to be deleted, or not to be any more.
    DeleteMissing,
    /// With a new version: a slave may act as master now, or may not any more.
    Acting,
}

#[derive(Clone, Debug)]
struct RandomBroker {
    who: (usize, usize, i64, usize),
    acting: Option<bool>,
    zone: Option<bool>,
    timeout: Option<i64>,
    delete_missing: bool,
    version: (i64, i64),
    topics: Vec<(usize, i32)>,
    /// The last topic stands under another key than its name.
    odd_key: bool,
    mappings: Vec<(usize, Option<usize>)>,
    filter_servers: Option<usize>,
}

const CLUSTERS: [&str; 2] = ["c0", "c1"];
const NAMES: [&str; 4] = ["n0", "n1", "n2", "nobody"];
const ADDRESSES: [&str; 5] = ["x0", "x1", "x2", "x3", "x4"];
const TOPICS: [&str; 4] = ["t0", "t1", "t2", "t3"];

impl RandomBroker {
    fn broker(&self) -> Broker {
        let (cluster, name, id, address) = self.who;
        let mut broker = broker(NAMES[name], id, ADDRESSES[address]).cluster(CLUSTERS[cluster]);
        broker.registration.enable_acting_master = self.acting;
        broker.registration.zone_name = self.zone.map(|zone| zone.to_string().into());
        broker.registration.heartbeat_timeout = self.timeout;
        broker.registration.delete_missing_topics = self.delete_missing;
        let distinct: BTreeMap<usize, i32> = self.topics.iter().copied().collect();
        broker.table.topics = distinct.into_iter().map(|(at, perm)| topic(TOPICS[at], perm)).collect();
        if let Some(last) = broker.table.topics.last_mut().filter(|_| self.odd_key) {
            last.key = Some("odd".into());
        }
        broker.table.filter_servers = self.filter_servers.map(|count| vec!["f".into(); count]);
        broker = broker.state_version(self.version.0).counter(self.version.1);
        // A table has one mapping of a topic.
        let distinct: BTreeMap<usize, Option<usize>> = self.mappings.iter().copied().collect();
        for (topic, name) in distinct {
            let mapping = TopicMapping {
                broker_name: name.map(|name| NAMES[name].into()),
                epoch: self.version.1,
                ..TopicMapping::default()
            };
            broker.table.mappings.push((TOPICS[topic].into(), mapping));
        }
        broker
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A lane that is behind delivers what was said some time ago.
    let late_by = || prop_oneof![3 => Just(0u64), 1 => 0..5_000u64];
    let departure = (0..2usize, 0..4usize, 0..3i64, 0..5usize);
    vec(
        prop_oneof![
            10 => (brokers(), 0..OPEN, late_by(), any::<bool>()).prop_map(|(broker, connection, late_by, told)| {
                Step::Register { broker: Box::new(broker), connection, late_by, as_difference: told }
            }),
            10 => (any::<usize>(), changes()).prop_map(|(of, change)| Step::Repeat { of, change }),
            // Over any connection that ever was: a job may come out of the lane after its connection closed.
            3 => (brokers(), any::<usize>(), any::<bool>()).prop_map(|(broker, connection, as_difference)| {
                Step::Prepare { broker: Box::new(broker), connection, as_difference }
            }),
            3 => Just(Step::Commit),
            2 => vec(departure, 1..4).prop_map(|departures| Step::Unregister { departures }),
            1 => any::<usize>().prop_map(|connection| Step::Disconnect { connection }),
            2 => (0..90_000u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
            1 => Just(Step::Expire),
            2 => Just(Step::BeginExpiry),
            2 => Just(Step::FinishExpiry),
            2 => (0..2usize, 0..5usize, late_by())
                .prop_map(|(cluster, address, late_by)| Step::Heartbeat { cluster, address, late_by }),
            1 => (0..4usize, 0..8, 0..8).prop_map(|(name, keep, set)| Step::ChangePermissions { name, keep, set }),
            1 => (0..4usize, option::of(0..2usize))
                .prop_map(|(topic, cluster)| Step::DeleteTopic { topic, cluster }),
            1 => (0..4usize, vec((0..4usize, 0..8), 0..4))
                .prop_map(|(topic, names)| Step::PutTopic { topic, names }),
        ],
        1..60,
    )
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Nothing),
        2 => Just(Change::Version),
        2 => (any::<usize>(), 0..8, any::<bool>()).prop_map(|(at, perm, version)| Change::Perm { at, perm, version }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, version)| Change::Fewer { at, version }),
        1 => (0..4usize, any::<bool>()).prop_map(|(topic, version)| Change::More { topic, version }),
        1 => Just(Change::DeleteMissing),
        1 => Just(Change::Acting),
    ]
}

fn brokers() -> impl Strategy<Value = RandomBroker> {
    let who = (prop_oneof![4 => Just(0usize), 1 => Just(1)], 0..3usize, 0..3i64, 0..5usize);
    let timeout = option::of(sample::select(vec![0, -5, 30_000, i64::MAX]));
    let mappings = prop_oneof![2 => Just(Vec::new()), 1 => vec((0..4usize, option::of(0..4usize)), 0..3)];
    let flags = (option::of(any::<bool>()), option::weighted(0.2, any::<bool>()), any::<bool>());
    let topics = (vec((0..4usize, 0..8), 0..4), proptest::bool::weighted(0.1));
    let table = ((0..2i64, 0..3i64), topics, mappings, option::weighted(0.3, 0..2usize));
    (who, flags, timeout, table).prop_map(|(who, (acting, zone, delete_missing), timeout, table)| {
        let (version, (topics, odd_key), mappings, filter_servers) = table;
        RandomBroker { who, acting, zone, timeout, delete_missing, version, topics, odd_key, mappings, filter_servers }
    })
}

/// Connections that are open at any time.
const OPEN: usize = 3;

/// The tables and the model, side by side.
struct Both {
    routes: RouteTable,
    model: Model,
    /// All there ever were; the last [`OPEN`] are open.
    connections: Vec<Arc<Connection>>,
    prepared: Option<Prepared>,
    expiry: Option<(Arc<Tables>, u64, Expiry)>,
    now: u64,
}

struct Prepared {
    broker: Broker,
    /// As it was told.
    told: Told,
    from: Arc<Connection>,
    now: u64,
    guess: Guess,
}

impl Both {
    fn new() -> Self {
        let connections = (0..OPEN).map(|id| Arc::new(connection(id as u64))).collect();
        Self {
            routes: RouteTable::new(),
            model: Model::default(),
            connections,
            prepared: None,
            expiry: None,
            now: 1_000_000,
        }
    }

    /// Whether the step may drop a topic and bring it back at once.
    fn renews(&self, step: &Step) -> bool {
        let has_odd_key = |broker: &Broker| broker.table.topics.iter().any(|topic| topic.key.is_some());
        match step {
            Step::Register { broker, .. } => has_odd_key(&broker.broker()),
            Step::Commit => self.prepared.as_ref().is_some_and(|prepared| has_odd_key(&prepared.broker)),
            _ => false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Register { broker, connection, late_by, as_difference } => {
                let from = Arc::clone(&self.connections[self.connections.len() - OPEN + connection]);
                self.register(broker.broker(), &from, self.now - late_by, *as_difference);
            }
            Step::Repeat { of, change } => {
                let Some((broker, from)) = self.said(*of) else { return };
                self.register(change.applied_to(broker), &from, self.now, true);
            }
            Step::Prepare { broker, connection, as_difference } => {
                let from = Arc::clone(&self.connections[connection % self.connections.len()]);
                let (broker, now) = (broker.broker(), self.now);
                let told = differences::told(&self.routes.tables(), &broker, &from, *as_difference);
                let guess = self.routes.guess(&asked(&broker, &told, &from, now));
                self.prepared = Some(Prepared { broker, told, from, now, guess });
            }
            Step::Commit => {
                let Some(Prepared { broker, told, from, now, guess }) = self.prepared.take() else { return };
                self.registered(&broker, &from, now, |routes| {
                    let whole = || differences::told(&routes.tables(), &broker, &from, false);
                    match routes.commit(&asked(&broker, &told, &from, now), guess) {
                        Err(RegisterError::Stale) => routes.register(broker.registration.clone(), whole(), &from, now),
                        outcome => outcome,
                    }
                });
            }
            Step::Unregister { departures } => self.unregister(departures),
            Step::Disconnect { connection } => self.disconnect(connection % self.connections.len()),
            Step::Wait { milliseconds } => self.now += milliseconds,
            Step::Expire => {
                let before = self.model.min_ids();
                let gone = self.model.remove_where(|_, live| live.is_silent(self.now));
                self.removed(&before, &self.routes.expire(self.now), &gone, Removal::Expired);
            }
            Step::BeginExpiry => {
                let tables = self.routes.tables();
                self.expiry = self.routes.begin_expiry(self.now).map(|expiry| (tables, self.now, expiry));
            }
            Step::FinishExpiry => {
                let Some((tables, now, expiry)) = self.expiry.take() else { return };
                // Whoever registered again since then is somebody else, and whoever gave a sign of life is not silent.
                let (before, current) = (self.model.min_ids(), self.routes.tables());
                let stayed =
                    |(cluster, address): &Key| match (tables.live(cluster, address), current.live(cluster, address)) {
                        (Some(then), Some(now)) => Arc::ptr_eq(then, now),
                        _ => false,
                    };
                let gone = self.model.remove_where(|key, live| stayed(key) && live.is_silent(now));
                self.removed(&before, &self.routes.finish_expiry(expiry), &gone, Removal::Expired);
            }
            Step::Heartbeat { cluster, address, late_by } => {
                let (cluster, address) = (CLUSTERS[*cluster], ADDRESSES[*address]);
                let now = self.now - late_by;
                let live = self.model.live.get_mut(&(cluster.to_owned(), address.to_owned()));
                assert_eq!(self.routes.heartbeat(cluster, address, now), live.is_some());
                live.into_iter().for_each(|live| live.last = live.last.max(now));
            }
            Step::ChangePermissions { name, keep, set } => {
                let count = self.routes.change_permissions(NAMES[*name], *keep, *set);
                let entries = self.model.topics.values_mut().filter_map(|entries| entries.get_mut(NAMES[*name]));
                assert_eq!(count, entries.map(|entry| entry.1 = (entry.1 & keep) | set).count());
            }
            Step::DeleteTopic { topic, cluster } => {
                let cluster = cluster.map(|cluster| CLUSTERS[cluster]);
                self.routes.delete_topic(TOPICS[*topic], cluster);
                self.model.delete_topic(TOPICS[*topic], cluster);
            }
            Step::PutTopic { topic, names } => {
                let queues: Vec<_> = names.iter().map(|(name, perm)| queue(NAMES[*name], *perm)).collect();
                self.routes.put_topic(TOPICS[*topic], queues.clone());
                self.model.put_topic(TOPICS[*topic], &queues);
            }
        }
    }

    fn register(&mut self, broker: Broker, from: &Connection, now: u64, as_difference: bool) {
        self.registered(&broker, from, now, |routes| {
            let tell = |as_difference| {
                let told = differences::told(&routes.tables(), &broker, from, as_difference);
                routes.register(broker.registration.clone(), told, from, now)
            };
            match tell(as_difference) {
                Err(RegisterError::Stale) => tell(false),
                outcome => outcome,
            }
        });
    }

    /// What one of the brokers that are alive said last, and where.
    fn said(&self, of: usize) -> Option<(Broker, Arc<Connection>)> {
        let tables = self.routes.tables();
        let brokers = tables.live_brokers().count();
        let live = tables.live_brokers().nth(of.checked_rem(brokers)?)?;
        let broker = differences::said(live)?;
        let from = self.connections.iter().find(|from| from.id() == live.connection)?;
        Some((broker, Arc::clone(from)))
    }

    fn registered(
        &mut self,
        broker: &Broker,
        from: &Connection,
        now: u64,
        register: impl FnOnce(&RouteTable) -> Result<Registered, RegisterError>,
    ) {
        let before = self.routes.tables();
        let outcome = register(&self.routes);
        if !from.is_open() {
            assert_eq!(outcome.as_ref().err(), Some(&RegisterError::ConnectionClosed));
        } else {
            let told = self.model.register(broker, from.id().0, now);
            assert_eq!(outcome.as_ref().ok().map(Welcome::of), told);
        }
        assert!(outcome.is_ok() || Arc::ptr_eq(&before, &self.routes.tables()), "a refusal publishes nothing");
    }

    fn unregister(&mut self, departures: &[(usize, usize, i64, usize)]) {
        let before = self.model.min_ids();
        let mut gone = BTreeSet::new();
        let departures = departures.iter().map(|&(cluster, name, broker_id, address)| {
            let (broker_name, address) = (NAMES[name], ADDRESSES[address]);
            gone.extend(self.model.depart(broker_name, address));
            let cluster = CLUSTERS[cluster].into();
            Departure { cluster, broker_name: broker_name.into(), broker_id, address: address.into() }
        });
        let departures: Vec<_> = departures.collect();
        self.model.drop_entries_of_missing_groups();
        self.removed(&before, &self.routes.unregister_all(&departures), &gone, Removal::Unregistered);
    }

    fn disconnect(&mut self, at: usize) {
        let connection = Arc::clone(&self.connections[at]);
        let (open, before) = (connection.is_open(), self.model.min_ids());
        let removed = self.routes.disconnect(&connection);
        assert!(open || removed.is_empty());
        let id = connection.id().0;
        let gone = self.model.remove_where(|_, live| live.connection == id);
        self.removed(&before, &removed, &gone, Removal::Disconnected);
        if open {
            // Another takes its place among the open ones.
            let closed = self.connections.remove(at);
            self.connections.insert(self.connections.len() + 1 - OPEN, closed);
            self.connections.push(Arc::new(super::super::connection(self.connections.len() as u64)));
        }
    }

    /// Who went, and who is told: the rest of each group whose smallest id is another now, and nobody else.
    fn removed(&self, before: &BTreeMap<String, i64>, removed: &[Removed], gone: &BTreeSet<Gone>, reason: Removal) {
        let key = |one: &Removed| (one.cluster.to_string(), one.address.to_string());
        let of = |one: &Removed| (key(one), one.broker_name.to_string(), one.broker_id, one.connection.0);
        assert_eq!(&removed.iter().map(of).collect::<BTreeSet<_>>(), gone);
        assert_eq!(removed.len(), gone.len(), "each goes once");
        assert!(removed.iter().all(|one| one.reason == reason));

        let after = self.model.min_ids();
        let told = removed.iter().filter_map(|one| one.min_id_change.as_deref());
        let told: BTreeSet<&str> = told
            .inspect(|group| assert_eq!(ModelGroup::of(group), self.model.groups[&*group.broker_name]))
            .map(|group| &*group.broker_name)
            .collect();
        let changed = after.iter().filter(|(name, id)| before[*name] != **id).map(|(name, _)| name.as_str()).collect();
        assert_eq!(told, changed);
    }
}

fn asked<'a>(broker: &Broker, told: &Told, from: &'a Connection, now: u64) -> Asked<'a> {
    Asked { registration: broker.registration.clone(), told: told.clone(), from, now }
}

impl Change {
    fn applied_to(self, mut broker: Broker) -> Broker {
        let topics = &mut broker.table.topics;
        let renew = match self {
            Self::Nothing => false,
            Self::Version => true,
            Self::Perm { at, perm, version } => {
                if let Some(at) = at.checked_rem(topics.len()) {
                    topics[at].perm = perm;
                }
                version
            }
            Self::Fewer { at, version } => {
                if let Some(at) = at.checked_rem(topics.len()) {
                    topics.remove(at);
                }
                version
            }
            Self::More { topic: at, version } => {
                if topics.iter().all(|topic| *topic.name != *TOPICS[at]) {
                    topics.push(topic(TOPICS[at], 6));
                }
                version
            }
            Self::DeleteMissing => {
                broker.registration.delete_missing_topics ^= true;
                false
            }
            Self::Acting => {
                let acting = broker.registration.enable_acting_master == Some(true);
                broker.registration.enable_acting_master = Some(!acting);
                true
            }
        };
        broker.table.data_version.counter += i64::from(renew);
        broker
    }
}

/// What did not change keeps its `Arc`; what did has another version. A topic that is `renewed` may have a new version
/// though it is the same again: it went as missing, by its key, and came back, by its name.
fn check_versions(before: &Tables, after: &Tables, renewed: bool) {
    let (old, new) = (Model::of(before), Model::of(after));
    for name in TOPICS {
        let (Some(was), Some(is)) = (before.topic(name), after.topic(name)) else { continue };
        if old.topics.get(name) == new.topics.get(name) && old.mappings.get(name) == new.mappings.get(name) {
            assert!(Arc::ptr_eq(was, is) || renewed && is.version > was.version, "{name} did not change");
        } else {
            assert!(is.version > was.version, "{name} changed");
        }
        let (Some(was), Some(is)) = (before.route(name), after.route(name)) else { continue };
        let same = old.route(name) == new.route(name);
        assert!(same || is.version() > was.version(), "the route of {name} changed");
    }
    if before.routes_version() == after.routes_version() {
        assert!(TOPICS.iter().all(|name| before.route_version(name) == after.route_version(name)));
        let version = |tables: &Tables, name| tables.group(name).map(|group| group.version);
        assert!(NAMES.iter().all(|name| version(before, name) == version(after, name)));
    }
    if !old.topics.keys().eq(new.topics.keys()) {
        assert!(after.topic_names_version() > before.topic_names_version());
    }
}

proptest! {
    #[test]
    fn the_tables_do_what_the_model_does(steps in steps()) {
        let mut both = Both::new();
        for step in &steps {
            let before = both.routes.tables();
            let renewed = both.renews(step);
            both.step(step);

            let after = both.routes.tables();
            check(&after);
            assert_eq!(Model::of(&after), both.model, "after {step:?}");
            check_versions(&before, &after, renewed);
            assert_eq!(both.routes.sweep(), [], "a sweep has nothing to do");
            assert!(Arc::ptr_eq(&after, &both.routes.tables()));
        }
    }
}
