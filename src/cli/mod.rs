//! (room cli)
pub mod sample;
