//! (room vault)
