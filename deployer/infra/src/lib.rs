//! The infrastructure of a small API, stated in Rust and made so by calling AWS.
//!
//! # What happens in a deploy
//!
//! 1. **Load** ([`release`]): the packages that `cargo xtask package` left are proven to be those
//!    of their manifest. Takes a directory, gives a [`release::Release`]. Asks nobody.
//! 2. **Connect** ([`aws`]): credentials and region by AWS's standard chain; STS says whose they
//!    are. Gives an [`aws::Aws`], the first part of a [`run::Run`], and with it the [`env::Env`] from which every name follows.
//! 3. **State** ([`stack`]): plain code builds the graph of what is wanted. No IO, no AWS, no
//!    order of steps: using another resource's output is what makes an edge.
//! 4. **Survey** ([`engine::Graph::survey`]): every resource is read back into the type that says
//!    what is wanted, and everything that bears our tags is listed. Only reads.
//! 5. **Plan** ([`engine::Plan`]): the differences, as a value. It is shown, may be saved, and must
//!    be agreed to.
//! 6. **Take the lease** ([`lease`]): one run at a time changes a stage. If somebody else had it since
//!    4, the stage is read and planned anew.
//! 7. **Carry out** ([`engine::Survey::carry_out`]): the same walk again, now writing. What serves
//!    changes in one step, the stage's, once the new versions are proven ([`resources::Proof`]) and on
//!    record ([`resources::history`]). Leftovers go last. The [`engine::Report`] has every step in exactly
//!    one list.
//! 8. **Keep or return** ([`smoke`]): what serves now is called through the front door. It is kept, and
//!    what no kept release needs is deleted; or what served before is put back.
//!
//! Every request on the way goes through [`retry`], at the pace of [`quota`].
//!
//! `plan` stops after 5; `destroy` begins at 4 with the listing alone; `rollback` goes from 4 to 8 with
//! a smaller graph, of an earlier release ([`constructs::earlier`]). `verify` ([`rebuild`]) makes the packages
//! of what serves anew, and compares.
//!
//! # What always holds, and what holds it
//!
//! | invariant | held by |
//! |---|---|
//! | nothing is changed that wasn't read in this run and found ours | a type: only a [`engine::Survey`] carries out, and it refuses what is foreign; the lease lies in a bucket that was read |
//! | until the user agrees, nothing but reads has run | the same type, and a test at the wire |
//! | `stack()` does no IO | it isn't async and gets no client; a test |
//! | the engine knows no AWS; its tests need none | a test on its sources |
//! | only `resources/` and `aws.rs` name an SDK crate | a test on the sources |
//! | only `retry.rs` sleeps, only `cli/` prints | a lint and a test on the sources |
//! | a secret is never shown | a type: [`engine::Secret`] has no way to print but as a hash |
//! | after any failure, running again is the remedy | nothing is remembered between runs: AWS is the state; each request is broken in a test |
//! | nothing that could be made twice is sent twice | the table of `retry.rs`; the same tests, with lists that lag |
//!
//! # The price
//!
//! A no-op costs a read of everything, some hundred calls. Each resource is built twice. Names are
//! the identity of things, so renaming the app means destroying and deploying.

pub mod app;
pub mod aws;
pub mod ci;
pub mod cli;
pub mod constructs;
pub mod contract;
pub mod engine;
pub mod env;
mod failure;
pub mod finding;
pub mod http;
pub mod ids;
pub mod lease;
pub mod load;
pub mod machine;
mod object;
mod process;
pub mod quota;
pub mod rebuild;
pub mod record;
pub mod release;
pub mod resources;
pub mod retry;
pub mod rights;
pub mod run;
pub mod smoke;
pub mod widening;

#[cfg(test)]
mod fixture;

pub use process::main;
