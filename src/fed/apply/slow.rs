//! An activity that needs something from elsewhere: fetched outside any transaction, never more than so much for one
//! activity in all (S-82), then applied again.

use std::rc::Rc;

use tokio::task::spawn_local;
use uuid::Uuid;

use super::Shared;
use super::batch;
use super::one::{Came, Known};
use super::rows::Outcome;
use crate::base::Result;
use crate::fed::inbox;
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
        let came = match batch::single(node, id, &known).await? {
            Some(Came::Ended(_) | Came::Panicked) | None => return Ok(()),
            Some(came) => came,
        };
        match fetch(node, &came, &budget, &mut known).await {
            Ok(()) => {}
            Err(why) if why.is_passing() => {
                return batch::settle(node, id, Outcome::Waits(why.reason())).await;
            }
            Err(why) => match came {
                Came::Fetch(uri, _) | Came::Needs(uri) => {
                    tracing::debug!(event = "not_to_be_had", reason = why.reason(), %uri);
                    known.missing.insert(uri);
                }
                _ => return batch::settle(node, id, Outcome::Ignored(why.reason())).await,
            },
        }
    }
    batch::settle(node, id, Outcome::Waits("budget_spent")).await
}

/// Fetch what an activity needs: its own object is handed to it, everything else is taken in.
async fn fetch(
    node: &Node,
    came: &Came,
    budget: &Budget,
    known: &mut Known,
) -> Result<(), Unreached> {
    match came {
        Came::Fetch(uri, recipient) => {
            let object = remote::object(node, uri, *recipient, budget).await?;
            known.objects.insert(uri.clone(), object);
            Ok(())
        }
        Came::Needs(uri) if remote::actors::known(node, uri).await?.is_some() => {
            remote::actors::anew(node, uri, None, budget)
                .await
                .map(drop)
        }
        Came::Needs(uri) => remote::look::take_in(node, uri, None, budget).await,
        Came::PassesOn(inside) => {
            known.inside = Some(Box::pin(inbox::inside(node, inside, budget)).await?);
            Ok(())
        }
        Came::Ended(_) | Came::Panicked => Ok(()),
    }
}
