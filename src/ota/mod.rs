//! (room ota)
