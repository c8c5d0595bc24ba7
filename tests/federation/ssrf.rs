//! The way out as the settings make it: closed unless a test opens it, deaf to the environment. What lying names, endless
//! answers and bad certificates meet is tried beside the client itself, where names can be scripted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use made_open::base::config::{Config, Flags, load};
use made_open::net::Net;
use made_open::net::http::{Failure, Method, Peers, Reply, Request};

/// A peer that answers everybody, and what it has heard.
struct Peer {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Ok((mut wire, _)) = listener.accept() {
                let mut part = [0; 4096];
                let length = wire.read(&mut part).unwrap_or(0);
                all.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&part[..length]).into_owned());
                let _ = wire.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
                );
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(100));
        self.heard.lock().unwrap().clone()
    }
}

/// Settings from a file, as an operator writes them.
fn settings(lines: &str) -> anyhow::Result<Config> {
    let folder = std::env::temp_dir().join(format!("made-open-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("made-open.toml"), lines)?;
    let config = load(&Flags {
        data_dir: Some(folder.clone()),
        ..Flags::default()
    });
    let _ = std::fs::remove_dir_all(&folder);
    config
}

fn peers(lines: &str) -> Peers {
    Net::new(&settings(lines).unwrap()).unwrap().peers
}

async fn get(peers: &Peers, url: &str) -> Result<Reply, Failure> {
    let url = url::Url::parse(url).unwrap();
    let request = Request {
        method: Method::Get,
        url: &url,
        headers: Vec::new(),
        body: None,
        max_bytes: 1024,
        deadline: Duration::from_secs(10),
    };
    peers.send(request).await
}

async fn reason(peers: &Peers, url: &str) -> &'static str {
    get(peers, url).await.unwrap_err().reason()
}

#[tokio::test]
async fn s_63_a_hub_as_it_comes_is_closed() {
    let peer = Peer::new();
    let port = peer.port;
    // Names for tests count for nothing without their switch.
    let names = "test_resolve = \"a.hub.test=127.0.0.1\"";
    let peers = peers(names);
    for (url, expected) in [
        (format!("http://a.hub.test:{port}/"), "bad_scheme"),
        (format!("https://a.hub.test:{port}/"), "bad_port"),
        (format!("https://127.0.0.1:{port}/"), "ip_literal"),
        (format!("https://[::1]:{port}/"), "ip_literal"),
        (format!("https://localhost:{port}/"), "bad_host"),
        ("https://2130706433/".to_owned(), "ip_literal"),
        ("https://me@peer.example/".to_owned(), "userinfo"),
    ] {
        assert_eq!(reason(&peers, &url).await, expected, "{url}");
    }
    assert_ne!(
        reason(&peers, "https://a.hub.test/").await,
        "blocked_address"
    );
    assert_eq!(peer.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn the_switch_for_tests_opens_this_machine_and_nothing_else() {
    let peer = Peer::new();
    let port = peer.port;
    let peers = peers(
        "allow_private_peers = true\npublic_url = \"https://hub.example/\"\n\
         test_resolve = \"A.hub.test=127.0.0.1, b.hub.test=10.0.0.1,c.hub.test=::ffff:127.0.0.1\"",
    );
    for host in ["a.hub.test", "localhost", "127.0.0.1"] {
        let reply = get(&peers, &format!("http://{host}:{port}/x"))
            .await
            .unwrap();
        assert_eq!(reply.body, b"ok", "{host}");
    }
    for host in ["b.hub.test", "c.hub.test"] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(reason(&peers, &url).await, "blocked_address", "{host}");
    }
    assert_eq!(reason(&peers, "http://10.0.0.1/").await, "ip_literal");
    assert_eq!(
        reason(&peers, "http://169.254.169.254/").await,
        "ip_literal"
    );

    let heard = peer.heard();
    let agent = format!(
        "user-agent: made-open/{} (+https://hub.example)\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|head| head.contains(&agent)), "{heard:?}");
}

#[test]
fn names_for_tests_that_cannot_be_read_stop_the_start() {
    for wrong in [
        "a.hub.test",
        "a.hub.test=",
        "a.hub.test=localhost",
        "a=1.2.3",
    ] {
        let told = settings(&format!("test_resolve = \"{wrong}\"")).unwrap_err();
        assert!(told.to_string().contains("a.hub.test=127.0.0.1"), "{told}");
    }
}

/// Proxies in the environment would see every request, and would look names up for us.
#[test]
fn s_67_no_proxy_of_the_environment_is_asked() {
    let (proxy, peer) = (Peer::new(), Peer::new());
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([
        "--ignored",
        "--exact",
        "ssrf::one_request_of_a_process_with_proxies",
    ]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        again.env(name, &address);
    }
    again.env(
        "MADE_OPEN_TEST_PEER",
        format!("http://localhost:{}/", peer.port),
    );
    let done = again.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stdout)
    );
    assert_eq!((proxy.heard().len(), peer.heard().len()), (0, 1));
}

#[tokio::test]
#[ignore = "run by the test above, with proxies in its environment"]
async fn one_request_of_a_process_with_proxies() {
    let peer = std::env::var("MADE_OPEN_TEST_PEER").unwrap();
    let peers = peers("allow_private_peers = true");
    assert_eq!(get(&peers, &peer).await.unwrap().body, b"ok");
}
