//! What other actors do that somebody is to know: he was named, answered, liked, written to, followed; or somebody he wrote
//! to could not be found. Operators hear of every report, whoever filed it.

use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::notify::{self, News};
use crate::base::{Result, text};
use crate::db::{Bind, Statement, Tx};
use crate::kinds::verbs::Later;
use crate::node::work::Change;

/// Tell those whom it concerns.
pub fn react<'a>(tx: &'a mut Tx, changes: &'a [Change]) -> Later<'a, ()> {
    Box::pin(async move {
        for change in changes {
            if change.verb == "report.filed" {
                tell_operators(tx, change).await?;
                continue;
            }
            let Some(target) = change.owner else {
                continue;
            };
            let sql = match change.verb.as_str() {
                "post.mentioned" | "post.replied" | "post.unreached" => POST,
                "post.liked" => LIKED,
                "post.announced" => ANNOUNCED,
                "listing.liked" | "declaration.liked" => TRADE_LIKED,
                "listing.announced" | "declaration.announced" => TRADE_ANNOUNCED,
                "message.received" => MESSAGE,
                "follow.requested" | "follow.accepted" => FOLLOW,
                _ => continue,
            };
            let mut select = Statement::<Nullable<Jsonb>>::new(sql);
            select.bind(Bind::Uuid(change.row)).sql(" limit 1");
            let rows: Vec<Option<Value>> =
                tx.as_hub(async |tx| tx.load(select.clone()).await).await?;
            let Some(row) = rows.into_iter().flatten().next() else {
                continue;
            };
            if let Some(news) = news(target, change, &row) {
                notify::tell(tx, news).await?;
            }
        }
        Ok(())
    })
}

/// Whoever may deal with a report hears that there is one.
async fn tell_operators(tx: &mut Tx, change: &Change) -> Result<()> {
    let mut report = Statement::<(Nullable<Text>, Text)>::new(
        "select coalesce(a.handle, '@' || a.preferred_username || '@' || a.host), r.reason from public.reports r \
         left join public.ap_actors a on a.id = r.target_actor_id where r.id = ",
    );
    report.bind(Bind::Uuid(change.row));
    let operators = Statement::<SqlUuid>::new(
        "select p.user_id from public.user_profile p join public.users u on u.id = p.user_id \
         where p.role = 'developer' and u.deleted_at is null order by p.user_id limit 100",
    );
    type Report = (Option<String>, String);
    let (reports, operators): (Vec<Report>, Vec<Uuid>) = tx
        .as_hub(async |tx| {
            Ok((
                tx.load(report.clone()).await?,
                tx.load(operators.clone()).await?,
            ))
        })
        .await?;
    let Some((about, reason)) = reports.into_iter().next() else {
        return Ok(());
    };

    let about = about.map(|about| text::name(&about)).unwrap_or_default();
    let title = match about.as_str() {
        "" => "Something was reported".to_owned(),
        about => format!("{about} was reported"),
    };
    for target in operators {
        let news = News {
            target,
            event_type: change.verb.clone(),
            source: "social".to_owned(),
            title: title.clone(),
            message: text::excerpt(&reason, 300),
            ..News::default()
        };
        notify::tell(tx, news).await?;
    }
    Ok(())
}

const POST: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', p.content, 'url', p.url, 'unreached', p.unreached) \
     from public.posts p left join public.ap_actors a on a.id = coalesce(p.origin_actor_id, p.author_actor_id) \
     or (a.kind = 'user' and a.row_id = p.owner_id and p.author_actor_id is null) where p.id = ";
const LIKED: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', p.content, 'url', p.url) from public.posts p \
     join public.reactions r on r.object_id = p.id and r.type = 'like' and r.direction = 'in' join public.ap_actors a on a.id = r.actor_id where r.id = (\
     select max(x.id::text)::uuid from public.reactions x where x.object_id = p.id and x.type = 'like' and x.direction = 'in') and p.id = ";
const ANNOUNCED: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', p.content, 'url', p.url) from public.posts p \
     join public.reactions r on r.object_id = p.id and r.type = 'announce' and r.direction = 'in' join public.ap_actors a on a.id = r.actor_id where r.id = (\
     select max(x.id::text)::uuid from public.reactions x where x.object_id = p.id and x.type = 'announce' and x.direction = 'in') and p.id = ";
const TRADE_LIKED: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', o.title, 'url', o.url) \
     from (select id, title, url from public.listings union all select id, title, url from public.declarations) o \
     join public.reactions r on r.object_id = o.id and r.type = 'like' and r.direction = 'in' join public.ap_actors a on a.id = r.actor_id where r.id = (\
     select max(x.id::text)::uuid from public.reactions x where x.object_id = o.id and x.type = 'like' and x.direction = 'in') and o.id = ";
const TRADE_ANNOUNCED: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', o.title, 'url', o.url) \
     from (select id, title, url from public.listings union all select id, title, url from public.declarations) o \
     join public.reactions r on r.object_id = o.id and r.type = 'announce' and r.direction = 'in' join public.ap_actors a on a.id = r.actor_id where r.id = (\
     select max(x.id::text)::uuid from public.reactions x where x.object_id = o.id and x.type = 'announce' and x.direction = 'in') and o.id = ";
const MESSAGE: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', m.body, 'url', null) from public.messages m \
     left join public.ap_actors a on a.id = m.sender_actor_id where m.id = ";
const FOLLOW: &str = "select jsonb_build_object('who', coalesce(a.name, a.preferred_username), 'text', '', 'url', a.url, 'direction', f.direction) \
     from public.follows f join public.ap_actors a on a.id = f.actor_id where f.id = ";

fn news(target: Uuid, change: &Change, row: &Value) -> Option<News> {
    let said = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let who = Some(text::name(said("who")))
        .filter(|who| !who.is_empty())
        .unwrap_or_else(|| "Somebody".to_owned());
    let title = match (change.verb.as_str(), said("direction")) {
        ("post.mentioned", _) => format!("{who} named you"),
        ("post.replied", _) => format!("{who} answered you"),
        ("post.liked", _) => format!("{who} liked what you said"),
        ("listing.liked" | "declaration.liked", _) => format!("{who} liked what you offer or need"),
        ("listing.announced" | "declaration.announced", _) => {
            format!("{who} passed on what you offer or need")
        }
        ("post.announced", _) => format!("{who} passed on what you said"),
        ("message.received", _) => format!("{who} wrote to you"),
        ("follow.requested", "in") => format!("{who} wants to follow you"),
        ("follow.accepted", "in") => format!("{who} follows you"),
        ("follow.accepted", _) => format!("You follow {who}"),
        ("post.unreached", _) => "Not everybody you wrote to could be found".to_owned(),
        _ => return None,
    };
    let unreached = row
        .get("unreached")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let unreached: Vec<&str> = unreached.filter_map(Value::as_str).collect();
    let message = match change.verb.as_str() {
        "post.unreached" => unreached.join(", "),
        _ => text::excerpt(said("text"), 300),
    };
    Some(News {
        target,
        event_type: change.verb.clone(),
        source: "social".to_owned(),
        title,
        message,
        action_url: row.get("url").and_then(Value::as_str).map(str::to_owned),
        ..News::default()
    })
}
