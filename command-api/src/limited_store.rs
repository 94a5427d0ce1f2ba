//! The stores whose room is limited, by the words that operators and clients read.

use events::ObjectBucket;

/// What submissions need room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedStore {
    /// The stream of events.
    Ledger,
    /// A bucket of objects.
    Bucket(ObjectBucket),
}

impl LimitedStore {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Ledger,
        Self::Bucket(ObjectBucket::Outputs),
        Self::Bucket(ObjectBucket::Sources),
        Self::Bucket(ObjectBucket::Tests),
    ];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Bucket(ObjectBucket::Outputs) => "outputs",
            Self::Bucket(ObjectBucket::Sources) => "sources",
            Self::Bucket(ObjectBucket::Tests) => "tests",
        }
    }
}
