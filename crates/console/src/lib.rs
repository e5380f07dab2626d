//! The web page and the HTTP API on the admin port: whether each model is healthy, slow, dear or breaking.
//!
//! - [`Console`] is both, as an axum router. It asks a [`Source`], which the binary implements.
//! - [`Settings`] is what is configured of it.
//! - [`ServiceHealth`] is how Spanmill itself does, as far as the binary can tell.
//! - [`openapi`] describes the API, generated from its code.
//!
//! The API is versioned under `/api/v1`; errors are `application/problem+json` (RFC 9457). Pages are rendered here, charts
//! included; the script adds live refresh, crosshair and zoom, and nothing breaks without it. A page loads nothing from
//! elsewhere, and what was told by clients is escaped.
//!
//! It never authenticates: whoever mounts it does. It keeps nothing but the answers of the newest evaluation step.

mod answers;
mod api;
mod console;
mod events;
mod guard;
mod packed;
mod page;
mod params;
mod problem;
mod source;
mod view;

pub use api::openapi;
pub use console::{Console, Settings};
pub use page::is_of_the_web;
pub use problem::Problem;
pub use source::{ArchiveState, CommandFailure, Cursor, NotifierState, Saved, ServiceHealth, Source};
