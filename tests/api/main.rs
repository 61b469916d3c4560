//! The HTTP API on real TCP in front of a gateway without links, and the webhooks it sends.

mod administration;
mod cards;
mod document;
mod events;
mod look_up;
mod on_site;
mod orders;
mod platform;
mod webhooks;
