//! What became of notifications, notifier by notifier.

/// How a notifier is through with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// It was taken.
    Delivered,
    /// It was refused for good.
    Refused,
    /// It became too old.
    GivenUp,
}

impl DeliveryOutcome {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Refused, Self::GivenUp];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }
}

/// What became of a notification at a notifier that is through with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The notifier.
    pub notifier: String,
    /// How it ended.
    pub outcome: DeliveryOutcome,
    /// When, by the clock of who delivers.
    pub at: u64,
    /// How often it was tried by the process that ended it.
    pub attempts: u32,
    /// Why the last attempt failed of those that did.
    pub error: Option<String>,
}
