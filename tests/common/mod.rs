//! What several test binaries play with: a platform with its operator, an SMSC by hand, a card by hand.

#![allow(dead_code, reason = "no test binary uses all of it")]

pub(crate) mod hand_card;
pub(crate) mod hand_files;
pub(crate) mod scene;
pub(crate) mod smsc;
