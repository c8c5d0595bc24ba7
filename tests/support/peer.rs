//! Peers by script: any number of host names on 127.0.0.1, all served by one thread of the test. A peer serves actors with
//! keys and whatever else it is given, answers its inboxes by a plan, keeps every request, and signs on its own account:
//! nothing here uses the hub's code for signatures or proofs, so both would have to be wrong in the same way.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

/// What activities are served and sent as.
pub const ACTIVITY: &str = "application/activity+json";

/// The public.
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// How long a test waits for what should come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One answer of a plan.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    after: Duration,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Text(String),
    /// So many bytes in chunks, without saying how many.
    Huge(usize),
    /// A byte, a pause, and so on for ever.
    Drip(Duration),
    /// A promise of more, and then the connection is cut.
    Cut,
    /// No answer at all until the peers are gone.
    Never,
}

impl Answer {
    /// A status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            after: Duration::ZERO,
            body: Body::Text(String::new()),
        }
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Only after a while.
    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }

    /// With a body.
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Body::Text(body.into());
        self
    }

    /// Somewhere else.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::status(302).header("Location", to)
    }

    /// With far too much in it.
    pub fn huge(mut self, bytes: usize) -> Self {
        self.body = Body::Huge(bytes);
        self
    }

    /// One byte per pause, without end.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.body = Body::Drip(pause);
        self
    }

    /// Cut off in the middle of its body.
    pub fn cut(mut self) -> Self {
        self.body = Body::Cut;
        self
    }

    /// Taken, and never answered.
    pub fn never() -> Self {
        let mut answer = Self::status(200);
        answer.body = Body::Never;
        answer
    }

    async fn give(self) -> HttpResponse {
        tokio::time::sleep(self.after).await;
        let status = StatusCode::from_u16(self.status).unwrap();
        let mut answer = HttpResponseBuilder::new(status);
        for (name, value) in &self.headers {
            answer.insert_header((*name, value.as_str()));
        }
        match self.body {
            Body::Text(text) => answer.body(text),
            Body::Huge(bytes) => {
                let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
                let chunks = bytes / chunk.len() + 1;
                let chunks = stream::iter(0..chunks).map(move |_| Ok::<_, Broken>(chunk.clone()));
                answer.streaming(chunks)
            }
            Body::Drip(pause) => answer.streaming(stream::unfold((), move |()| async move {
                tokio::time::sleep(pause).await;
                Some((Ok::<_, Broken>(Bytes::from_static(b" ")), ()))
            })),
            Body::Cut => {
                let parts = [Ok(Bytes::from_static(b"{\"type\":")), Err(Broken)];
                // The first part has to be on its way before the connection goes.
                answer.streaming(stream::iter(parts).then(|part| async move {
                    if part.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    part
                }))
            }
            Body::Never => {
                std::future::pending::<()>().await;
                unreachable!()
            }
        }
    }
}

/// A connection breaks here.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off")
    }
}

impl std::error::Error for Broken {}

/// A request as a peer got it.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub host: String,
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// SHA-256 of the body, as Base64.
    pub digest: String,
    /// The body, if it is JSON; else null.
    pub json: Value,
    /// What it was answered with.
    pub answered: u16,
}

