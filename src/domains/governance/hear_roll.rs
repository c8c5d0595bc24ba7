//! What is heard of who belongs to a DAO: its own word about somebody here, and that of its officers elsewhere.

use super::applications;
use super::daos::{self, Dao, Person};
use super::joining::own_person;
use super::roll;
use crate::base::Result;
use crate::db::Tx;
use crate::domains::social::actors as people;
use crate::fed::vocab;
use crate::node::incoming::{Applied, Incoming};

/// Somebody was put among the members of a DAO.
pub async fn on_added(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    moved(tx, heard, true).await
}

/// Somebody was taken from among the members of a DAO.
pub async fn on_removed(tx: &mut Tx, heard: &Incoming) -> Result<Applied> {
    moved(tx, heard, false).await
}

async fn moved(tx: &mut Tx, heard: &Incoming, is_in: bool) -> Result<Applied> {
    let target = heard.activity.get("target").and_then(vocab::id);
    let Some(place) = target.and_then(|target| target.strip_suffix("/members")) else {
        return Ok(Applied::NotMine);
    };
    if place != heard.author.uri {
        return match daos::by_uri(tx, place).await? {
            Some((dao, _)) => by_officer(tx, heard, &dao, is_in).await,
            None => Ok(Applied::Ignored("not_ours")),
        };
    }
    let Some(dao) = daos::of_origin(tx, heard.author.id).await? else {
        return Ok(Applied::Ignored("unknown_dao"));
    };
    let Some((_, user)) = own_person(tx, heard.object_uri()?).await? else {
        return Ok(Applied::Ignored("not_ours"));
    };
    let person = Person::User(user);
    if !is_in {
        return Ok(match roll::send_away(tx, &dao, person).await? {
            true => Applied::Done,
            false => Applied::Repeated,
        });
    }
    // Nobody belongs to anything that he did not ask for.
    let asked = applications::application(tx, dao.id, person).await?;
    let Some(asked) = asked.filter(|it| match it.direction.as_str() {
        "invite" => it.state == "accepted",
        _ => matches!(it.state.as_str(), "pending" | "accepted"),
    }) else {
        return Ok(Applied::Ignored("not_asked"));
    };
    applications::settle(tx, asked.id, "accepted").await?;
    roll::let_in(tx, &dao, person, "member", asked.shows_ballot).await?;
    Ok(Applied::Done)
}

/// Somebody elsewhere would change who belongs to a DAO of ours: only those may who run it (S-43).
async fn by_officer(tx: &mut Tx, heard: &Incoming, dao: &Dao, is_in: bool) -> Result<Applied> {
    let verb = if is_in { "add" } else { "remove" };
    if !daos::is_officer(tx, dao.id, Person::Actor(heard.author.id)).await? {
        tracing::info!(
            event = "not_an_officer",
            reason = "not_an_officer",
            peer_domain = %heard.author.host,
            activity_id = %heard.uri,
        );
        daos::note_denied(tx, dao, &heard.author.uri, verb).await?;
        return Ok(Applied::Repeated);
    }
    let Some(other) = people::find(tx, heard.object_uri()?).await? else {
        return Ok(Applied::Needs(heard.object_uri()?.to_owned()));
    };
    let Some(person) = Person::of(&other) else {
        return Ok(Applied::Refused("not_a_person"));
    };
    match is_in {
        // Nobody is put among the members who did not ask.
        true => {
            let asked = applications::application(tx, dao.id, person).await?;
            let Some(asked) = asked.filter(|it| it.direction == "join" && it.state == "pending")
            else {
                return Ok(Applied::Ignored("not_asked"));
            };
            roll::let_in(tx, dao, person, &asked.role, asked.shows_ballot).await?;
            applications::settle(tx, asked.id, "accepted").await?;
        }
        false => match roll::send_away(tx, dao, person).await {
            Ok(_) => {}
            Err(error) if error.is("dao.owner_stays") => {
                return Ok(Applied::Refused("owner_stays"));
            }
            Err(error) => return Err(error),
        },
    }
    Ok(Applied::Done)
}
