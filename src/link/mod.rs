//! (room link)