impl Received {
    /// The only value of a header; none if it is missing. Twice is never right.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        value
    }

    /// The id of the activity.
    pub fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_default()
    }

    /// The type of the activity.
    pub fn kind(&self) -> &str {
        self.json["type"].as_str().unwrap_or_default()
    }

    /// Whether it was taken.
    pub fn taken(&self) -> bool {
        (200..300).contains(&self.answered)
    }

    /// By which scheme it is signed.
    pub fn scheme(&self) -> Option<Scheme> {
        self.header("signature")?;
        Some(match self.header("signature-input") {
            Some(_) => Scheme::Rfc9421,
            None => Scheme::Cavage,
        })
    }

    /// Whether its signature is good under a public key in PEM, covers what it must, and names the key.
    pub fn signed_by(&self, key_id: &str, pem: &str) -> Result<(), String> {
        let signature = self.header("signature").ok_or("not signed")?;
        let (base, value, key) = match self.header("signature-input") {
            Some(input) => self.base_rfc9421(input, signature)?,
            None => self.base_cavage(signature)?,
        };
        if key != key_id {
            return Err(format!("the key is {key}"));
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki(pem))
            .verify(base.as_bytes(), &value)
            .map_err(|_| format!("the signature does not fit:\n{base}"))
    }

    fn base_cavage(&self, signature: &str) -> Result<(String, Vec<u8>, String), String> {
        let part = |name: &str| {
            let start = signature.find(&format!("{name}=\""))? + name.len() + 2;
            signature[start..].split('"').next()
        };
        let covered = part("headers").ok_or("no headers")?;
        let mut must = vec!["(request-target)", "host", "date"];
        if self.method == "POST" {
            must.push("digest");
            let expected = format!("SHA-256={}", self.digest);
            if self.header("digest") != Some(&expected) {
                return Err(format!("digest {:?}", self.header("digest")));
            }
        }
        if let Some(missing) = must.iter().find(|m| !covered.split(' ').any(|c| c == **m)) {
            return Err(format!("{missing} is not covered"));
        }
        let mut lines = Vec::new();
        for name in covered.split(' ') {
            let value = match name {
                "(request-target)" => format!("{} {}", self.method.to_lowercase(), self.path),
                name => self.header(name).ok_or(format!("no {name}"))?.to_owned(),
            };
            lines.push(format!("{name}: {value}"));
        }
        let value = BASE64.decode(part("signature").ok_or("no signature")?);
        let value = value.map_err(|e| e.to_string())?;
        Ok((
            lines.join("\n"),
            value,
            part("keyId").ok_or("no keyId")?.to_owned(),
        ))
    }

    fn base_rfc9421(
        &self,
        input: &str,
        signature: &str,
    ) -> Result<(String, Vec<u8>, String), String> {
        let (label, stated) = input.split_once('=').ok_or("no label")?;
        let components = stated
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .ok_or("no components")?
            .0;
        let covered: Vec<&str> = components.split(' ').map(|c| c.trim_matches('"')).collect();
        let mut must = vec!["@method", "@target-uri"];
        if self.method == "POST" {
            must.push("content-digest");
            let expected = format!("sha-256=:{}:", self.digest);
            if self.header("content-digest") != Some(&expected) {
                return Err(format!("digest {:?}", self.header("content-digest")));
            }
        }
        if let Some(missing) = must.iter().find(|m| !covered.contains(m)) {
            return Err(format!("{missing} is not covered"));
        }
        let mut lines = Vec::new();
        for name in covered {
            let value = match name {
                "@method" => self.method.clone(),
                "@target-uri" => format!("http://{}{}", self.host, self.path),
                "@authority" => self.host.clone(),
                "@path" => self.path.split('?').next().unwrap().to_owned(),
                name => self.header(name).ok_or(format!("no {name}"))?.to_owned(),
            };
            lines.push(format!("\"{name}\": {value}"));
        }
        lines.push(format!("\"@signature-params\": {stated}"));
        let value = signature
            .strip_prefix(&format!("{label}=:"))
            .and_then(|rest| rest.strip_suffix(':'))
            .ok_or("no signature of that label")?;
        let key = stated
            .split(";keyid=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .ok_or("no keyid")?;
        if !stated.contains(";created=") {
            return Err("no created".to_owned());
        }
        let value = BASE64.decode(value).map_err(|e| e.to_string())?;
        Ok((lines.join("\n"), value, key.to_owned()))
    }
}

/// Whether a document's proof (FEP-8b32) was made by a key given as Multikey.
pub fn proved_by(document: &Value, multikey: &str) -> bool {
    let Some(mut proof) = document["proof"].as_object().cloned() else {
        return false;
    };
    let Some(Value::String(value)) = proof.remove("proofValue") else {
        return false;
    };
    let mut bare = document.as_object().unwrap().clone();
    bare.remove("proof");
    let mut message = sha256(&serde_jcs::to_vec(&proof).unwrap());
    message.extend(sha256(&serde_jcs::to_vec(&bare).unwrap()));
    let unbase = |text: &str| {
        let bytes = text.strip_prefix('z').map(bs58::decode);
        bytes.and_then(|b| b.into_vec().ok()).unwrap_or_default()
    };
    let key = unbase(multikey);
    let key = key.strip_prefix(&[0xed, 0x01]).unwrap_or_default();
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&message, &unbase(&value))
        .is_ok()
}

