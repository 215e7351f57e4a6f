//! A cluster-test server that is not told which name servers to ask, and asks an address server over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use fingerpost::config::Config;

use crate::guests::log;
use crate::harness::{Client, Server};
use crate::requests::{Broker, route};

/// Answers every question over HTTP with what it was told last.
struct Responder {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    /// Who got no answer yet.
    silent: Arc<Mutex<Vec<TcpStream>>>,
    /// The first line of each question.
    questions: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
enum Answer {
    /// Status and body.
    Page(u16, String),
    /// The connection stays open, and nothing comes before [`Responder::breaks_its_silence`].
    Silence,
    /// These bytes, and the end.
    Bytes(&'static [u8]),
    /// No more questions.
    Stop,
}

impl Responder {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let answer = Arc::new(Mutex::new(answer));
        let silent = Arc::new(Mutex::new(Vec::new()));
        let (sender, questions) = mpsc::channel();
        let (told, waiting) = (Arc::clone(&answer), Arc::clone(&silent));
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let line = read_question(&stream);
                let answer = told.lock().expect("nobody panics with it").clone();
                // Whoever asked may be gone before the end of a long answer.
                let _ = match answer {
                    Answer::Page(status, body) => write_page(&mut stream, status, &body),
                    Answer::Bytes(bytes) => stream.write_all(bytes),
                    Answer::Silence => {
                        waiting.lock().expect("nobody panics with it").push(stream);
                        Ok(())
                    }
                    Answer::Stop => return,
                };
                // The test may have stopped counting.
                let _ = sender.send(line);
            }
        });
        Self { address, answer, silent, questions, thread: Some(thread) }
    }

    fn with_list(list: &str) -> Self {
        Self::start(Answer::Page(200, list.to_owned()))
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().expect("nobody panics with it") = answer;
    }

    /// Whoever was kept waiting is told this list.
    fn breaks_its_silence(&self, list: &str) {
        for mut stream in self.silent.lock().expect("nobody panics with it").drain(..) {
            write_page(&mut stream, 200, list).expect("somebody waits for it");
        }
    }

    fn questions(&self) -> Vec<String> {
        self.questions.try_iter().collect()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.answers(Answer::Stop);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_page(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Text\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The first line; the rest is read up to its end.
fn read_question(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    first
}

/// A server in cluster-test mode that asks `responder`.
fn asking(responder: &Responder, edit: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config, _| {
        config.cluster_test.enabled = true;
        config.cluster_test.address_server = responder.address.to_string();
        // Nothing here is about name servers that are slow, and a busy machine may be.
        config.cluster_test.timeout = Duration::from_secs(3600);
        edit(config);
    })
}

/// A product environment that knows one topic beside `U`, as long as its broker is connected.
struct Product {
    server: Server,
    _broker: Client,
}

impl Product {
    fn with(topic: &str) -> Self {
        let server = Server::start();
        let mut broker = server.client();
        Broker::new("p").topics(&[topic, "U"]).register(&mut broker);
        Self { server, _broker: broker }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn is_found(server: &Server, topic: &str) -> bool {
    server.client().ask(route(topic)).code == 0
}

/// Has the address server asked until the server that knows this topic is known: on a busy machine an answer may come
/// too late to count.
#[track_caller]
fn ask_until_found(server: &Server, topic: &str) {
    server.client().wait_until(|client| {
        server.ask_address_server();
        client.ask(route(topic)).code == 0
    });
}

#[test]
fn it_is_asked_as_javas_clients_ask_and_the_servers_that_it_names_are_asked_for_routes() {
    let product = Product::with("FAR");
    let responder = Responder::with_list(&format!("{};127.0.0.1:1\r\nand more", product.address()));

    let server = asking(&responder, |_| {});

    let asked = responder.questions.recv().expect("it is asked at the start");
    assert_eq!(asked, "GET /rocketmq/nsaddr-center?nofix=1 HTTP/1.1");
    // The answer is on its way, or used already.
    server.client().wait_until(|client| client.ask(route("FAR")).code == 0);
    assert!(!is_found(&server, "NOWHERE"));
}

#[test]
fn group_and_unit_are_the_operators() {
    let responder = Responder::with_list("127.0.0.1:1");
    let _server = asking(&responder, |config| {
        config.cluster_test.address_server_group = "mine".to_owned();
        config.cluster_test.product_env_name = "daily".to_owned();
    });

    let asked = responder.questions.recv().expect("it is asked at the start");

    assert_eq!(asked, "GET /rocketmq/mine-daily?nofix=1 HTTP/1.1");
}

#[test]
fn another_list_takes_the_place_of_the_one_before() {
    let (first, second) = (Product::with("FIRST"), Product::with("SECOND"));
    let responder = Responder::with_list(&first.address().to_string());
    let server = asking(&responder, |_| {});
    ask_until_found(&server, "FIRST");
    assert!(!is_found(&server, "SECOND"));

    responder.answers(Answer::Page(200, second.address().to_string()));
    ask_until_found(&server, "SECOND");

    assert!(!is_found(&server, "FIRST"));
}

#[test]
fn an_answer_that_is_late_does_not_take_the_place_of_a_later_one() {
    let (first, second) = (Product::with("FIRST"), Product::with("SECOND"));
    let responder = Responder::start(Answer::Silence);
    let server = asking(&responder, |_| {});
    responder.questions.recv().expect("it is asked at the start");

    responder.answers(Answer::Page(200, second.address().to_string()));
    std::thread::scope(|scope| {
        let again = scope.spawn(|| server.ask_address_server());
        // Nobody asks again before there is an answer. That nothing comes can only be seen by waiting for a while.
        assert!(responder.questions.recv_timeout(Duration::from_millis(100)).is_err());
        responder.breaks_its_silence(&first.address().to_string());
        again.join().expect("it asks");
    });

    assert!(is_found(&server, "SECOND") && !is_found(&server, "FIRST"));
}

#[test]
fn an_answer_that_is_no_list_keeps_the_last_one_and_is_told_once() {
    log();
    let (product, other) = (Product::with("FAR"), Product::with("FARTHER"));
    let responder = Responder::with_list(&product.address().to_string());
    let server = asking(&responder, |_| {});
    ask_until_found(&server, "FAR");
    let url = format!("http://{}/", responder.address);
    let warnings = || log().lines(&["WARN", &url, "1 that are known stay"]).len();

    let no_lists = [
        Answer::Page(404, product.address().to_string()),
        Answer::Page(500, String::new()),
        Answer::Page(302, String::new()),
        Answer::Page(200, String::new()),
        Answer::Page(200, " \r\n".to_owned()),
        Answer::Page(200, "<html>".to_owned()),
        Answer::Page(200, "a:1;b".to_owned()),
        Answer::Page(200, format!("{};", product.address()).repeat(10_000)),
        Answer::Bytes(b""),
        Answer::Bytes(b"\x00\x00\x00\x10 not http at all"),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n127.0.0.1:1"),
        Answer::Silence,
    ];
    for answer in no_lists {
        responder.answers(answer);
        server.ask_address_server();
        assert!(is_found(&server, "FAR"));
    }
    assert_eq!(warnings(), 1);

    responder.answers(Answer::Page(200, other.address().to_string()));
    ask_until_found(&server, "FARTHER");
    responder.answers(Answer::Page(404, String::new()));
    server.ask_address_server();
    assert_eq!(warnings(), 2, "it went well in between");
    assert!(is_found(&server, "FARTHER"));
}

#[test]
fn an_address_server_that_is_not_there_leaves_nobody_to_ask_and_keeps_nobody_waiting() {
    let nobody = TcpListener::bind(("127.0.0.1", 0)).and_then(|gone| gone.local_addr()).expect("a port was free");
    let server = Server::start_with(|config, _| {
        config.cluster_test.enabled = true;
        config.cluster_test.address_server = nobody.to_string();
    });
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);

    assert_eq!(client.ask(route("T")).code, 0);
    assert_eq!(client.ask(route("FAR")).code, 17);
}

#[test]
fn it_is_not_asked_when_servers_are_named_or_the_mode_is_off() {
    let product = Product::with("FAR");
    let responder = Responder::with_list("127.0.0.1:1");
    let named = product.address().to_string().parse().expect("host:port");
    let mut with_names = asking(&responder, |config| config.cluster_test.name_servers = vec![named]);
    let mut off = asking(&responder, |config| config.cluster_test.enabled = false);

    for server in [&with_names, &off] {
        server.ask_address_server();
    }
    assert!(is_found(&with_names, "FAR"));
    with_names.stop();
    off.stop();

    assert_eq!(responder.questions(), Vec::<String>::new());
}

#[test]
fn a_server_stops_although_its_address_server_is_silent() {
    let responder = Responder::start(Answer::Silence);
    let mut server = asking(&responder, |_| {});
    responder.questions.recv().expect("it is asked at the start");

    server.stop();
}
