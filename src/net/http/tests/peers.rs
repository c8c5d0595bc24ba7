//! Peers that do as a script says, and name servers that do.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::net::http::resolve::{LookingUp, Names};

/// What a peer does with every connection after it has read the head of a request.
#[derive(Clone)]
pub enum Script {
    /// Say this and hang up.
    Say(Vec<u8>),
    /// Say this to every request, and keep the connection.
    Keep(Vec<u8>),
    /// Say this, then nothing, without hanging up.
    Stall(Vec<u8>),
    /// Say this, then the other thing again and again, a pause between.
    Repeat(Vec<u8>, Vec<u8>, Duration),
    /// Don't even read.
    Deaf,
}

pub struct Peer {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    said: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub async fn new(script: Script) -> Self {
        Self::on("127.0.0.1:0", script).await.unwrap()
    }

    pub async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        Self::new(Script::Say(answer.into())).await
    }

    pub async fn on(bind: &str, script: Script) -> std::io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let peer = Self {
            address: listener.local_addr()?,
            accepted: Arc::default(),
            said: Arc::default(),
            heads: Arc::default(),
        };
        let (accepted, said) = (Arc::clone(&peer.accepted), Arc::clone(&peer.said));
        let heads = Arc::clone(&peer.heads);
        tokio::spawn(async move {
            while let Ok((wire, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (said, heads) = (Arc::clone(&said), Arc::clone(&heads));
                tokio::spawn(follow(wire, script.clone(), said, heads));
            }
        });
        Ok(peer)
    }

    /// How many connections there have been.
    pub async fn accepted(&self) -> usize {
        // What is in the queue of the kernel shows a moment later.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes found a reader or a buffer.
    pub fn said(&self) -> usize {
        self.said.load(Ordering::SeqCst)
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn follow(
    mut wire: TcpStream,
    script: Script,
    said: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let say = async |wire: &mut TcpStream, what: &[u8]| {
        let done = wire.write_all(what).await;
        said.fetch_add(what.len(), Ordering::SeqCst);
        done
    };
    if let Script::Deaf = script {
        std::future::pending::<()>().await;
    }
    while let Some(head) = head(&mut wire).await {
        heads.lock().unwrap().push(head);
        match &script {
            Script::Say(what) => {
                let _ = say(&mut wire, what).await;
                let _ = wire.shutdown().await;
                return;
            }
            Script::Keep(what) => {
                let _ = say(&mut wire, what).await;
            }
            Script::Stall(what) => {
                let _ = say(&mut wire, what).await;
                std::future::pending::<()>().await;
            }
            Script::Repeat(what, again, pause) => {
                let mut going = say(&mut wire, what).await;
                while going.is_ok() {
                    if !pause.is_zero() {
                        tokio::time::sleep(*pause).await;
                    }
                    going = say(&mut wire, again).await;
                }
                return;
            }
            Script::Deaf => return,
        }
    }
}

/// The next head, with whatever came in the same breath.
async fn head(wire: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut part = [0; 4096];
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        let length = wire.read(&mut part).await.ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&part[..length]);
    }
    Some(String::from_utf8(read).unwrap())
}

/// Names with the answers of a test, one after the other; the last one stays.
pub struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    pub fn new<const N: usize>(answers: [&[IpAddr]; N]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect()),
            asked: AtomicUsize::new(0),
        })
    }

    pub fn always(address: IpAddr) -> Arc<Self> {
        Self::new([&[address]])
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Names for Scripted {
    fn look_up<'a>(&'a self, _: &'a str) -> LookingUp<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// Names that nobody ever answers for.
pub struct Silent;

impl Names for Silent {
    fn look_up<'a>(&'a self, _: &'a str) -> LookingUp<'a> {
        Box::pin(std::future::pending())
    }
}

/// One record of a name server's answer.
pub enum Record {
    Address(IpAddr),
    Alias(&'static str),
}

/// A name server that knows some names, and of all others that they do not exist. The first letters `broken` are an
/// error of its own.
pub async fn name_server(known: Vec<(&'static str, Vec<Record>)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let answer = answer(&question[..length], &known);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

/// RFC 1035, as much of it as an answer needs.
fn answer(question: &[u8], known: &[(&str, Vec<Record>)]) -> Vec<u8> {
    let mut name = String::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        name.push_str(&String::from_utf8_lossy(&question[at + 1..=at + length]));
        name.push('.');
        at += length + 1;
    }
    let wanted = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let end = at + 5;

    let found = known.iter().find(|(known, _)| *known == name);
    let mut records = Vec::new();
    let mut count = 0u16;
    for record in found.map(|(_, records)| records).into_iter().flatten() {
        let (kind, data): (u16, Vec<u8>) = match record {
            Record::Address(IpAddr::V4(address)) => (1, address.octets().to_vec()),
            Record::Address(IpAddr::V6(address)) => (28, address.octets().to_vec()),
            Record::Alias(target) => (5, labels(target)),
        };
        if kind == wanted || kind == 5 {
            count += 1;
            records.extend([0xc0, 12]);
            records.extend(kind.to_be_bytes());
            records.extend([0, 1, 0, 0, 0, 60]);
            records.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            records.extend(data);
        }
    }
    let code = match found {
        Some(_) => 0,
        None if name.starts_with("broken") => 2,
        None => 3,
    };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(&question[12..end]);
    answer.extend(records);
    answer
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes
}
