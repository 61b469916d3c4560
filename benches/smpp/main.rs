//! What the SMPP stack costs, against a bare loop and against other stacks.
#![allow(missing_docs, clippy::disallowed_methods)]

mod bare;
mod clients;
mod measure;
mod reference;
mod session;
mod smsc;

fn main() {
    session::run();
}
