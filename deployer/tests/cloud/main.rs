//! The deployer end to end, on a local cloud that lives as long as this process.
//!
//! Each test has an AWS account of its own and drives the built program, as its users do; what it
//! sends is heard on the wire ([`wire`]), what it leaves behind is listed with the SDK
//! ([`account::inventory`]). Changes "by hand" are made with the SDK too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod account;
mod chain;
mod checkout;
mod inventory;
mod load;
mod local;
mod packages;
mod proof;
mod replay;
mod wire;
mod world;

mod answers;
mod by_hand;
mod ci_role;
mod deleted_role;
mod destroy;
mod doctor;
mod drift;
mod faults;
mod foreign;
mod function_states;
mod gateway;
mod hands;
mod interrupted;
mod keys;
mod life;
mod limits;
mod logs;
mod network;
mod operations;
mod ownership;
mod recorded;
mod recording;
mod refusals;
mod release;
mod returns;
mod rights;
mod rollback;
mod route_limits;
mod saved_plan;
mod scale;
mod secrets;
mod smoke;
mod stages;
mod verify;
mod widening;
