//! The manifest of a domain, and the few macros that turn a typed async function into a plain entry of it.

use crate::kinds::actions::Action;
use crate::kinds::verbs::Hook;

/// What a domain plugs into the machinery.
#[derive(Clone, Copy)]
pub struct Domain {
    /// Its name, as the registry has it.
    pub name: &'static str,
    /// Its verbs.
    pub actions: &'static [Action],
    /// What it does around generic writes.
    pub hooks: &'static [Hook],
}

/// An entry for a verb: `action!("kinds"."add", "One sentence.", (arguments) => plugins::add)`.
/// The function takes the transaction and its typed input and gives anything that serialises.
#[macro_export]
macro_rules! action {
    ($kind:literal . $verb:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::action!(@ $kind, $verb, false, $about, [$($name : $type),*] => $run)
    };
    (reads $kind:literal . $verb:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::action!(@ $kind, $verb, true, $about, [$($name : $type),*] => $run)
    };
    (@ $kind:literal, $verb:literal, $reads:literal, $about:literal, [$($name:literal : $type:literal),*] => $run:path) => {
        $crate::kinds::actions::Action {
            kind: $kind,
            verb: $verb,
            seed_name: None,
            reads_only: $reads,
            about: $about,
            arguments: &[$(($name, $type)),*],
            run: |tx, input| Box::pin(async move {
                let input = $crate::node::domain::input(input)?;
                let done = $run(tx, input).await?;
                serde_json::to_value(done).map_err($crate::base::Error::broken)
            }),
        }
    };
}

/// Read a verb's typed input.
pub fn input<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> crate::base::Result<T> {
    serde_json::from_value(value).map_err(|error| {
        crate::base::Error::Invalid(Box::new(
            crate::base::error::Told::new("22023", format!("The arguments do not fit: {error}"))
                .status(400),
        ))
    })
}
