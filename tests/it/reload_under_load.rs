//! Reloads again and again while requests come: none is lost, none is answered twice, and no answer is made by two
//! generations.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fingerpost::remoting::Command;
use fingerpost::server::Reloaded;

use crate::guests::{component, drop_in_bytes, register, with_text};
use crate::harness::{Ask, Client, Server, plugins_section};

/// What `stamp` answers in the lane, and on a worker when it has shown that it is fast.
const IN_THE_LANE: i32 = 9401;
const ON_A_WORKER: i32 = 9402;
const ROUTE: i32 = 105;

const ROUNDS: u64 = 25;
const CLIENTS: usize = 4;
/// Requests that are under way on one connection.
const DEPTH: usize = 24;

/// Processor, policy and setting of one round, each with its number.
fn write(home: &Path, round: u64) {
    let stamped = |guest: &str, kind: &str| {
        with_text(component(guest), &format!("{kind}-0000000"), &format!("{kind}-{round:07}"))
    };
    drop_in_bytes(home, "stamp.wasm", &stamped("stamp", "processor"));
    drop_in_bytes(home, "stamp-policy.wasm", &stamped("stamp-policy", "policy"));
    std::fs::write(home.join("namesrv.toml"), configuration(home, round)).expect("the home is writable");
}

fn configuration(home: &Path, round: u64) -> String {
    plugins_section(home)
        + &format!("[plugins.files.\"stamp.wasm\"]\nsettings = {{ stamp = \"setting-{round:07}\" }}\n")
        + "[policies]\nchain = [\"stamp-policy\"]\n"
}

fn request(code: i32) -> Ask {
    Ask::new(code).field("topic", "T").field("stamp", "")
}

/// The round that an answer was made in, by each that had a part in it.
fn stamps(reply: &Command) -> Vec<u64> {
    assert_eq!(reply.code, 0, "{reply:?}");
    let body = std::str::from_utf8(&reply.body).expect("a route is text");
    let fields = ["processor", "setting"].map(|name| reply.field(name).map(ToString::to_string));
    let texts = fields.into_iter().flatten().chain([body.to_owned()]);
    let number = |text: String| {
        let kind = ["processor-", "setting-", "policy-"].into_iter().find(|kind| text.contains(kind));
        let at = text.find(kind.unwrap_or_else(|| panic!("no stamp in {text}"))).expect("it is there");
        let digits: String = text[at..].chars().skip_while(|c| !c.is_ascii_digit()).take(7).collect();
        digits.parse().expect("a stamp is a number")
    };
    texts.map(number).collect()
}

/// Asks until the last round is over; says how often, and how many rounds it saw.
fn ask_on(client: &mut Client, over: &AtomicU64) -> (usize, usize) {
    let (mut asked, mut rounds, mut last) = (0, 0, None);
    while over.load(Ordering::SeqCst) < ROUNDS {
        // Whatever is over when a request is sent counts for it.
        let at_least = over.load(Ordering::SeqCst);
        let codes = [IN_THE_LANE, ON_A_WORKER, ROUTE, ROUTE, ON_A_WORKER, IN_THE_LANE];
        let opaques: Vec<_> = (0..DEPTH).map(|at| client.send(&request(codes[at % codes.len()]))).collect();
        // In the order in which they were sent: no connection goes back to an earlier generation.
        for reply in client.receive_all(&opaques) {
            let stamps = stamps(&reply);
            let first = stamps[0];
            assert!(stamps.iter().all(|stamp| *stamp == first), "mixed: {stamps:?}");
            assert!(first >= at_least && last.is_none_or(|last| first >= last), "{first}, {at_least}, {last:?}");
            rounds += usize::from(last.replace(first) != Some(first));
        }
        asked += DEPTH;
    }
    (asked, rounds)
}

#[test]
fn reloads_under_load_lose_no_request_answer_none_twice_and_mix_no_answer() {
    let first = |home: &Path| {
        write(home, 0);
        configuration(home, 0)
    };
    let server = Server::start_following(first, |config| {
        config.net.workers = 2;
        config.net.lane_threads = 3;
    });
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let over = AtomicU64::new(0);

    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.client();
                    let seen = ask_on(&mut client, &over);
                    // Nothing else comes: the next answer is that to the next request.
                    assert_eq!(stamps(&client.ask(request(ROUTE))), [ROUNDS]);
                    seen
                })
            })
            .collect();
        for round in 1..=ROUNDS {
            write(server.home(), round);
            assert_eq!(server.reload(), Reloaded::Generation(round + 1));
            over.store(round, Ordering::SeqCst);
        }
        for client in clients {
            let (asked, rounds) = client.join().expect("it saw nothing wrong");
            println!("{asked} requests, answered by {rounds} generations");
            assert!(asked > DEPTH && rounds > 2, "too few to mean anything: {asked} requests, {rounds} generations");
        }
    });

    let mut client = server.client();
    client.wait_until(|_| server.running().plugin_generation() == ROUNDS + 1);
    client.wait_until(|_| server.running().plugin_generations_draining() == 0);
    assert!(server.memo().hits > 0, "what was remembered had its part in it: {:?}", server.memo());
}