/// What vouches for what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Cavage,
    Rfc9421,
    /// Nothing but, perhaps, a proof in the body.
    Nothing,
}

#[derive(Default)]
struct Host {
    documents: HashMap<String, Answer>,
    plans: HashMap<String, VecDeque<Answer>>,
    received: Vec<Received>,
}

type Hosts = Arc<Mutex<HashMap<String, Host>>>;

fn locked(hosts: &Hosts) -> MutexGuard<'_, HashMap<String, Host>> {
    hosts
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All peers of a test.
pub struct Peers {
    pub port: u16,
    names: Vec<String>,
    hosts: Hosts,
    server: actix_web::dev::ServerHandle,
}

impl Peers {
    /// Peers of these names, such as `p1.peer.test`, all on one port.
    pub fn start(names: &[&str]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), names)
    }

    /// As many peers as that: `p1.peer.test`, `p2.peer.test` and so on.
    pub fn many(count: usize) -> Self {
        let names: Vec<String> = (1..=count).map(|n| format!("p{n}.peer.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::start(&names)
    }

    fn on(listener: TcpListener, names: &[&str]) -> Self {
        let port = listener.local_addr().unwrap().port();
        let hosts = Hosts::default();
        let shared = Data::new(hosts.clone());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(shared.clone())
                        .app_data(PayloadConfig::new(8 << 20))
                        .default_service(web::to(answer))
                })
                .workers(1)
                .backlog(4096)
                .shutdown_timeout(0)
                // On a busy machine a request may come slowly; that is no reason to refuse it.
                .client_request_timeout(Duration::from_secs(60))
                .disable_signals()
                .listen(listener)
                .unwrap()
                .run();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self {
            port,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            hosts,
            server: told.recv().unwrap(),
        }
    }

    /// The names for `MADE_OPEN_TEST_RESOLVE`.
    pub fn resolve(&self) -> String {
        let names: Vec<String> = self
            .names
            .iter()
            .map(|n| format!("{n}=127.0.0.1"))
            .collect();
        names.join(",")
    }

    /// One of them.
    pub fn peer(&self, name: &str) -> Peer {
        assert!(self.names.iter().any(|n| n == name), "{name} is not here");
        Peer {
            host: format!("{name}:{}", self.port),
            hosts: self.hosts.clone(),
        }
    }

    /// All of them, in the order of their names given.
    pub fn all(&self) -> Vec<Peer> {
        self.names.iter().map(|name| self.peer(name)).collect()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn answer(request: HttpRequest, mut payload: Payload, hosts: Data<Hosts>) -> HttpResponse {
    let mut body = Vec::new();
    while let Some(Ok(part)) = payload.next().await {
        body.extend_from_slice(&part);
    }
    let host = request.connection_info().host().to_owned();
    let path = request.uri().path().to_owned();
    let full = request
        .uri()
        .path_and_query()
        .map_or(path.clone(), ToString::to_string);
    let (method, is_post) = (
        request.method().to_string(),
        request.method() == actix_web::http::Method::POST,
    );

    let answer = {
        let mut hosts = locked(&hosts);
        let here = hosts.entry(host.clone()).or_default();
        let answer = match here.plans.get_mut(&path) {
            // The last answer of a plan stays.
            Some(plan) if plan.len() > 1 => plan.pop_front().unwrap(),
            Some(plan) => plan.front().cloned().unwrap(),
            None if is_post => match here.plans.get_mut("") {
                Some(plan) if plan.len() > 1 => plan.pop_front().unwrap(),
                Some(plan) => plan.front().cloned().unwrap(),
                None => Answer::status(202),
            },
            None => here
                .documents
                .get(&full)
                .or_else(|| here.documents.get(&path))
                .cloned()
                .unwrap_or(Answer::status(404)),
        };
        here.received.push(Received {
            at: Instant::now(),
            host,
            method,
            path: full,
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            digest: BASE64.encode(sha256(&body)),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            body,
            answered: answer.status,
        });
        answer
    };
    answer.give().await
}

/// One peer: a host name with what lies there.
#[derive(Clone)]
pub struct Peer {
    /// With its port.
    pub host: String,
    hosts: Hosts,
}

impl Peer {
    /// Where it is.
    pub fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Put a document at a path.
    pub fn serve(&self, path: &str, document: &Value) -> String {
        let answer = Answer::status(200)
            .header("Content-Type", ACTIVITY)
            .text(document.to_string());
        self.serve_as(path, answer)
    }

    /// Put any answer at a path; a path may have a query.
    pub fn serve_as(&self, path: &str, answer: Answer) -> String {
        let mut hosts = locked(&self.hosts);
        let here = hosts.entry(self.host.clone()).or_default();
        here.documents.insert(path.to_owned(), answer);
        format!("{}{path}", self.origin())
    }

    /// How everything that is posted here is answered: one after the other, and the last one from then on.
    pub fn plan(&self, answers: impl Into<VecDeque<Answer>>) {
        self.plan_at("", answers);
    }

    /// How one path is answered, whatever the method.
    pub fn plan_at(&self, path: &str, answers: impl Into<VecDeque<Answer>>) {
        let answers = answers.into();
        assert!(!answers.is_empty());
        let mut hosts = locked(&self.hosts);
        let here = hosts.entry(self.host.clone()).or_default();
        here.plans.insert(path.to_owned(), answers);
    }

    /// Everything it got so far.
    pub fn received(&self) -> Vec<Received> {
        let hosts = locked(&self.hosts);
        hosts
            .get(&self.host)
            .map(|here| here.received.clone())
            .unwrap_or_default()
    }

    /// What it got by POST.
    pub fn posts(&self) -> Vec<Received> {
        let mut posts = self.received();
        posts.retain(|it| it.method == "POST");
        posts
    }

    /// What it took, the activities of one type.
    pub fn taken(&self, kind: &str) -> Vec<Received> {
        let mut posts = self.posts();
        posts.retain(|it| it.taken() && it.kind() == kind);
        posts
    }

    /// Wait until it took so many activities of a type; all of them.
    pub async fn wait(&self, kind: &str, count: usize) -> Vec<Received> {
        let start = Instant::now();
        loop {
            let found = self.taken(kind);
            if found.len() >= count {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} of {count} {kind} at {}; there came {:?}",
                found.len(),
                self.host,
                self.received()
                    .iter()
                    .map(|it| (&it.method, &it.path, it.kind(), it.answered))
                    .collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Forget what it got.
    pub fn forget(&self) {
        if let Some(here) = locked(&self.hosts).get_mut(&self.host) {
            here.received.clear();
        }
    }

    /// Somebody with fresh keys, and with a shared inbox at `/inbox`.
    pub fn person(&self, name: &str) -> Actor {
        self.actor("Person", name, Keys::fresh(), json!({}))
    }

    /// Somebody of any type, with more in the document; null takes something out.
    pub fn actor(&self, kind: &str, name: &str, keys: Arc<Keys>, more: Value) -> Actor {
        let id = match more["id"].as_str() {
            Some(id) => id.to_owned(),
            None => format!("{}/users/{name}", self.origin()),
        };
        let mut document = json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1", "https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": id,
            "type": kind,
            "preferredUsername": name,
            "name": format!("{name} of {}", self.host),
            "inbox": format!("{id}/inbox"),
            "outbox": format!("{id}/outbox"),
            "followers": format!("{id}/followers"),
            "following": format!("{id}/following"),
            "endpoints": { "sharedInbox": format!("{}/inbox", self.origin()) },
            "publicKey": { "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": keys.pem() },
            "assertionMethod": [{ "id": format!("{id}#ed25519-key"), "type": "Multikey", "controller": id, "publicKeyMultibase": keys.multikey() }],
        });
        for (name, value) in more.as_object().unwrap() {
            if value.is_null() {
                document.as_object_mut().unwrap().remove(name);
            } else {
                document[name] = value.clone();
            }
        }
        self.serve(&format!("/users/{name}"), &document);
        let user = document["preferredUsername"].as_str().unwrap_or(name);
        let found = json!({
            "subject": format!("acct:{user}@{}", self.host),
            "aliases": [id],
            "links": [{ "rel": "self", "type": ACTIVITY, "href": id }],
        });
        for resource in [format!("acct:{user}@{}", self.host), id.clone()] {
            let resource: String =
                url::form_urlencoded::byte_serialize(resource.as_bytes()).collect();
            self.found_by(&resource, &found);
            // The same question asked with fewer escapes.
            let plain = resource
                .replace("%3A", ":")
                .replace("%40", "@")
                .replace("%2F", "/");
            self.found_by(&plain, &found);
        }
        Actor {
            peer: self.clone(),
            name: name.to_owned(),
            key_id: format!("{id}#main-key"),
            id,
            keys,
            document,
        }
    }

    fn found_by(&self, resource: &str, found: &Value) {
        let answer = Answer::status(200)
            .header("Content-Type", "application/jrd+json")
            .text(found.to_string());
        self.serve_as(
            &format!("/.well-known/webfinger?resource={resource}"),
            answer,
        );
    }
}

/// The keys of somebody.
pub struct Keys {
    rsa: RsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    /// New ones.
    pub fn fresh() -> Arc<Self> {
        Arc::new(Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        })
    }

    /// The public RSA key.
    pub fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().unwrap();
        let text = BASE64.encode(der.as_ref());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }

    /// The public Ed25519 key.
    pub fn multikey(&self) -> String {
        let mut bytes = vec![0xed, 0x01];
        bytes.extend_from_slice(self.ed25519.public_key().as_ref());
        format!("z{}", bs58::encode(bytes).into_string())
    }

    /// An RSA signature as Base64.
    pub fn sign(&self, message: &str) -> String {
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
        BASE64.encode(signature)
    }
}

