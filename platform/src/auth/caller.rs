//! An authenticated caller: a user and the scopes of the token.

use std::collections::HashSet;

use events::UserId;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Something that a token may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Scope {
    /// To submit programs and cancel one's own.
    Submit,
    /// To read what others submitted.
    #[strum(serialize = "read:any")]
    ReadAny,
    /// To run the service.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the scope's name in a token.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The authenticated caller of a request. As an extractor it needs an `Arc<Verifier>` in the
/// router's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who calls.
    pub user: UserId,
    /// What the caller may do.
    pub scopes: HashSet<Scope>,
}

impl Caller {
    /// Returns whether the caller has the scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
