//! Tell somebody something, by the channels he wants and when he wants to be told. What happened is a notification
//! event; what became of it on each channel is a delivery with its own state. Nothing is delivered in quiet hours.

use chrono::{DateTime, NaiveTime, Utc};
use diesel::sql_types::{Bool, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::quiet_hours::{Hours, next_allowed, zone};
use crate::base::caller::Cause;
use crate::base::{Caller, Error, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Lane, Order};
use crate::net::mail::Letter;
use crate::node::Node;

/// A way to reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    InApp,
    Email,
    Sms,
    Push,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InApp, Self::Email, Self::Sms, Self::Push];

    /// As `notification_deliveries.channel` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InApp => "in_app",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
        }
    }

    fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

/// Something that somebody is to know. Its texts may hold anything; they are plain text wherever they go.
#[derive(Clone, Debug, Default)]
pub struct News {
    pub target: Uuid,
    /// `noun.past` or the like; what the reader's program sorts by.
    pub event_type: String,
    /// The part of the hub that says it.
    pub source: String,
    pub title: String,
    pub message: String,
    pub priority: Option<String>,
    /// Where it leads: a path of this hub, or an address with http or https.
    pub action_url: Option<String>,
    pub actor: Option<Uuid>,
    /// Only these channels, if any are named; what is switched off stays off.
    pub channels: Option<Vec<Channel>>,
    pub cause: Option<Cause>,
}

/// What somebody wants.
#[derive(Clone, Debug)]
struct Wishes {
    enabled: [bool; 4],
    quiet: Option<Hours>,
    zone: chrono_tz::Tz,
    has_phone: bool,
    has_device: bool,
}

impl Wishes {
    fn wants(&self, channel: Channel) -> bool {
        let [in_app, email, sms, push] = self.enabled;
        match channel {
            Channel::InApp => in_app,
            Channel::Email => email,
            Channel::Sms => sms && self.has_phone,
            Channel::Push => push && self.has_device,
        }
    }

    fn from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self.quiet {
            Some(hours) => next_allowed(now, self.zone, hours),
            None => now,
        }
    }
}

/// The longest title and message that are kept.
const LONGEST: (usize, usize) = (200, 10_000);

/// Write an event and its deliveries, in this transaction. What is shown in the hub is there at once, mail goes by a job;
/// in quiet hours both wait for their end. The event's id.
pub async fn tell(tx: &mut Tx, news: News) -> Result<Uuid> {
    tx.as_hub(async |tx| told(tx, &news).await).await
}

async fn told(tx: &mut Tx, news: &News) -> Result<Uuid> {
    let wishes = wishes(tx, news.target)
        .await?
        .ok_or_else(|| Error::missing("notify.nobody", "There is no such account."))?;
    let now = clock::now();
    let from = wishes.from(now);
    let event = write_event(tx, news).await?;

    for channel in Channel::ALL {
        let named = news.channels.as_ref();
        if !wishes.wants(channel) || named.is_some_and(|named| !named.contains(&channel)) {
            continue;
        }
        let delivery = write_delivery(tx, news.target, event, channel).await?;
        match channel {
            Channel::InApp if from <= now => show(tx, delivery, event, news.target).await?,
            Channel::InApp | Channel::Email => {
                enqueue(tx, delivery, news.target, from, news.cause.clone()).await?;
            }
            // Nothing in this hub takes them, now or later: waiting would be a promise.
            Channel::Sms | Channel::Push => fail(tx, delivery, "no_provider").await?,
        }
    }
    Ok(event)
}

async fn write_event(tx: &mut Tx, news: &News) -> Result<Uuid> {
    let payload = json!({
        "title": cut(&one_line(&news.title), LONGEST.0),
        "message": cut(&news.message.replace('\0', ""), LONGEST.1),
        "priority": news.priority.as_deref().map(|priority| cut(&one_line(priority), 20)),
        "action_url": news.action_url.as_deref().filter(|url| leads_somewhere(url)),
    });
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.notification_events (target_user_id, event_type, event_source, payload, actor_user_id) values (",
    );
    insert
        .bind(Bind::Uuid(news.target))
        .sql(", ")
        .text(cut(&one_line(&news.event_type), 200))
        .sql(", ")
        .text(news.source.clone())
        .sql(", ")
        .text(payload.to_string())
        .sql("::jsonb, ")
        .bind(Bind::Text(news.actor.map(|actor| actor.to_string())))
        .sql("::uuid) returning id");
    only(tx.load(insert).await?)
}

