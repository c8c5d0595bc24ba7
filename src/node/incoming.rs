//! Words that the inbox socket speaks: an activity whose author is known, what it means, what came of it; and what a
//! domain shows of its rows to other servers. Types only; who verifies and who answers is not known here.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::base::{Error, Result};
use crate::db::Tx;
use crate::kinds::verbs::Later;

/// What an activity is about. One place decides it: `fed::meaning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// Somebody wants to follow a local actor, or no longer.
    FollowAsked,
    FollowUndone,
    /// The answer to what a local actor asked for: a follow, an offer, a membership, an invitation, a vote.
    Accepted,
    Rejected,
    /// A note, article, event or question: new, or as it is now.
    PostCreated,
    PostUpdated,
    /// A note that only its recipients read.
    MessageCreated,
    MessageUpdated,
    /// Something is gone; whatever it was.
    ObjectDeleted,
    /// The author himself is gone, has changed or has moved.
    ActorDeleted,
    ActorUpdated,
    ActorMoved,
    Liked,
    LikeUndone,
    Announced,
    AnnounceUndone,
    Blocked,
    BlockUndone,
    Flagged,
    /// Somebody asks to quote.
    QuoteAsked,
    /// A choice in a poll.
    VoteCast,
    /// A group passed an activity of somebody else on; its inside comes as an activity of its own.
    PassedOn,
    /// A listing or a declaration, new or as it is now.
    ListingSaid,
    DeclarationSaid,
    /// An offer of an exchange to a local actor, or that it is taken back.
    OfferMade,
    OfferUndone,
    /// An agreement as its author has it now.
    AgreementSaid,
    /// What a party says of how an agreement went.
    ReceiptSaid,
    /// A question that a DAO puts to the vote, new or as it is now.
    ProposalSaid,
    /// A member elsewhere would have a local DAO ask this.
    ProposalOffered,
    /// Somebody wants to belong to a local DAO, or no longer.
    JoinAsked,
    Left,
    /// A DAO elsewhere asks a local actor in.
    Invited,
    /// Something was put into or taken out of a collection of its author.
    Added,
    Removed,
    /// Nothing that this hub knows; it is kept.
    Unknown,
}

/// The author of an activity, as this hub knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// His row of `ap_actors`.
    pub id: Uuid,
    pub uri: String,
    pub host: String,
    /// Only his followers are to hear of him.
    pub is_silenced: bool,
}

/// A verified activity.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its row of `ap_received`.
    pub id: Uuid,
    pub uri: String,
    pub author: Author,
    pub meaning: Meaning,
    /// All of it, as it was received.
    pub activity: Arc<Value>,
    /// What it is about: embedded and trusted, fetched from its origin, or only named by its id.
    pub object: Value,
    pub object_uri: Option<String>,
    /// The local actor into whose own inbox it came.
    pub recipient: Option<Uuid>,
    /// Whether an integrity proof vouches for it, so that it may be passed on.
    pub is_proven: bool,
    /// What was asked for because of it and is not to be had: to need it again gets nobody further.
    pub missing: Vec<String>,
}

/// What came of an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    Done,
    /// It had happened already.
    Repeated,
    /// Nothing follows from it here; the word says why.
    Ignored(&'static str),
    /// It should not have been said; the word says why.
    Refused(&'static str),
    /// It speaks of something that is not known here yet: fetch this, then ask again.
    Needs(String),
    /// It speaks of something that may still come; ask again later, for a day at most.
    Waits(&'static str),
    /// Another domain may know what to do.
    NotMine,
}

/// What a domain does about activities of one meaning. Called with the author as the transaction's caller; database
/// only, and all or nothing: unless it is done or repeated, whatever it wrote is taken back.
#[derive(Clone, Copy)]
pub struct Hears {
    pub meaning: Meaning,
    pub run: for<'a> fn(&'a mut Tx, &'a Incoming) -> Later<'a, Applied>,
    /// The same for many at once, for what comes often.
    pub many: Option<HearMany>,
}

/// What came of many activities of one meaning, in their order; none of those that are to be heard one by one. Called as the
/// hub, since they are many authors' words. Only for meanings about which the room itself does nothing.
pub type HearMany = for<'a> fn(&'a mut Tx, &'a [Incoming]) -> Later<'a, Vec<Option<Applied>>>;

/// What a domain shows of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// As it is said to others. Whether the caller may see it was decided by the rows he can read.
    Object { object: Value, is_public: bool },
    /// It is known to be gone.
    Gone(Value),
}

/// How rows behind `/ap/{path}/{id}` are said to others.
#[derive(Clone, Copy)]
pub struct Shows {
    /// The part of the address, such as `posts`.
    pub path: &'static str,
    pub show: for<'a> fn(&'a mut Tx, Uuid) -> Later<'a, Option<Shown>>,
    /// A collection of a row that the caller sees, such as `replies`: from this item on, or only how many there are.
    pub part: Option<ShowPart>,
}

/// How a collection of a row is said: the row, the collection's name, and where its page begins.
pub type ShowPart = for<'a> fn(&'a mut Tx, Uuid, &'a str, Wanted) -> Later<'a, Option<Part>>;

/// How much of a collection is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Count,
    /// A page: the first, or that after an item.
    Page(Option<String>),
}

/// A collection, or a page of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub total: i64,
    pub items: Vec<Value>,
    pub next: Option<String>,
}

impl Incoming {
    /// What the object says under this name, when it is text.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.object.get(name).and_then(Value::as_str)
    }

    /// The object's id, or a refusal.
    pub fn object_uri(&self) -> Result<&str> {
        self.object_uri
            .as_deref()
            .ok_or_else(|| Error::invalid("activity.no_object", "The activity names no object."))
    }
}

/// An entry for what a domain hears: `hears!(FollowAsked => wire::on_follow_asked)`; with what hears many at once, if it does.
#[macro_export]
macro_rules! hears {
    ($meaning:ident => $run:path) => {
        $crate::node::incoming::Hears {
            meaning: $crate::node::incoming::Meaning::$meaning,
            run: |tx, heard| Box::pin($run(tx, heard)),
            many: None,
        }
    };
    ($meaning:ident => $run:path, $many:path) => {
        $crate::node::incoming::Hears {
            meaning: $crate::node::incoming::Meaning::$meaning,
            run: |tx, heard| Box::pin($run(tx, heard)),
            many: Some(|tx, heard| Box::pin($many(tx, heard))),
        }
    };
}

/// An entry for what a domain shows: `shows!("posts" => wire::show_post)`.
#[macro_export]
macro_rules! shows {
    ($path:literal => $show:path) => {
        $crate::node::incoming::Shows {
            path: $path,
            show: |tx, id| Box::pin($show(tx, id)),
            part: None,
        }
    };
    ($path:literal => $show:path, $part:path) => {
        $crate::node::incoming::Shows {
            path: $path,
            show: |tx, id| Box::pin($show(tx, id)),
            part: Some(|tx, id, collection, wanted| Box::pin($part(tx, id, collection, wanted))),
        }
    };
}
