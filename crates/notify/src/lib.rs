//! Tells people of incidents: what [`monitor`] wants told goes to webhooks, to Alertmanager and to mailboxes.
//!
//! - [`Notifiers`] runs one task for each [`Notifier`]. Each delivers in order, one at a time, and tries again what may yet succeed
//!   ([`Retry`]), so that one that hangs or is down holds up nobody else.
//! - [`Settled`] comes out for each notification that a notifier is through with: it was delivered, or given up. Whoever keeps that in a
//!   log tells nobody twice after a restart, unless the process dies between the delivery and that record; then the key of the
//!   notification is the same ([`Message::key`]).
//! - [`Statuses`] tells the [`Status`] of each notifier, for a page.
//!
//! It never decides what is told, keeps nothing on disk, and shows no secret in logs, errors or `Debug`.

mod alertmanager;
mod email;
mod http_client;
mod message;
mod notifier;
mod outcome;
mod retry;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

pub use alertmanager::Alertmanager;
pub use email::{Email, Encryption};
pub use message::{Message, SIGNATURE_HEADER, signature};
pub use notifier::{Channel, Notifier, Notifiers, NotifyError, Settled};
pub use retry::Retry;
pub use status::{Counts, Status, Statuses};
pub use transport::Secret;
pub use webhook::Webhook;