async fn write_delivery(tx: &mut Tx, target: Uuid, event: Uuid, channel: Channel) -> Result<Uuid> {
    let mut insert = Statement::<SqlUuid>::new(
        "insert into public.notification_deliveries (recipient_user_id, event_id, channel) values (",
    );
    insert
        .bind(Bind::Uuid(target))
        .sql(", ")
        .bind(Bind::Uuid(event))
        .sql(", ")
        .text(channel.name())
        .sql(") returning id");
    only(tx.load(insert).await?)
}

async fn enqueue(
    tx: &mut Tx,
    delivery: Uuid,
    owner: Uuid,
    at: DateTime<Utc>,
    cause: Option<Cause>,
) -> Result<()> {
    let order = Order {
        owner: Some(owner),
        at: Some(at),
        // Put off, it is another job of the same delivery.
        key: Some(format!("deliver/{delivery}/{}", at.timestamp())),
        correlation: cause.as_ref().map(|cause| cause.correlation.clone()),
        ..Order::default()
    };
    jobs::enqueue(tx, &Deliver { delivery, cause }, order)
        .await
        .map(|_| ())
}

/// Bring one delivery to its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deliver {
    delivery: Uuid,
    cause: Option<Cause>,
}

/// A letter to send, or nothing left to do.
type Next = Option<(Uuid, Letter)>;

impl Job for Deliver {
    const KEY: &'static str = "comms.deliver";
    const LANE: Lane = Lane::Interactive;

    async fn run(&self, node: &Node, attempt: &Attempt) -> Result<()> {
        let next: Next = node
            .db
            .write(&Caller::Hub, async |tx| self.prepare(tx).await)
            .await?;
        let Some((owner, letter)) = next else {
            return Ok(());
        };

        let sent = node.net.mail.send(&letter).await;

        let is_over = match &sent {
            Ok(()) => true,
            Err(error) => !error.is_transient() || attempt.number >= Self::TRIES,
        };
        if is_over {
            node.db
                .write(&Caller::Hub, async |tx| {
                    match &sent {
                        Ok(()) => mark(tx, self.delivery, "sent").await?,
                        Err(_) => fail(tx, self.delivery, "mail_refused").await?,
                    }
                    log_mail(tx, owner, &letter, sent.is_ok()).await
                })
                .await?;
        }
        sent
    }
}

impl Deliver {
    /// Deliver what needs no network; put off what comes at a bad time; hand over the letter otherwise.
    async fn prepare(&self, tx: &mut Tx) -> Result<Next> {
        let Some((target, event, channel, status)) = load_delivery(tx, self.delivery).await? else {
            return Ok(None);
        };
        let (Some(channel), "pending") = (Channel::called(&channel), status.as_str()) else {
            return Ok(None);
        };
        let Some(wishes) = wishes(tx, target).await? else {
            fail(tx, self.delivery, "no_account").await?;
            return Ok(None);
        };
        if !wishes.wants(channel) {
            fail(tx, self.delivery, "switched_off").await?;
            return Ok(None);
        }
        let now = clock::now();
        let from = wishes.from(now);
        if from > now {
            enqueue(tx, self.delivery, target, from, self.cause.clone()).await?;
            return Ok(None);
        }
        match channel {
            Channel::InApp => show(tx, self.delivery, event, target).await?,
            Channel::Email => return self.write_letter(tx, target, event).await,
            Channel::Sms | Channel::Push => fail(tx, self.delivery, "no_provider").await?,
        }
        Ok(None)
    }

