//! (room sim)
pub mod milenage;
