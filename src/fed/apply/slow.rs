//! An activity that needs something from elsewhere: fetched outside any transaction, never more than so much for one
//! activity in all (S-82), then applied again.

use std::rc::Rc;

use serde_json::Value;
use tokio::task::spawn_local;
use uuid::Uuid;

use super::Shared;
use super::batch;
use super::one::{Came, Known};
use super::rows::Outcome;
use crate::base::Result;
use crate::fed::remote::{self, FETCHES, Unreached};
use crate::net::http::Budget;
use crate::node::Node;

/// Work at it beside the loop.
pub fn begin(shared: &Rc<Shared>, id: Uuid) {
    if !shared.slow.borrow_mut().insert(id) {
        return;
    }
    let shared = shared.clone();
    spawn_local(async move {
        let permit = shared.room.clone().acquire_owned().await;
        if permit.is_ok()
            && let Err(error) = Box::pin(work(&shared.node, id)).await
        {
            // The row comes up again when its time is over.
            tracing::warn!(event = "activity_not_applied", cause = %error);
        }
        shared.slow.borrow_mut().remove(&id);
        shared.done.notify_one();
    });
}

async fn work(node: &Node, id: Uuid) -> Result<()> {
    let budget = Budget::new(FETCHES);
    let mut known = Known::default();
    for _ in 0..=FETCHES {
        let needed = match batch::single(node, id, &known).await? {
            Some(Came::Needs(uri)) => uri,
            Some(Came::PassesOn(inside)) => {
                let _: Value = inside;
                return batch::settle(node, id, Outcome::Ignored("passed_on")).await;
            }
            Some(Came::Ended(_) | Came::Panicked) | None => return Ok(()),
        };
        match fetch(node, &needed, &budget, &mut known).await {
            Ok(()) => {}
            Err(why) if why.is_passing() => {
                return batch::settle(node, id, Outcome::Waits(why.reason())).await;
            }
            Err(why) => {
                tracing::debug!(event = "not_to_be_had", reason = why.reason(), uri = %needed);
                known.missing.insert(needed);
            }
        }
    }
    batch::settle(node, id, Outcome::Waits("budget_spent")).await
}

/// Fetch what an activity needs: an actor is kept at once, an object is handed to the activity.
async fn fetch(
    node: &Node,
    uri: &str,
    budget: &Budget,
    known: &mut Known,
) -> Result<(), Unreached> {
    if remote::actors::known(node, uri).await?.is_some() {
        return remote::actors::anew(node, uri, None, budget)
            .await
            .map(drop);
    }
    let object = remote::object(node, uri, None, budget).await?;
    if let Ok(told) = remote::actors::Told::read(&object) {
        remote::actors::keep(node, &told, &object.to_string(), None).await?;
    }
    known.objects.insert(uri.to_owned(), object);
    Ok(())
}
