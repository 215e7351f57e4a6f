//! Writes of the KV store by 16 clients, beside 16 writers that do nothing but bring a file of this size to the disk.

use std::fs;

use super::{Bench, PLAIN, disk_floor, turns};
use crate::brokers::Connection;
use crate::load::requests::Puts;
use crate::load::{self, CPU, GENERATOR, P50, P99, RATE};
use crate::report::{Bound, Mark, Part, Report, Section};
use crate::server::{Canned, Cores, Kind, Server};

const KEYS: usize = 100;
const WRITERS: usize = PLAIN.connections;

const CASE: &str = "put, 100 keys";
const FLOOR: &str = "floor";

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = format!("KV puts, {PLAIN}: each changes a value of one of 100 keys");
    let mut section = Section::new("kv", title, &[RATE, CPU, P50, P99, GENERATOR]);
    let mut servers = bench.yard.start_all(section.name, Cores::Server, Canned::Nothing);
    servers.retain(Server::knows_routes);
    let mut puts: Vec<_> = servers.iter().map(|_| Puts::new(WRITERS, KEYS)).collect();
    for (server, puts) in servers.iter().zip(&mut puts) {
        load::measure(server, PLAIN, puts, bench.plan.ramp, bench.plan.warm_up / 2);
    }
    let own = servers.iter().find(|server| server.kind == Kind::Fingerpost);
    let size = own.and_then(|own| fs::metadata(own.home.join("kvConfig.json")).ok()).map_or(0, |file| file.len());
    section.notes.push(format!(
        "The floor is {WRITERS} threads in a process of its own on the core of the servers, without sockets: each \
         waits until a file of {size} bytes with its change is on the disk. One more thread writes for all that wait: \
         temporary file, fsync, rename, fsync of the directory. Java answers without an fsync."
    ));
    for round in 0..bench.plan.rounds {
        // The floor has its turn among the servers.
        for at in turns(round, servers.len() + 1) {
            match servers.get(at) {
                Some(server) => {
                    let mut run = load::measure(server, PLAIN, &mut puts[at], bench.plan.ramp, bench.plan.run);
                    puts[at].assert_stored(&mut Connection::open(server.address));
                    section.add(CASE, server.name(), round, run.values());
                }
                None => {
                    let directory = bench.yard.directory("kv/floor");
                    let values = disk_floor::measure(&directory, size, WRITERS, bench.plan.run);
                    section.add(CASE, FLOOR, round, values);
                }
            }
        }
    }
    let found = section.records.ratios(CASE, ("fingerpost", FLOOR), RATE);
    report.find(Mark::Kv, Part::new(found, Bound::AtLeast(0.8), 2, "x the floor's rate"));
    report.add(section);
}
