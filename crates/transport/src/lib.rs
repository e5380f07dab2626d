//! What every connection of ours to another side needs, whoever makes it: exporters, notifiers, and commands that ask a running server.
//!
//! - [`Connector`] connects, by [`Tls`] where the address is `https://`: whom we trust, and who we are.
//! - [`Pauses`] are those between attempts while they fail.
//! - [`Secret`] is a text that is never shown.
//!
//! It never sends a request, and knows no protocol above TLS.

mod known;
mod pauses;
mod secret;
mod tls;

pub use pauses::Pauses;
pub use secret::Secret;
pub use tls::{Connector, Identity, Tls};