    async fn write_letter(&self, tx: &mut Tx, target: Uuid, event: Uuid) -> Result<Next> {
        let mut select = Statement::<(Nullable<Text>, Jsonb)>::new(
            "select case when u.email_confirmed_at is not null then u.email end, e.payload \
             from public.users u, public.notification_events e where u.id = ",
        );
        select
            .bind(Bind::Uuid(target))
            .sql(" and e.id = ")
            .bind(Bind::Uuid(event));
        let found: Option<(Option<String>, Value)> = tx.load(select).await?.into_iter().next();
        let Some((Some(to), payload)) = found else {
            fail(tx, self.delivery, "no_confirmed_address").await?;
            return Ok(None);
        };
        let said = |name: &str| {
            payload
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut text = said("message");
        let leads_to = said("action_url");
        if !leads_to.is_empty() {
            text = format!("{text}\n\n{}", absolute(tx, &leads_to));
        }
        let letter = Letter {
            to,
            subject: said("title"),
            text,
        };
        Ok(Some((target, letter)))
    }
}

type Found = (Uuid, Uuid, String, String);

async fn load_delivery(tx: &mut Tx, id: Uuid) -> Result<Option<Found>> {
    let mut select = Statement::<(SqlUuid, SqlUuid, Text, Text)>::new(
        "select recipient_user_id, event_id, channel, status from public.notification_deliveries \
         where event_id is not null and id = ",
    );
    select.bind(Bind::Uuid(id)).sql(" for update");
    Ok(tx.load(select).await?.into_iter().next())
}

/// Show it in the hub: that is where it was to arrive, so it is delivered.
async fn show(tx: &mut Tx, delivery: Uuid, event: Uuid, target: Uuid) -> Result<()> {
    let mut insert = Statement::new(
        "insert into public.user_notifications (user_id, title, message, type, priority, action_url) \
         select target_user_id, payload ->> 'title', payload ->> 'message', event_type, \
         coalesce(payload ->> 'priority', 'normal'), payload ->> 'action_url' \
         from public.notification_events where id = ",
    );
    insert
        .bind(Bind::Uuid(event))
        .sql(" and target_user_id = ")
        .bind(Bind::Uuid(target));
    tx.run(insert).await?;
    mark(tx, delivery, "delivered").await
}

async fn mark(tx: &mut Tx, delivery: Uuid, status: &'static str) -> Result<()> {
    let mut update = Statement::new("update public.notification_deliveries set status = ");
    update
        .text(status)
        .sql(", sent_at = now()")
        .sql(if status == "delivered" {
            ", delivered_at = now()"
        } else {
            ""
        })
        .sql(" where id = ")
        .bind(Bind::Uuid(delivery))
        .sql(" and status = 'pending'");
    tx.run(update).await.map(|_| ())
}

async fn fail(tx: &mut Tx, delivery: Uuid, reason: &'static str) -> Result<()> {
    let mut update = Statement::new(
        "update public.notification_deliveries set status = 'failed', payload = payload || jsonb_build_object('reason', ",
    );
    update
        .text(reason)
        .sql("::text) where id = ")
        .bind(Bind::Uuid(delivery))
        .sql(" and status = 'pending'");
    tx.run(update).await.map(|_| ())
}

async fn log_mail(tx: &mut Tx, owner: Uuid, letter: &Letter, is_sent: bool) -> Result<()> {
    let mut insert = Statement::new(
        "insert into public.email_logs (user_id, to_email, subject, status) values (",
    );
    insert
        .bind(Bind::Uuid(owner))
        .sql(", ")
        .text(letter.to.clone())
        .sql(", ")
        .text(letter.subject.clone())
        .sql(", ")
        .text(if is_sent { "sent" } else { "failed" })
        .sql(")");
    tx.run(insert).await.map(|_| ())
}

/// What an account wants; none for one that is banned, deleted or gone. Without a row of preferences their defaults hold.
async fn wishes(tx: &mut Tx, account: Uuid) -> Result<Option<Wishes>> {
    type Row = (
        Bool,
        Bool,
        Bool,
        Bool,
        Nullable<Text>,
        Nullable<Text>,
        Text,
        Bool,
        Bool,
    );
    type Loaded = (
        bool,
        bool,
        bool,
        bool,
        Option<String>,
        Option<String>,
        String,
        bool,
        bool,
    );
    let mut select = Statement::<Row>::new(format!(
        "select coalesce(p.in_app_enabled, true), coalesce(p.email_enabled, true), coalesce(p.sms_enabled, false), \
         coalesce(p.push_enabled, true), case when p.quiet_hours_enabled then p.quiet_hours_start::text end, \
         case when p.quiet_hours_enabled then p.quiet_hours_end::text end, {ZONE}, \
         exists (select from public.user_sms_preferences s where s.user_id = u.id and s.phone_verified), \
         exists (select from public.device_push_tokens d where d.owner_id = u.id) \
         from public.users u left join public.user_notification_preferences p on p.user_id = u.id \
         left join public.user_settings t on t.user_id = u.id \
         where u.deleted_at is null and (u.banned_until is null or u.banned_until <= now()) and u.id = ",
    ));
    select.bind(Bind::Uuid(account));
    let found: Option<Loaded> = tx.load(select).await?.into_iter().next();
    Ok(found.map(
        |(in_app, email, sms, push, start, end, zone_name, has_phone, has_device)| Wishes {
            enabled: [in_app, email, sms, push],
            quiet: start.zip(end).map(|(start, end)| Hours {
                start: time_of(&start),
                end: time_of(&end),
            }),
            zone: zone(Some(&zone_name)),
            has_phone,
            has_device,
        },
    ))
}

/// An account's zone in SQL: what its settings say, else the account; `UTC` is what both say by default.
pub const ZONE: &str = "coalesce(nullif(t.timezone, 'UTC'), u.timezone, 'UTC')";

/// PostgreSQL also knows 24:00, which is midnight.
pub fn time_of(text: &str) -> NaiveTime {
    text.parse().unwrap_or(NaiveTime::MIN)
}

/// Whether a reader may be sent there: into the hub itself or onto the web, never into a script.
fn leads_somewhere(url: &str) -> bool {
    let is_plain = url.len() <= 2_000 && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    let is_path = url.starts_with('/') && !url.starts_with("//") && !url.contains('\\');
    let is_web = url::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    is_plain && (is_path || is_web)
}

fn absolute(tx: &Tx, url: &str) -> String {
    match tx.hub().public_url() {
        Some(base) if url.starts_with('/') => base
            .join(url)
            .map_or_else(|_| url.to_owned(), |url| url.to_string()),
        _ => url.to_owned(),
    }
}

/// Somebody's text as one line, so that it cannot pretend to be several.
pub fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| match c {
            '\u{2028}' | '\u{2029}' => ' ',
            // What turns the direction of reading around makes a text look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    line.trim().to_owned()
}

/// At most so many characters.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn only(ids: Vec<Uuid>) -> Result<Uuid> {
    ids.into_iter()
        .next()
        .ok_or_else(|| Error::broken(anyhow::anyhow!("an insert gave no id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_leads_into_the_hub_or_onto_the_web() {
        for url in [
            "/tasks/1",
            "/a?b=c#d",
            "https://example.org/x",
            "http://example.org",
        ] {
            assert!(leads_somewhere(url), "{url}");
        }
        for url in [
            "",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\\evil.example",
            "file:///etc/passwd",
            "https://a.example/\r\nBcc: x",
        ] {
            assert!(!leads_somewhere(url), "{url}");
        }
    }

    #[test]
    fn a_line_stays_one_and_is_cut_at_a_character() {
        assert_eq!(one_line("a\r\nBcc: b\u{2028}c\u{202e}d\0"), "a  Bcc: b c d");
        assert_eq!(cut("häuser", 2), "hä…");
        assert_eq!(cut("🦊🦊", 2), "🦊🦊");
        assert_eq!(time_of("24:00:00"), NaiveTime::MIN);
    }
}