/// Somebody at a peer.
#[derive(Clone)]
pub struct Actor {
    pub peer: Peer,
    pub name: String,
    pub id: String,
    pub key_id: String,
    pub keys: Arc<Keys>,
    pub document: Value,
}

impl Actor {
    /// An activity of this actor with a fresh id.
    pub fn activity(&self, kind: &str, more: Value) -> Value {
        let mut activity = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{}/activities/{}", self.peer.origin(), uuid::Uuid::now_v7()),
            "type": kind,
            "actor": self.id,
        });
        let activity_mut = activity.as_object_mut().unwrap();
        activity_mut.extend(more.as_object().unwrap().clone());
        activity
    }

    /// A note that lies at its id as well, unless nobody but those it is addressed to may read it.
    pub fn note(&self, content: &str, to: &[&str], more: Value) -> Value {
        let path = format!("/notes/{}", uuid::Uuid::now_v7());
        let mut note = json!({
            "id": format!("{}{path}", self.peer.origin()),
            "type": "Note",
            "attributedTo": self.id,
            "content": content,
            "published": chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "to": to,
        });
        note.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        if to.contains(&PUBLIC) {
            let mut alone = note.clone();
            alone["@context"] = json!("https://www.w3.org/ns/activitystreams");
            self.peer.serve(&path, &alone);
        }
        note
    }

    /// `Create` for a note.
    pub fn create(&self, note: &Value) -> Value {
        self.activity(
            "Create",
            json!({ "object": note, "to": note["to"], "cc": note.get("cc").cloned().unwrap_or_else(|| json!([])), "published": note["published"] }),
        )
    }

    /// The same document with this actor's proof, and with the context that knows what a proof is.
    pub fn proved(&self, document: &Value) -> Value {
        let mut document = document.clone();
        if document["@context"].is_string() {
            document["@context"] = json!([
                document["@context"],
                "https://w3id.org/security/data-integrity/v1"
            ]);
        }
        let mut proof = json!({
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "created": chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "proofPurpose": "assertionMethod",
            "verificationMethod": format!("{}#ed25519-key", self.id),
            "@context": document["@context"],
        });
        let mut message = sha256(&serde_jcs::to_vec(&proof).unwrap());
        message.extend(sha256(&serde_jcs::to_vec(&document).unwrap()));
        let value = self.keys.ed25519.sign(&message);
        proof["proofValue"] = json!(format!("z{}", bs58::encode(value).into_string()));
        document["proof"] = proof;
        document
    }

    /// Send, signed as almost everybody does.
    pub async fn send(&self, inbox: &str, activity: &Value) -> Told {
        self.send_by(Scheme::Cavage, inbox, activity.to_string())
            .await
    }

    /// Send any bytes by a scheme.
    pub async fn send_by(&self, scheme: Scheme, inbox: &str, body: String) -> Told {
        let mut request = client()
            .post(inbox)
            .header("Content-Type", ACTIVITY)
            .body(body.clone());
        for (name, value) in self.signed(scheme, "POST", inbox, Some(body.as_bytes())) {
            request = request.header(name, value);
        }
        Told::of(request.send().await.unwrap()).await
    }

    /// Fetch, signed.
    pub async fn get(&self, url: &str) -> Told {
        let mut request = client().get(url).header("Accept", ACTIVITY);
        for (name, value) in self.signed(Scheme::Cavage, "GET", url, None) {
            request = request.header(name, value);
        }
        Told::of(request.send().await.unwrap()).await
    }

    /// The headers that sign a request.
    pub fn signed(
        &self,
        scheme: Scheme,
        method: &str,
        url: &str,
        body: Option<&[u8]>,
    ) -> Vec<(&'static str, String)> {
        let url = url::Url::parse(url).unwrap();
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let key = &self.key_id;
        let now = chrono::Utc::now();
        let digest = body.map(|body| BASE64.encode(sha256(body)));
        match scheme {
            Scheme::Nothing => Vec::new(),
            Scheme::Cavage => {
                let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let mut base = format!(
                    "(request-target): {} {path}\nhost: {host}\ndate: {date}",
                    method.to_lowercase()
                );
                let mut covered = "(request-target) host date".to_owned();
                let mut headers = vec![("Date", date)];
                if let Some(digest) = digest {
                    base += &format!("\ndigest: SHA-256={digest}");
                    covered += " digest";
                    headers.push(("Digest", format!("SHA-256={digest}")));
                }
                let signature = self.keys.sign(&base);
                headers.push(("Signature", format!("keyId=\"{key}\",algorithm=\"rsa-sha256\",headers=\"{covered}\",signature=\"{signature}\"")));
                headers
            }
            Scheme::Rfc9421 => {
                let mut base = format!("\"@method\": {method}\n\"@target-uri\": {url}\n");
                let mut covered = "\"@method\" \"@target-uri\"".to_owned();
                let mut headers = Vec::new();
                if let Some(digest) = digest {
                    base += &format!("\"content-digest\": sha-256=:{digest}:\n");
                    covered += " \"content-digest\"";
                    headers.push(("Content-Digest", format!("sha-256=:{digest}:")));
                }
                let stated = format!(
                    "({covered});created={};keyid=\"{key}\";alg=\"rsa-v1_5-sha256\"",
                    now.timestamp()
                );
                base += &format!("\"@signature-params\": {stated}");
                let signature = self.keys.sign(&base);
                headers.push(("Signature-Input", format!("sig1={stated}")));
                headers.push(("Signature", format!("sig1=:{signature}:")));
                headers
            }
        }
    }
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Told {
    /// Read an answer.
    pub async fn of(answer: reqwest::Response) -> Self {
        Self {
            status: answer.status().as_u16(),
            headers: answer
                .headers()
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            body: answer.text().await.unwrap(),
        }
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A client for which every name leads to this machine.
pub fn client() -> reqwest::Client {
    thread_local!(static CLIENT: reqwest::Client = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Here))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap());
    CLIENT.with(Clone::clone)
}

struct Here;

impl reqwest::dns::Resolve for Here {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let here: reqwest::dns::Addrs =
            Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
        Box::pin(std::future::ready(Ok(here)))
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn spki(pem: &str) -> Vec<u8> {
    let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(inside).unwrap()
}
