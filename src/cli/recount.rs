//! `made-open recount URL`: count a vote again from what its DAO serves, and hold it against what was told. Nothing but the
//! network is needed: no database, and no hub of one's own.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use url::Url;

use super::{exit, print, print_json, progress};
use crate::base::config::Config;
use crate::domains::governance::recount::{self, Count, Proof, Question, Report};
use crate::fed::document::Document;
use crate::fed::{trust, vocab};
use crate::net::http::{DEADLINE, Failure, Method, Peers, Request};

/// The longest page that is read.
const LONGEST: usize = 4 * 1024 * 1024;
/// How many pages of ballots there may be.
const MOST_PAGES: usize = 100_000;
/// How many actors are remembered.
const MOST_ACTORS: usize = 200_000;

/// What to count.
#[derive(Args)]
pub struct Recount {
    /// The address of the proposal
    url: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Recount {
    /// Do it: 0 when the count agrees, 1 when it does not.
    pub fn run(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let report = runtime.block_on(self.count(config))?;
        self.say(&report)?;
        Ok(match report.agrees() {
            true => ExitCode::SUCCESS,
            false => exit::Ending::Failed.into(),
        })
    }

    async fn count(&self, config: &Config) -> anyhow::Result<Report> {
        let mut reader = Reader {
            peers: Peers::new(config)?,
            actors: HashMap::new(),
        };
        let document = reader.get(&self.url).await?;
        let question =
            Question::read(&document).map_err(|why| exit::usage(format!("{}: {why}", self.url)))?;
        let Some(ballots) = question.ballots.clone() else {
            return Err(exit::refused(
                "The ballots are secret: only the result is served.",
            ));
        };
        if question.id != self.url && !trust::same_origin(&question.id, &self.url) {
            return Err(exit::usage(format!(
                "{} is not where it says to be.",
                self.url
            )));
        }
        let dao = question.dao.clone();
        let by_dao = reader.proof(&document, &dao).await;
        let mut count = Count::new(question);
        if by_dao != Proof::Good {
            count.fault("the question does not carry its DAO's signature");
        }
        reader.all(&ballots, &mut count).await?;
        Ok(count.finish())
    }

    fn say(&self, report: &Report) -> anyhow::Result<()> {
        if self.json {
            return print_json(&report.to_json());
        }
        let mut lines = vec![
            format!(
                "{} ballots: {} yes, {} no, {} abstain; turnout {}",
                report.ballots, report.yes, report.no, report.abstain, report.turnout
            ),
            format!("digest {}", report.digest),
        ];
        for (how, number) in &report.vouched {
            lines.push(format!("{number} vouched for by: {how}"));
        }
        lines.extend(report.faults.iter().map(|fault| format!("wrong: {fault}")));
        lines.push(match report.agrees() {
            true => format!("It is as told: {}.", report.status),
            false => "It is not as told.".to_owned(),
        });
        print(&lines.join("\n"))
    }
}

struct Reader {
    peers: Peers,
    /// Documents of voters; none for those that are not to be had.
    actors: HashMap<String, Option<Value>>,
}

impl Reader {
    async fn all(&mut self, ballots: &str, count: &mut Count) -> anyhow::Result<()> {
        let bar = progress::start("pages of ballots", None);
        let whole = self.get(ballots).await?;
        let mut next = whole.get("first").and_then(vocab::id).map(str::to_owned);
        for page_number in 0..MOST_PAGES {
            let Some(place) = next.take() else { break };
            if !trust::same_origin(&place, ballots) {
                count.fault("a page of ballots is elsewhere");
                break;
            }
            let page = self.get(&place).await?;
            let items = page.get("orderedItems").and_then(Value::as_array);
            for item in items.into_iter().flatten() {
                let proof = match Count::signer(item).map(str::to_owned) {
                    Some(voter) => {
                        let vote = item.get("object").unwrap_or(&Value::Null);
                        Some(self.proof(vote, &voter).await)
                    }
                    None => None,
                };
                count.ballot(item, proof);
            }
            next = page.get("next").and_then(vocab::id).map(str::to_owned);
            bar.at(u64::try_from(page_number).unwrap_or_default() + 1);
        }
        Ok(())
    }

    async fn proof(&mut self, document: &Value, owner: &str) -> Proof {
        if !self.actors.contains_key(owner) && self.actors.len() < MOST_ACTORS {
            let actor = self.get(owner).await.ok();
            self.actors.insert(owner.to_owned(), actor);
        }
        let actor = self.actors.get(owner).and_then(Option::as_ref);
        recount::proven(document, owner, actor)
    }

    async fn get(&self, place: &str) -> anyhow::Result<Value> {
        let url: Url = self
            .peers
            .read(place)
            .map_err(|refused| exit::refused(format!("{place}: {refused}")))?;
        let request = Request {
            method: Method::Get,
            url: &url,
            headers: vec![("accept".to_owned(), "application/activity+json".to_owned())],
            body: None,
            max_bytes: LONGEST,
            deadline: DEADLINE,
        };
        let reply = self
            .peers
            .send(request)
            .await
            .map_err(|failure| match failure {
                Failure::Refused(refused) => exit::refused(format!("{place}: {refused}")),
                failure => exit::not_reachable(format!("{place}: {failure}")),
            })?;
        if reply.status != 200 {
            return Err(exit::not_reachable(format!(
                "{place} answers with {}",
                reply.status
            )));
        }
        // Pages of ballots are longer than what a peer may send us.
        match Document::read(&reply.body) {
            Ok(document) => Ok(document.into_value()),
            Err(_) => serde_json::from_slice(&reply.body)
                .map_err(|error| anyhow::anyhow!("{place}: {error}")),
        }
    }
}
