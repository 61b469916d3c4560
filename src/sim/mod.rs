//! (room sim)
pub mod card;
pub mod hlr;
pub mod milenage;
pub mod operator;
pub mod smsc;
mod terminal;
