//! (room smpp)
