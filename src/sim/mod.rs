//! (room sim)
pub mod hlr;
pub mod milenage;
pub mod card {
    pub(super) mod apdu;
    pub(super) mod files;
    pub(super) mod secured;
    pub(super) mod usim;
}
