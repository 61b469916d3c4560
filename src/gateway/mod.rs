//! (room gateway)
